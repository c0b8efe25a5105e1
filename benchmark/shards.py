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
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from benchmark.sealed import read_sealed, write_sealed

AUDIO_SUFFIXES = ("wav", "flac", "ogg", "mp3", "au")
_BLOCK = tarfile.BLOCKSIZE


class ShardError(ValueError):
    """A shard that cannot be used at all. One line: which file, why, how to mend it."""


class Failure(NamedTuple):
    """A clip that could not be used, and why, in words."""

    shard: str
    key: str
    reason: str


class Extent(NamedTuple):
    """Where a member's bytes lie in the shard."""

    offset: int
    size: int


class ClipEntry(NamedTuple):
    """One clip of a shard's index. suffix: lower case, without the dot.

    key: the member's name without folder and suffix; the second clip of that name in the shard
    is `KEY#2`, and so on.
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

    Raises ShardError where the file is missing, is no tar, or is cut (how many clips are lost
    cannot be known then, so a score on the rest would be a score on another data set).
    """
    audio: dict[str, list[tuple[str, str, Extent]]] = {}
    metadata: dict[str, list[tuple[str, Extent]]] = {}
    failures: list[Failure] = []
    for member_name, extent in _members(path):
        folder, name = str(PurePosixPath(member_name).parent), PurePosixPath(member_name).name
        key, dot, suffix = name.rpartition(".")
        suffix = suffix.lower()
        if name.startswith("."):  # ._NAME and .DS_Store, left by some systems' tar
            continue
        if not dot or not key or suffix not in (*AUDIO_SUFFIXES, "json"):
            known = ", ".join(AUDIO_SUFFIXES)
            failures.append(Failure(path.name, name, f"neither JSON nor audio ({known})"))
        elif suffix == "json":
            metadata.setdefault(key, []).append((folder, extent))
        else:
            audio.setdefault(key, []).append((folder, suffix, extent))
    entries = []
    for key in sorted(audio.keys() | metadata.keys()):
        sounds = sorted(audio.get(key, []), key=lambda found: found[0])
        notes = metadata.get(key, [])
        pairs, reasons = _pair(sounds, notes)
        several = len({found[0] for found in (*sounds, *notes)}) > 1
        failures += [
            Failure(path.name, f"{folder}/{key}" if several else key, reason)
            for folder, reason in reasons.items()
        ]
        for count, (_, suffix, sound) in enumerate(sounds, start=1):
            unique = key if count == 1 else f"{key}#{count}"
            while count > 1 and unique in audio:
                unique += "#"
            if sound in pairs:
                entries.append(ClipEntry(unique, suffix, sound, pairs[sound]))
    return Shard(path, tuple(entries), tuple(sorted(failures)))


def _pair(
    sounds: list[tuple[str, str, Extent]], notes: list[tuple[str, Extent]]
) -> tuple[dict[Extent, Extent], dict[str, str]]:
    """Audio to its JSON among the members of one key; and folder to why it was not paired.

    Some data sets name their files alike in several folders: each audio has the JSON of its own
    folder, within which the order in the file decides. Where there is only one of each they
    belong together wherever they lie.
    """
    if len(sounds) == len(notes) == 1:
        return {sounds[0][2]: notes[0][1]}, {}
    pairs: dict[Extent, Extent] = {}
    reasons: dict[str, str] = {}
    folders = {folder for folder, _, _ in sounds} | {folder for folder, _ in notes}
    for folder in sorted(folders):
        here = [sound for where, _, sound in sounds if where == folder]
        beside = [note for where, note in notes if where == folder]
        if len(here) == len(beside):
            pairs |= zip(here, beside, strict=True)
        elif not beside:
            reasons[folder] = "no JSON beside the audio"
        elif not here:
            reasons[folder] = "no audio beside the JSON"
        else:
            reasons[folder] = f"{len(here)} audio and {len(beside)} JSON files for this key"
    return pairs, reasons


def _members(path: Path) -> Iterable[tuple[str, Extent]]:
    """Name and extent of every regular file of a tar, after the whole tar was found intact."""
    try:
        size = path.stat().st_size
        with tarfile.open(path, "r:") as tar:
            members = [
                (_readable(member.name), Extent(member.offset_data, member.size))
                for member in tar
                if member.isreg() and not member.issparse()
            ]
            end = tar.offset
    except FileNotFoundError as error:
        raise ShardError(f"shard {path} does not exist") from error
    except tarfile.ReadError as error:
        if "unexpected end" in str(error) or "truncated" in str(error):
            raise ShardError(f"shard {path} is cut at byte {size}; fetch it again") from error
        raise ShardError(f"shard {path} is not a tar file; fetch it again") from error
    except (OSError, tarfile.TarError) as error:
        raise ShardError(f"shard {path} cannot be read ({error}); fetch it again") from error
    # tarfile takes a tar that stops between two members for whole; the end mark, a block of zeros
    # where the next header would be, tells. What follows it tarfile would leave out unsaid.
    with path.open("rb") as file:
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
    return members


def _readable(name: str) -> str:
    """A member's name with the bytes that are not UTF-8 written out, as in `caf\\xe9.wav`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


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
