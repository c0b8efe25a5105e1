"""Clips to shards: the same clips give the same bytes, a killed run goes on where it stopped.

`prepared.json` beside the shards says what is being packed and what each finished shard was made
from: a shard that stands there with the same content is not written again. What cannot be used is
never left out unsaid: audio that does not decode is packed as it is, and a clip whose audio is not
there is packed as its JSON alone. Both then count as failed clips wherever the shards are read.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from earmark.benchmark.audio.decode import AudioError, decode_blocks
from earmark.benchmark.io.files import finish_file, remove_leftovers, write_atomically
from earmark.benchmark.prepare.recipe import SourceClip
from earmark.benchmark.prepare.source_folder import OriginalFolder, UnsafePathError
from earmark.benchmark.shards.shard import AUDIO_SUFFIXES

RECORD = "prepared.json"
SHARD_BYTES = 1 << 30
_VERSION = 1  # raised whenever the same clips are packed to other bytes
_LEFTOVERS_AFTER_S = 3600.0


class PackingError(ValueError):
    """Shards that cannot be written. One line: what, where, how to fix it."""


class Fault(NamedTuple):
    """A clip that is not usable, and why, in words. file: relative to the data set's folder."""

    split: str
    key: str
    file: str
    reason: str


class _Source(NamedTuple):
    """A clip and its audio. path: None where it cannot be had, for the reason in `fault`."""

    clip: SourceClip
    path: Path | None
    size: int
    stamp: int
    fault: str

    @property
    def metadata(self) -> bytes:
        text = json.dumps(self.clip.metadata, ensure_ascii=False, sort_keys=True)
        return text.encode()


@dataclass(frozen=True)
class PackedShard:
    """One shard to be written: its name and what goes into it, in order."""

    name: str
    sources: tuple[_Source, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides the shard's bytes, the audio by its size and time."""
        digest = hashlib.sha256(f"{_VERSION}".encode())
        for source in self.sources:
            clip = source.clip
            facts = (clip.key, clip.file, source.size, source.stamp, source.fault)
            digest.update(json.dumps(facts).encode() + source.metadata)
        return digest.hexdigest()


@dataclass(frozen=True)
class Packed:
    """What was done. written, kept: names of shards. clips: by split, faulty ones among them."""

    folder: Path
    written: list[str]
    kept: list[str]
    clips: dict[str, int]
    faults: list[Fault]


def pack(
    clips: Iterable[SourceClip],
    original: OriginalFolder,
    folder: Path,
    patterns: dict[str, str],
    facts: dict[str, Any],
    *,
    shard_bytes: int = SHARD_BYTES,
    report: Callable[[int, int], None] | None = None,
) -> Packed:
    """Write the shards of every split into `folder`.

    patterns: split to shard glob, as the task declares; where it has a `*`, a split becomes as
    many shards as keep each below `shard_bytes` of audio. facts: what the record says besides.
    report(done, total) is called with bytes of audio after each clip.

    Raises PackingError before anything is written where `folder` holds shards that were not
    prepared here, where two clips have one key, or where the disk is too small.
    """
    sources = [_look_up(clip, original) for clip in clips]
    _check_keys(sources)
    shards = {
        split: _divide([s for s in sources if s.clip.split == split], pattern, shard_bytes)
        for split, pattern in patterns.items()
    }
    planned = [shard for part in shards.values() for shard in part]
    record = _read_record(folder)
    stale = _stale(folder, patterns, planned, record)
    done = _done(folder, planned, record)
    _check_disk(folder, [shard for shard in planned if shard.name not in done])
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder, _LEFTOVERS_AFTER_S)
    counts = {split: sum(len(s.sources) for s in part) for split, part in shards.items()}
    entries = {shard.name: done.get(shard.name) for shard in planned}

    def keep_record() -> None:
        _write_record(folder, {**facts, "clips": counts}, entries)

    keep_record()  # before the shards: what a killed run leaves is then known for one of ours
    for path in stale:
        path.unlink(missing_ok=True)
    count = _Counter(sum(source.size for source in sources), report)
    for shard in planned:
        if entries[shard.name] is None:
            entries[shard.name] = _write_shard(folder / shard.name, shard, count)
            keep_record()
        else:
            count.add(sum(source.size for source in shard.sources))
    return Packed(
        folder,
        written=[shard.name for shard in planned if shard.name not in done],
        kept=[shard.name for shard in planned if shard.name in done],
        clips=counts,
        faults=[
            Fault(split, *fault)
            for split, part in shards.items()
            for shard in part
            for fault in (entries[shard.name] or {})["faults"]
        ],
    )


@dataclass
class _Counter:
    """Bytes of audio that were read, reported as they grow."""

    total: int
    report: Callable[[int, int], None] | None
    done: int = 0

    def add(self, size: int) -> None:
        self.done += size
        if self.report is not None:
            self.report(self.done, self.total)


def _look_up(clip: SourceClip, original: OriginalFolder) -> _Source:
    try:
        path = original.path(clip.file)
        stat = path.stat()
        regular = path.is_file()
    except UnsafePathError as error:
        return _Source(clip, None, 0, 0, str(error))
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        return _Source(clip, None, 0, 0, reason)
    if not regular:
        return _Source(clip, None, 0, 0, "not a file")
    if clip.file.rpartition(".")[2].lower() not in AUDIO_SUFFIXES:
        return _Source(clip, None, 0, 0, f"not one of {', '.join(AUDIO_SUFFIXES)}; convert it")
    return _Source(clip, path, stat.st_size, stat.st_mtime_ns, "")


def _check_keys(sources: Sequence[_Source]) -> None:
    seen: dict[str, SourceClip] = {}
    for clip in (source.clip for source in sources):
        other = seen.setdefault(clip.key, clip)
        if other is not clip:
            raise PackingError(
                f"{other.file} and {clip.file} would both be the clip {clip.key!r}; "
                "remove one, or one of the rows that name it"
            )


def _divide(sources: list[_Source], pattern: str, shard_bytes: int) -> list[PackedShard]:
    """A split's clips, by key, as shards."""
    sources = sorted(sources, key=lambda source: source.clip.key)
    groups: list[list[_Source]] = [[]]
    size = 0
    for source in sources:
        if groups[-1] and size + source.size > shard_bytes and "*" in pattern:
            groups.append([])
            size = 0
        groups[-1].append(source)
        size += source.size
    return [
        PackedShard(_shard_name(pattern, number), tuple(group))
        for number, group in enumerate(groups)
    ]


def _shard_name(pattern: str, number: int) -> str:
    """A name that the pattern matches: `train*.tar` -> `train-000000.tar`."""
    before, star, after = pattern.partition("*")
    if not star:
        return pattern
    joint = "" if before.endswith(("-", "_")) else "-"
    return f"{before}{joint}{number:06d}{after.replace('*', '')}"


def _stale(
    folder: Path, patterns: dict[str, str], planned: list[PackedShard], record: dict[str, Any]
) -> list[Path]:
    """Shards of an earlier preparation that this one has no use for.

    Raises PackingError for a shard that the tasks' patterns match and that was not prepared here.
    """
    known = record.get("shards")
    ours = set(known) if isinstance(known, dict) else set()
    names = {shard.name for shard in planned}
    there = {path for pattern in patterns.values() for path in folder.glob(pattern)}
    for path in sorted(there):
        if path.name not in ours:
            raise PackingError(
                f"{path} is there already and was not prepared here; move it away, or choose "
                "another folder with --data"
            )
    return sorted(path for path in there if path.name not in names)


def _done(
    folder: Path, planned: list[PackedShard], record: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Entries of the shards that stand there whole, made from what they would be made from now."""
    done = {}
    entries = record.get("shards", {})
    for shard in planned:
        entry, path = entries.get(shard.name), folder / shard.name
        if isinstance(entry, dict) and entry.get("made_from") == shard.digest:
            with contextlib.suppress(OSError):
                if path.stat().st_size == entry.get("bytes"):
                    done[shard.name] = entry
    return done


def _check_disk(folder: Path, shards: list[PackedShard]) -> None:
    needed = sum(
        -(-source.size // 512) * 512 + 2048 for shard in shards for source in shard.sources
    )
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise PackingError(
            f"{folder}: {needed / 1e9:.1f} GB are to be written and {free / 1e9:.1f} GB are free"
        )


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and isinstance(record.get("shards"), dict) else {}


def _write_record(
    folder: Path, facts: dict[str, Any], entries: dict[str, dict[str, Any] | None]
) -> None:
    text = json.dumps({**facts, "shards": entries}, indent=1, ensure_ascii=False)
    path = folder / RECORD
    with contextlib.suppress(OSError):
        if path.read_bytes() == text.encode():
            return
    write_atomically(path, text.encode())


def _write_shard(path: Path, shard: PackedShard, count: _Counter) -> dict[str, Any]:
    """Write one shard whole or not at all; its entry in the record.

    The entry's faults are what is wrong with single clips: key, file, reason.
    """
    faults = []
    handle, temporary = tempfile.mkstemp(prefix=f".tmp-{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for source in shard.sources:
                    fault = _add(tar, source)
                    if fault:
                        faults.append((source.clip.key, source.clip.file, fault))
                    count.add(source.size)
            file.flush()
            os.fsync(file.fileno())
        finish_file(Path(temporary), path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return {"made_from": shard.digest, "bytes": path.stat().st_size, "faults": faults}


def _add(tar: tarfile.TarFile, source: _Source) -> str:
    """Add one clip's members; what is wrong with it, or nothing."""
    fault = source.fault
    if source.path is not None:
        try:
            data = source.path.read_bytes()
        except OSError as error:
            fault = f"cannot be read ({error.strerror or error})"
        else:
            suffix = source.clip.file.rpartition(".")[2].lower()
            _add_member(tar, f"{source.clip.key}.{suffix}", data)
            try:
                decode_blocks(data, lambda block: None)
            except AudioError as error:
                fault = str(error)
    _add_member(tar, f"{source.clip.key}.json", source.metadata)
    return fault


def _add_member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """A member whose header holds nothing of this machine: no owner, no time."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(data))
