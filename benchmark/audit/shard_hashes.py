"""The audio hashes of whole shards, kept in the cache by the shard's SHA-256.

    <cache>/audio-hashes/<first two hex digits of the key>/<key>.note

A shard's file is written when its last clip is done, so a killed audit loses the shards in hand.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import soundfile

from earmark.benchmark.audio.decode import VERSION as AUDIO_VERSION
from earmark.benchmark.audio.decode import AudioError
from earmark.benchmark.audio.prefetch import prefetch
from earmark.benchmark.audit.audio_hash import VERSION, AudioHash, hash_audio
from earmark.benchmark.io.files import remove_leftovers
from earmark.benchmark.io.progress import Progress
from earmark.benchmark.io.sealed import read_sealed, write_sealed
from earmark.benchmark.shards.shard import ClipEntry, Failure, Shard, ShardReader

_AHEAD = 1024  # hashes that may wait for one that takes longer
_FILES_HELD = 256 << 20  # bytes of files that all workers together hold, or one larger file
_ABANDONED_S = 24 * 3600.0


@dataclass(frozen=True)
class ShardHashes:
    """One shard's clips. hashes: by key; failures: clips that could not be decoded."""

    hashes: dict[str, AudioHash]
    failures: list[Failure]


class HashJob(NamedTuple):
    """A shard to hash and its SHA-256 (hex)."""

    shard: Shard
    sha256: str


def hash_shards(
    jobs: Sequence[HashJob], *, cache: Path, workers: int, label: str
) -> list[ShardHashes]:
    """Hashes of every shard, from the cache or decoded now by `workers` threads.

    A worker holds one clip's file and one block of its samples; where files are large, fewer are
    read at once. label: what the progress is called. Raises OSError where a shard cannot be read.
    """
    root = cache / "audio-hashes"
    for folder in root.glob("??"):
        remove_leftovers(folder, _ABANDONED_S)
    found = {number: _known(_note(root, job.sha256), job.shard) for number, job in enumerate(jobs)}
    missing = [number for number, known in found.items() if known is None]
    shards = [jobs[number].shard for number in missing]
    clips = [(shard, entry) for shard in shards for entry in shard.entries]
    with Progress(f"{label}: hashing audio", len(clips), "clips") as bar:
        work = _Hashing(_FILES_HELD)
        made = prefetch(clips, work.hash_clip, size=lambda _: 1, budget=_AHEAD, workers=workers)
        with contextlib.closing(made):
            for number in missing:
                hashes = _gather(jobs[number].shard, made, bar)
                _write(_note(root, jobs[number].sha256), hashes)
                found[number] = hashes
    return [hashes for hashes in found.values() if hashes is not None]


class _Hashing:
    """Hashes clips, in several threads that together hold at most `room` bytes of files."""

    def __init__(self, room: int) -> None:
        self.room, self.held = room, 0
        self.changed = threading.Condition()

    def hash_clip(self, clip: tuple[Shard, ClipEntry]) -> AudioHash | str:
        """A clip's hash; or, in words, why there is none."""
        shard, entry = clip
        with self._holding(entry.audio.size):
            with contextlib.closing(ShardReader(shard.path)) as reader:
                data = reader.read(entry.audio)
            try:
                return hash_audio(data)
            except AudioError as error:
                return str(error)

    @contextlib.contextmanager
    def _holding(self, size: int) -> Iterator[None]:
        """Wait until there is room; what is larger than all of it is held alone."""
        with self.changed:
            self.changed.wait_for(lambda: not self.held or self.held + size <= self.room)
            self.held += size
        try:
            yield
        finally:
            with self.changed:
                self.held -= size
                self.changed.notify_all()


def _gather(shard: Shard, made: Iterator[AudioHash | str], bar: Progress) -> ShardHashes:
    hashes: dict[str, AudioHash] = {}
    failures = []
    for entry in shard.entries:
        result = next(made)
        if isinstance(result, str):
            failures.append(Failure(shard.name, entry.key, result))
            bar.advance(1)
        else:
            hashes[entry.key] = result
            bar.advance(1, result.seconds)
    return ShardHashes(hashes, failures)


def _note(root: Path, shard_sha256: str) -> Path:
    """Where a shard's hashes lie: by all that decides them."""
    facts = {
        "hash": VERSION,
        "audio": AUDIO_VERSION,
        "decoder": f"libsndfile {soundfile.__libsndfile_version__}",
        "shard": shard_sha256,
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return root / key[:2] / f"{key}.note"


def _known(note: Path, shard: Shard) -> ShardHashes | None:
    """What the cache holds of a shard; None where that is nothing, damaged or of other clips."""
    content = read_sealed(note)
    if content is None:
        return None
    raw = json.loads(content)
    hashes = {key: AudioHash(*values) for key, values in raw["hashes"].items()}
    reasons = raw["failures"]
    if hashes.keys() | reasons.keys() != {entry.key for entry in shard.entries}:
        return None
    # the shard's name is that of today: a copy under another name has the same hashes
    return ShardHashes(hashes, [Failure(shard.name, *item) for item in reasons.items()])


def _write(note: Path, found: ShardHashes) -> None:
    facts: dict[str, Any] = {
        "hashes": found.hashes,
        "failures": {failure.key: failure.reason for failure in found.failures},
    }
    text = json.dumps(facts, ensure_ascii=False)
    with contextlib.suppress(OSError):  # a cache that cannot be written; the next audit decodes
        write_sealed(note, text.encode())
