"""Arguments of an encoder's class: checked before it is called; files that they name, hashed."""

from __future__ import annotations

import difflib
import hashlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from earmark.encoders.encoder import EncoderError
from earmark.encoders.spec import written

# Of a folder with a model in it: what programs keep beside, which changes by itself.
_NOT_CONTENT = frozenset({".git", ".cache", "__pycache__"})
_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def check_arguments(factory: Callable[..., Any], arguments: Mapping[str, Any], who: str) -> None:
    """Raise EncoderError, one line, where a class does not take these arguments, or needs others.

    who: how the encoder is asked for, without arguments.
    """
    try:
        known = inspect.signature(factory).parameters
    except (ValueError, TypeError):  # not written in Python: calling it will tell
        return
    named = [name for name, one in known.items() if one.kind in _BY_KEYWORD]
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    for key in arguments:
        if key in named or takes_any:
            continue
        near = difflib.get_close_matches(key, named, n=1)
        takes = f"it takes {', '.join(named)}" if named else "it takes none"
        hint = f"did you mean {near[0]!r}?" if near else takes
        raise EncoderError(f"encoder {who!r} takes no argument {key!r}; {hint}")
    lacking = [
        name for name in named
        if known[name].default is inspect.Parameter.empty and name not in arguments
    ]  # fmt: skip
    if lacking:
        example = written({**arguments, **dict.fromkeys(lacking, "...")})
        raise EncoderError(f"encoder {who!r} needs {', '.join(lacking)}: ask for {who}{example}")


class FilesRead:
    """The files and folders that arguments name, as they were before an encoder was made.

    contents: SHA-256 of each, by the text that names it. Hashed every time: neither size nor time
    of a file is proof that it is what it was. Raises EncoderError for one that cannot be read.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        found = {text: _path(text) for text in _texts(list(arguments.values()))}
        self._paths = {text: path for text, path in found.items() if path is not None}
        self._stamps = self._stamped()
        self.contents: dict[str, str] = {}
        for text, path in self._paths.items():
            try:
                self.contents[text] = _of_folder(path) if path.is_dir() else _of_file(path)
            except OSError as error:
                raise EncoderError(
                    f"argument {text}: {error.filename}: {error.strerror}"
                ) from error

    def check_unchanged(self, who: str) -> None:
        """Raise EncoderError where one was written to since, so that nobody knows what was read."""
        now = self._stamped()
        changed = [text for text, stamp in self._stamps.items() if now[text] != stamp]
        if changed:
            raise EncoderError(
                f"encoder {who!r}: {', '.join(changed)} was written to while it was read; run "
                "again once it is whole"
            )

    def _stamped(self) -> dict[str, list[tuple[str, int, int, int]]]:
        return {
            text: [_stamp(one) for one in (_files(path) if path.is_dir() else [path])]
            for text, path in self._paths.items()
        }


def _stamp(path: Path) -> tuple[str, int, int, int]:
    try:
        facts = path.stat()
    except OSError:
        return (str(path), 0, 0, 0)
    return (str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


def _path(text: str) -> Path | None:
    """The file or folder of this name; None where there is none, or it is a device, say."""
    try:
        path = Path(text).expanduser()
        return path if text and (path.is_file() or path.is_dir()) else None
    except (OSError, ValueError, RuntimeError):  # too long a name, a zero byte, no such home
        return None


def _of_file(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_folder(folder: Path) -> str:
    """Of the names and contents of all files below it, in the order of names."""
    digest = hashlib.sha256()
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{len(name)} {name} {_of_file(path)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    been: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in been:  # a link to what it lies in
            folders.clear()
            continue
        been.add(real)
        folders[:] = sorted(one for one in folders if one not in _NOT_CONTENT)
        found += [path for one in files if (path := Path(here, one)).is_file()]
    return sorted(found)
