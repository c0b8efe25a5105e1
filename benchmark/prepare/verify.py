"""Verify a task's shards: what is in them, what of it can be used, and whether that is all.

    from earmark.benchmark.prepare.verify import verify
    found = verify(spec, Path("data"))
    print(found.state, found.clips, found.differences)

Every clip is decoded whole: a file's header may promise more than there is.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from earmark.benchmark.audio.decode import AudioError, Samples, decode_blocks
from earmark.benchmark.shards.dataset import DataError, DatasetShard, open_dataset
from earmark.benchmark.shards.labels import Labelled, label_clips
from earmark.benchmark.shards.shard import ClipEntry, Failure, ShardError, ShardReader
from earmark.tasks import TaskSpec

AS_KNOWN, SOUND, DIFFERS, NOT_VERIFIED = "as known", "sound", "differs", "not verified"
_AHEAD = 4  # clips that are read ahead, for each thread


@dataclass
class PartCounts:
    """One split or fold.

    clips: those with audio and JSON. classes: clips by class name; a clip of several classes
    counts for each; empty where labels are no classes. rates: clips by sample rate in Hz.
    seconds: of each decoded clip. sources: different ones among the labelled clips.
    """

    clips: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    rates: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    sources: int = 0


@dataclass
class Verification:
    """What was found in one task's shards.

    parts: by split or fold. undecodable, unlabelled: clips that cannot be used; unpaired audio and
    JSON are among the undecodable. guessed_sources: clips that the source rule does not fit.
    differences: counts that are not as known, in words. empty_classes: classes without a clip.
    error: why the shards could not be read; then nothing else is filled in.
    """

    spec: TaskSpec
    shards: int = 0
    parts: dict[str, PartCounts] = field(default_factory=dict)
    undecodable: list[Failure] = field(default_factory=list)
    unlabelled: list[Failure] = field(default_factory=list)
    guessed_sources: int = 0
    differences: list[str] = field(default_factory=list)
    empty_classes: list[str] = field(default_factory=list)
    error: str | None = None

    @property
    def clips(self) -> int:
        return sum(part.clips for part in self.parts.values())

    @property
    def state(self) -> str:
        """NOT_VERIFIED, DIFFERS, AS_KNOWN, or SOUND: all usable, and no count is known."""
        if self.error is not None:
            return NOT_VERIFIED
        if self.differences or self.undecodable or self.unlabelled:
            return DIFFERS
        return SOUND if self.spec.known is None else AS_KNOWN


def verify(
    spec: TaskSpec,
    data: Path,
    *,
    workers: int | None = None,
    report: Callable[[int, int, float], None] | None = None,
) -> Verification:
    """Read all shards of a task under `data`, decode and label every clip, compare the counts.

    workers: threads that decode (default: cores, up to 8). report(done, total, seconds) is called
    after each clip with the length of its audio. Raises nothing for bad shards: see `error`.
    """
    found = Verification(spec)
    try:
        dataset = open_dataset(spec, data)
        total = sum(len(part.shard.entries) for part in dataset.shards)
        done = 0
        sources: dict[str, set[str]] = {split: set() for split in spec.shard_patterns}
        found.parts = {split: PartCounts() for split in spec.shard_patterns}
        found.shards = len(dataset.shards)
        for part, (labels, failures) in zip(dataset.shards, label_clips(dataset), strict=True):
            counts = found.parts[part.split]
            counts.clips += len(part.shard.entries)
            found.undecodable += part.shard.failures
            found.unlabelled += failures
            _count_labels(part, labels, found, sources[part.split])
            for entry, seen in _decoded(part, workers or min(8, os.cpu_count() or 1)):
                done += 1
                if isinstance(seen, str):
                    found.undecodable.append(Failure(part.shard.name, entry.key, seen))
                else:
                    counts.rates[seen.rate] += 1
                    counts.seconds.append(seen.seconds)
                if report is not None:
                    report(done, total, 0.0 if isinstance(seen, str) else seen.seconds)
    except (DataError, ShardError) as error:
        return Verification(spec, error=str(error))
    except OSError as error:
        return Verification(spec, error=f"cannot read: {error}")
    for split, names in sources.items():
        found.parts[split].sources = len(names)
    if spec.kind.of_clips:
        seen_classes = {name for part in found.parts.values() for name in part.classes}
        found.empty_classes = [name for name in spec.classes if name not in seen_classes]
    found.differences = _differences(found)
    return found


class _Heard(NamedTuple):
    """A decoded clip: its own sample rate in Hz, its length."""

    rate: int
    seconds: float


def _count_labels(
    part: DatasetShard, labels: dict[str, Labelled], found: Verification, sources: set[str]
) -> None:
    """Add one shard's labels and sources."""
    classes = found.parts[part.split].classes
    for key, label in labels.items():
        if found.spec.kind.of_clips:
            classes.update(found.spec.classes[index] for index in label.label)
        found.guessed_sources += label.source is None and not found.spec.source.by_clip
        sources.add(_source(part, key, label))


def _source(part: DatasetShard, key: str, label: Labelled) -> str:
    """A clip without a source is its own; a NUL is in no name that a rule finds."""
    return label.source if label.source is not None else f"\0{part.shard.name}\0{key}"


def _decoded(part: DatasetShard, workers: int) -> Iterator[tuple[ClipEntry, _Heard | str]]:
    """Every clip of a shard, decoded, or why it could not be; a few are read ahead."""
    reader = ShardReader(part.shard.path)
    entries = iter(part.shard.entries)
    try:
        with ThreadPoolExecutor(workers) as threads:
            while chosen := list(islice(entries, workers * _AHEAD)):
                heard = threads.map(lambda entry: _hear(reader, entry), chosen)
                yield from zip(chosen, heard, strict=True)
    finally:
        reader.close()


def _hear(reader: ShardReader, entry: ClipEntry) -> _Heard | str:
    try:
        count, rate = decode_blocks(reader.read(entry.audio), _ignore)
    except AudioError as error:
        return str(error)
    return _Heard(rate, count / rate)


def _ignore(block: Samples) -> None:
    """Samples that are only counted."""


def _differences(found: Verification) -> list[str]:
    known, part = found.spec.known, "fold" if found.spec.folds else "split"
    if known is None:
        return []
    lines = [
        f"{part} {name}: {found.parts[name].clips} clips, known are {count}"
        for name, count in known.by_part.items()
        if found.parts[name].clips != count
    ]
    if found.clips != known.total and not lines:
        lines = [f"{found.clips} clips, known are {known.total}"]
    return lines
