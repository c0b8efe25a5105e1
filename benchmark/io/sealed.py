"""What every cache is made of: content that is checked when it is read, and made anew when bad.

A file begins with a line that holds the SHA-256 of its name and of what follows. The name is in it
because a file that lies where another belongs is as wrong as one with a flipped bit. A folder has a
manifest with facts about it and the SHA-256 of each of its files.

What is bad is told in a line on stderr and made anew by whoever wanted it, over whatever stands in
its place. Writing is whole or not at all, and of several processes one makes a folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from earmark.benchmark.io.files import folder_written_whole, write_atomically
from earmark.benchmark.io.progress import log

_MARK = b"sealed "


def read_sealed(path: Path) -> bytes | None:
    """What `write_sealed` wrote there; None where there is nothing, or nothing that is whole."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        say_bad(path, f"cannot be read ({error.strerror})")
        return None
    head, _, content = data.partition(b"\n")
    if head != _head(path, content):
        say_bad(path, "is damaged")
        return None
    return content


def write_sealed(path: Path, content: bytes) -> None:
    """Write a file for `read_sealed`, over whatever stands in its place. Raises OSError."""
    clear_folder(path)
    write_atomically(path, _head(path, content) + b"\n" + content)


def say_bad(path: Path, fault: str) -> None:
    """Tell, in a line, what was found in a cache."""
    log(f"{path} {fault}; it is made anew")


def clear_folder(path: Path) -> None:
    """Remove a folder that stands where a cache keeps a file. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)


@contextlib.contextmanager
def locked(path: Path, wait_s: float = -1) -> Iterator[None]:
    """One process at a time for what lies at `path`.

    wait_s: how long to wait for another, below 0 as long as it takes. Raises filelock.Timeout where
    that was not enough, and OSError where nothing can be written there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=wait_s):
        yield


def make_folder(
    target: Path,
    manifest: str,
    facts: Mapping[str, Any],
    make: Callable[[Path], None],
    *,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Have a folder that is whole: the one that is there, or one that `make` fills now.

    manifest: name of the file with `facts` (plain JSON values), which are the folder's identity.
    make: called with an empty folder to write files into. check: called before anything that is
    there is replaced; what it raises is raised.

    Raises OSError, and what `make` raises; the folder is then as it was.
    """
    if is_whole(target, manifest, facts):
        return
    with locked(target):
        if is_whole(target, manifest, facts):  # another process made it meanwhile
            return
        if os.path.lexists(target):
            check()
            known = read_manifest(target, manifest)
            own = known is None or facts.items() <= known.items()
            say_bad(target, "is damaged" if own else "holds something else")
        with folder_written_whole(target, replace=True) as made:
            make(made)
            content = {**facts, "files": _digests(made)}
            text = json.dumps(content, ensure_ascii=False) + "\n"
            (made / manifest).write_text(text, encoding="utf-8")


def read_manifest(folder: Path, manifest: str) -> dict[str, Any] | None:
    """A folder's manifest; None where there is none that can be read."""
    try:
        known = json.loads((folder / manifest).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return known if isinstance(known, dict) else None


def is_whole(folder: Path, manifest: str, facts: Mapping[str, Any]) -> bool:
    """Whether a folder is of these facts and has every byte that it was made with.

    All of its files are read. Hidden ones, which file managers leave, do not count.
    """
    known = read_manifest(folder, manifest)
    files = None if known is None else known.pop("files", None)
    if known != dict(facts) or not isinstance(files, dict):
        return False
    try:
        if {path.name for path in visible(folder)} != files.keys() | {manifest}:
            return False
        return all(_digest(folder / name) == sha256 for name, sha256 in files.items())
    except OSError:
        return False


def visible(folder: Path) -> list[Path]:
    """What a folder holds but for hidden files, sorted. Raises OSError."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: _digest(path) for path in visible(folder)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _head(path: Path, content: bytes) -> bytes:
    digest = hashlib.sha256(path.name.encode() + b"\0")
    digest.update(content)
    return _MARK + digest.hexdigest().encode()
