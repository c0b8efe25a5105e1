"""Shards: tar files of clips, one `KEY.EXT` beside one `KEY.json` each.

A shard is read by its index: the headers are walked once, after that any clip is one positioned
read, from any thread. Nothing is unpacked and no name in the archive is ever used as a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from earmark.benchmark.io.sealed import read_sealed, write_sealed
from earmark.benchmark.shards.pairing import Pairing, Part, pair_unicode_forms
from earmark.benchmark.shards.tar_members import Extent, Member, ShardError, read_members

__all__ = [
    "AUDIO_SUFFIXES", "ClipEntry", "Extent", "Failure", "Shard", "ShardError", "ShardReader",
    "read_shard", "same_bytes", "shard_digest",
]  # fmt: skip

AUDIO_SUFFIXES = ("wav", "flac", "ogg", "mp3", "au")
_PIECE = 1 << 20  # bytes of a member that are compared at once


class Failure(NamedTuple):
    """A clip that could not be used, and why, in words."""

    shard: str
    key: str
    reason: str


class ClipEntry(NamedTuple):
    """One clip of a shard's index. suffix: lower case, without the dot.

    key: the member's name without folder and suffix; where several folders of the shard hold one,
    the second is `KEY#2`, and so on.
    """

    key: str
    suffix: str
    audio: Extent
    metadata: Extent


@dataclass(frozen=True)
class Shard:
    """A shard's index: its clips sorted by key, and what could not be paired."""

    path: Path
    entries: tuple[ClipEntry, ...]
    failures: tuple[Failure, ...]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def keys(self) -> set[str]:
        """Keys of all its clips, with those that could not be paired."""
        return {entry.key for entry in self.entries} | {failed.key for failed in self.failures}


def read_shard(path: Path) -> Shard:
    """Index a shard. Sorted by key, so that nothing later depends on the order in the file.

    A name that is there twice is one clip where both are the same bytes, and none where they are
    not: which is meant cannot be told. Either way the others are in the failures.

    Raises ShardError where the file is missing, is no tar, or is cut (how many clips are lost
    cannot be known then, so a score on the rest would be a score on another data set).
    """
    parts, failures = _parts(path, read_members(path))
    halves = pair_unicode_forms(parts)
    with contextlib.closing(ShardReader(path)) as reader:
        kept = Pairing(halves, lambda extents: same_bytes([(reader, one) for one in extents]))
        found = kept.clips()
    entries = [
        ClipEntry(key, sound.suffix, sound.extent, note.extent)
        for key, sound, note in found
        if sound.extent is not None and note.extent is not None
    ]
    failures += [Failure(path.name, key, reason) for key, reason in kept.reasons]
    return Shard(path, tuple(entries), tuple(sorted(failures)))


def _parts(path: Path, members: list[Member]) -> tuple[list[Part], list[Failure]]:
    """The members that are half a clip by their name, and those that are nothing known."""
    parts, failures = [], []
    folders = {str(parent) for one in members for parent in PurePosixPath(one.name).parents}
    for member in members:
        folder, name = str(PurePosixPath(member.name).parent), PurePosixPath(member.name).name
        key, dot, suffix = name.rpartition(".")
        suffix = suffix.lower()
        if name.startswith("."):  # ._NAME and .DS_Store, left by some systems' tar
            continue
        if dot and key and suffix in (*AUDIO_SUFFIXES, "json"):
            if member.extent is None and str(PurePosixPath(member.name)) in folders:
                continue  # a folder with something in it, whatever it is called
            parts.append(Part(folder, key, suffix, member.extent, member.fault))
        elif member.extent is not None:
            known = ", ".join(AUDIO_SUFFIXES)
            failures.append(Failure(path.name, name, f"neither JSON nor audio ({known})"))
    return parts, failures


def same_bytes(members: Sequence[tuple[ShardReader, Extent]]) -> bool:
    """Whether members, of one shard or of several, hold the same bytes; read in small pieces."""
    if len({extent.size for _, extent in members}) > 1:
        return False
    (first, start), rest = members[0], members[1:]
    return all(
        first.read(Extent(start.offset + place, min(_PIECE, start.size - place)))
        == reader.read(Extent(extent.offset + place, min(_PIECE, extent.size - place)))
        for reader, extent in rest
        for place in range(0, start.size, _PIECE)
    )


class ShardReader:
    """Positioned reads from one open shard; safe from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb")

    def read(self, extent: Extent) -> bytes:
        return os.pread(self._file.fileno(), extent.size, extent.offset)

    def open(self, extent: Extent) -> io.BufferedReader:
        """A member as a file of its own, of which only what is asked for is read."""
        return io.BufferedReader(_Member(self._file.fileno(), extent), 1 << 14)

    def close(self) -> None:
        self._file.close()


class _Member(io.RawIOBase):
    """A member's bytes, by positioned reads."""

    def __init__(self, descriptor: int, extent: Extent) -> None:
        self._descriptor, self._extent, self._place = descriptor, extent, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._extent.size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._extent.size - self._place))
        read = os.pread(self._descriptor, count, self._extent.offset + self._place)
        buffer[: len(read)] = read
        self._place += len(read)
        return len(read)


def shard_digest(path: Path, cache: Path) -> str:
    """SHA-256 (hex) of a shard's bytes; remembered under `cache` while the file is unchanged.

    Unchanged means: same size, inode, and times of last modification and status change (ns).
    """
    path = path.resolve()
    stat = path.stat()
    signature = [stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns]
    note = cache / "shard-digests" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.note"
    known = _read_note(note)
    if known.get("signature") == signature:
        return str(known["sha256"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    text = json.dumps({"path": str(path), "signature": signature, "sha256": digest})
    with contextlib.suppress(OSError):  # a cache that cannot be written; the next run reads again
        write_sealed(note, text.encode())
    return digest


def _read_note(note: Path) -> dict[str, Any]:
    content = read_sealed(note)
    known: dict[str, Any] = {} if content is None else json.loads(content)
    return known
