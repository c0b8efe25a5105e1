"""Writing so that a reader never sees half a file or half a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_ATTEMPTS = 100


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file beside `path`, then rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".tmp-{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        finish_file(Path(temporary), path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def finish_file(temporary: Path, path: Path) -> None:
    """Rename a temporary file, written whole, to `path`, with a new file's usual permissions."""
    temporary.chmod(0o666 & ~_umask())
    temporary.replace(path)


@contextlib.contextmanager
def folder_written_whole(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes `target` when the block ends without an error.

    Where `target` exists by then (another run was first), it stays and the new one is dropped;
    with `replace` the new one takes its place.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".tmp-{target.name[:16]}-", dir=target.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        _move_into_place(temporary, target, replace)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        old = temporary.with_name(temporary.name + "-old")
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:  # what stood there was no folder
            old.unlink(missing_ok=True)


def _move_into_place(temporary: Path, target: Path, replace: bool) -> None:
    for attempt in range(_ATTEMPTS):
        if replace and os.path.lexists(target):
            with contextlib.suppress(OSError):  # another run may have moved it away just now
                target.rename(temporary.with_name(temporary.name + "-old"))
        try:
            temporary.rename(target)
        except OSError as error:
            if target.is_dir():  # another run was first
                return
            # or another run is between its own two renames: once more
            if attempt + 1 == _ATTEMPTS:
                raise OSError(f"cannot write {target} ({error})") from error
        else:
            return


def remove_leftovers(folder: Path, older_than_s: float) -> None:
    """Remove temporary files and folders that killed runs left in `folder`.

    Only those untouched for `older_than_s` seconds: a younger one may belong to a live run. A
    folder that cannot be written stays as it is.
    """
    leftovers = list(folder.glob(".tmp-*"))
    if not leftovers:  # the usual case; nothing is written to learn the time
        return
    try:
        now = _now(folder)
    except OSError:
        return
    for path in leftovers:
        with contextlib.suppress(OSError):  # gone already: another run cleans up too
            if now - path.stat().st_mtime > older_than_s:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()


def _now(folder: Path) -> float:
    """Time by the clock of the file system that holds `folder`, which may be another machine's."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
