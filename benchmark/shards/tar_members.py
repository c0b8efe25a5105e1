"""The members of a tar: where each one's bytes lie, or why it has none that can be read.

A tar says itself how large everything in it is, and a damaged one lies. Headers are read in small
pieces, whatever they say, and what would lead backwards is refused.
"""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

_BLOCK = tarfile.BLOCKSIZE
_LARGEST_HEADER = 1 << 20  # bytes of one extended header: a name, a few facts
_READS_AT_THE_END = 8  # of nothing; a map of a sparse file that never ends asks for ever
_KINDS = {
    tarfile.SYMTYPE: "a link, which is not followed; pack the file itself",
    tarfile.CHRTYPE: "a device, not a file",
    tarfile.BLKTYPE: "a device, not a file",
    tarfile.FIFOTYPE: "a pipe, not a file",
    tarfile.DIRTYPE: "a folder, not a file",
}


class ShardError(ValueError):
    """A shard that cannot be used at all. One line: which file, why, how to mend it."""


class Extent(NamedTuple):
    """Where a member's bytes lie in the shard."""

    offset: int
    size: int


class Member(NamedTuple):
    """name: as stored, printable. extent: None where there is nothing to read, for `fault`."""

    name: str
    extent: Extent | None
    fault: str = ""


def read_members(path: Path) -> list[Member]:
    """Every member of a tar, after the whole tar was found intact. A hard link is what it links.

    Raises ShardError where the file is missing, is no tar, or is cut.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file, _Headers(file.fileno(), size) as headers:
            members, end = _walk(path, headers)
            _check_end(path, file, end)
    except FileNotFoundError as error:
        raise ShardError(f"shard {path} does not exist") from error
    except ShardError:
        raise
    except tarfile.ReadError as error:
        if "unexpected end" in str(error) or "truncated" in str(error):
            raise ShardError(f"shard {path} is cut at byte {size}; fetch it again") from error
        raise ShardError(f"shard {path} is not a tar file; fetch it again") from error
    # what tarfile raises besides on headers that hold nonsense
    except (OSError, tarfile.TarError, ValueError, ArithmeticError, LookupError) as error:
        raise ShardError(f"shard {path} cannot be read ({error}); fetch it again") from error
    except RecursionError as error:
        raise ShardError(f"shard {path} has headers without end; fetch it again") from error
    return members


def _walk(path: Path, headers: _Headers) -> tuple[list[Member], int]:
    """All members, and where the end mark should be."""
    members: list[Member] = []
    links: dict[str, Extent] = {}
    reached = -1
    with tarfile.open(fileobj=headers, mode="r:") as tar:
        for info in tar:
            if info.size < 0 or tar.offset <= reached:
                raise ShardError(
                    f"shard {path} states a size below 0 for {_readable(info.name)!r}; "
                    "fetch it again"
                )
            reached = tar.offset
            extent, fault = _content(info, links)
            if extent is not None:
                links[info.name] = extent
            members.append(Member(_readable(info.name), extent, fault))
        return members, tar.offset


def _content(info: tarfile.TarInfo, links: dict[str, Extent]) -> tuple[Extent | None, str]:
    """Where a member's bytes are; or None, and why. links: of the members before it."""
    if info.issparse():
        return None, "a sparse file; pack it without --sparse"
    if info.isreg():
        return Extent(info.offset_data, info.size), ""
    if info.islnk():
        if info.linkname in links:
            return links[info.linkname], ""
        target = _readable(info.linkname)
        return None, f"a hard link to {target!r:.80}, which is not before it in the shard"
    kind = _KINDS.get(info.type, f"of the unknown kind {info.type!r}, not a file")
    return None, kind


def _check_end(path: Path, file: Any, end: int) -> None:
    """Raise ShardError unless a tar ends in its end mark.

    tarfile takes a tar that stops between two members for whole; the end mark, a block of zeros
    where the next header would be, tells. What follows it tarfile would leave out unsaid.
    """
    file.seek(end)
    mark = file.read(_BLOCK)
    if mark != bytes(_BLOCK):
        raise ShardError(f"shard {path} is cut: it has no tar end mark; fetch it again")
    while rest := file.read(1 << 20):
        if rest.strip(b"\0"):
            raise ShardError(
                f"shard {path} goes on after its tar end mark (several tars in one file?); "
                "fetch it again or make it one tar"
            )


class _Headers(io.RawIOBase):
    """A tar as tarfile sees it: no read is larger than a header can be."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor, self._size = descriptor, size
        self._place, self._empty = 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a size leads to before its beginning")
        self._place = start + offset
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_HEADER:
            raise ValueError(f"a header of {size} bytes")
        # pread takes no place beyond 2^63
        data = os.pread(self._descriptor, size, self._place) if self._place < self._size else b""
        self._place += len(data)
        self._empty = 0 if data else self._empty + 1
        if self._empty > _READS_AT_THE_END:
            raise ValueError("a header that does not end")
        return data


def _readable(name: str) -> str:
    """A member's name with the bytes that are not UTF-8 written out, as in `caf\\xe9.wav`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
