"""One file of a record: resumed where it stopped, checked, and only then put into place."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from earmark.benchmark.zenodo.receipt import KEPT
from earmark.benchmark.zenodo.record import FetchError, RecordFile
from earmark.benchmark.zenodo.server import PassingError, Server

_BLOCK = 1 << 20
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_WRONG_BYTES = 2  # times that a whole file may have the wrong MD5


def part_path(folder: Path, file: RecordFile) -> Path:
    """Where a file's bytes gather; another MD5 is another part."""
    return folder / KEPT / f"{file.key}.{file.md5[:8]}.part"


def bytes_here(folder: Path, file: RecordFile) -> int:
    """Bytes of a file that an earlier try left, at most the file's size."""
    path = part_path(folder, file)
    return min(path.stat().st_size, file.size) if path.is_file() else 0


def download_file(
    server: Server, file: RecordFile, folder: Path, on_advance: Callable[[int], None]
) -> None:
    """Fetch a file into its folder. on_advance(n): n more (or, below 0, fewer) bytes are there.

    Nothing may stand in its place. Raises FetchError, and OSError where the disk does not take it.
    """
    target = folder / file.key
    if os.path.lexists(target):
        raise FetchError(f"{target} is in the way; remove it to fetch it")
    wrong = 0

    def attempt() -> None:
        nonlocal wrong
        if part.size < file.size:
            _fill(part, server, file, on_advance)
        if part.md5() == file.md5:
            return
        wrong += 1
        found = part.md5()
        on_advance(-part.size)
        part.restart()
        message = f"{file.key}: its MD5 is {found}, the record states {file.md5}"
        raise (FetchError if wrong >= _WRONG_BYTES else PassingError)(message)

    with _Part(part_path(folder, file), file.size) as part:
        server.persist(attempt, lambda: part.size)
        part.save()
        part.path.replace(target)


def _fill(part: _Part, server: Server, file: RecordFile, on_advance: Callable[[int], None]) -> None:
    """Ask for what a part lacks. Raises PassingError where it still lacks something then."""
    with server.open(file.url, file.key, part.size) as response:
        if part.size and not _continues(response, part, file):
            # it starts from the beginning, or not with what is lacking
            on_advance(-part.size)
            part.restart()
            if response.status_code != 200:
                raise PassingError(f"{file.key}: {server.host} does not resume where it was asked")
        if "html" in response.headers.get("Content-Type", "").lower():
            raise PassingError(f"{file.key}: {server.host} sent a web page in place of the data")
        offered = response.headers.get("Content-Length", "")
        if response.status_code == 200 and offered.isdecimal() and int(offered) != file.size:
            raise PassingError(
                f"{file.key}: {server.host} offers {offered} bytes, the record states {file.size}"
            )
        for chunk in server.chunks(response, file.key):
            if part.size + len(chunk) > file.size:
                on_advance(-part.size)
                part.restart()
                raise PassingError(
                    f"{file.key}: {server.host} sends more than the {file.size} bytes that the "
                    "record states"
                )
            part.add(chunk)
            on_advance(len(chunk))
    if part.size < file.size:
        raise PassingError(f"{file.key}: {server.host} sent {part.size} of {file.size} bytes")


def _continues(response: Any, part: _Part, file: RecordFile) -> bool:
    """Whether an answer goes on where the part ends."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code != 206 or found is None:
        return False
    start, _, total = found.groups()
    return int(start) == part.size and total in ("*", str(file.size))


class _Part:
    """The bytes that are there, with their running MD5. Never followed through a link."""

    def __init__(self, path: Path, most: int) -> None:
        self.path = path
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if path.is_symlink():
                raise FetchError(f"{path} is a link; remove it") from error
            raise
        self._file = os.fdopen(handle, "r+b")
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            self._file.close()
            raise FetchError(f"{path} is not a file of its own; remove it")
        self.restart(keep=facts.st_size <= most)
        while block := self._file.read(_BLOCK):
            self._count(block)

    def restart(self, *, keep: bool = False) -> None:
        """Begin again, with nothing in it."""
        self.size, self._md5 = 0, hashlib.md5(usedforsecurity=False)
        self._file.seek(0)
        if not keep:
            self._file.truncate()

    def add(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._count(chunk)

    def _count(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._md5.update(chunk)

    def md5(self) -> str:
        return self._md5.hexdigest()

    def save(self) -> None:
        """All of it on the disk, not in its cache."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> _Part:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
