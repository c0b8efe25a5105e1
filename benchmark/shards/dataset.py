"""A task's shards on disk: which there are, which of their clips are asked for."""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from earmark.benchmark.shards.shard import (
    ClipEntry,
    Failure,
    Shard,
    ShardReader,
    read_shard,
    same_bytes,
)
from earmark.benchmark.zenodo.status import lack_in_words, shards_folder
from earmark.tasks import TaskSpec


class DataError(ValueError):
    """Data that cannot be scored. One line: what, where, how to mend it."""


class NotThereError(DataError):
    """Shards that are not there, or not all of them. what: the message without the mend."""

    def __init__(self, what: str, spec: TaskSpec) -> None:
        self.what = what
        mend = "; `run_bench.py download TASK` fetches them" if spec.zenodo_record else ""
        super().__init__(what + mend)


@dataclass(frozen=True)
class DatasetShard:
    """A shard, the split or fold it belongs to, and the clips asked for (None: all).

    repeated: those of its clips that an earlier shard of the split holds too.
    """

    split: str
    shard: Shard
    keys: frozenset[str] | None = None
    repeated: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """All shards of one task. limit: at most so many clips a split or fold; None: all."""

    spec: TaskSpec
    shards: tuple[DatasetShard, ...]
    limit: int | None

    @property
    def clips(self) -> int:
        """Clips asked for, those among them that could not be paired."""
        return sum(
            len(part.shard.keys) if part.keys is None else len(part.keys) for part in self.shards
        )


def locate_shards(spec: TaskSpec, data: Path) -> dict[str, list[Path]]:
    """Shard paths of every split or fold, sorted by name, without reading them.

    Raises NotThereError, naming folder and pattern, where a split or fold has none, and where the
    folder was fetched from a record of which files are lacking; DataError where one file would
    belong to two.
    """
    folder = shards_folder(spec, data)
    found: dict[str, list[Path]] = {}
    owner: dict[Path, str] = {}
    for split, pattern in spec.shard_patterns.items():
        found[split] = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not found[split]:
            what = "fold" if spec.folds else "split"
            reason = "" if folder.is_dir() else " (there is no such folder)"
            raise NotThereError(
                f"no shards for {what} {split}: nothing matches {folder / pattern}{reason}", spec
            )
        for path in found[split]:
            other = owner.setdefault(path, split)
            if other != split:
                raise DataError(
                    f"shard {path} belongs to both {other} and {split}; fix the patterns"
                )
    lack = lack_in_words(spec, folder)
    if lack is not None:
        raise NotThereError(lack, spec)
    return found


def open_dataset(
    spec: TaskSpec,
    data: Path,
    *,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Index all shards of a task. on_progress(done, total) is called after each.

    With `limit`, the clips of a split with the lowest SHA-256 of their keys are taken: a fixed
    choice that does not depend on how clips are spread over shards or ordered in them.
    """
    found = locate_shards(spec, data)
    total = sum(len(paths) for paths in found.values())
    parts: list[DatasetShard] = []
    for split, paths in found.items():
        shards = []
        for path in paths:
            shards.append(read_shard(path))
            if on_progress is not None:
                on_progress(len(parts) + len(shards), total)
        repeated = _repeated(shards)
        if limit is None:
            chosen: list[frozenset[str] | None] = [None for _ in shards]
        else:
            chosen = _limited(shards, limit)
        parts += map(DatasetShard, repeat(split), shards, chosen, repeated)
    return Dataset(spec, tuple(parts), limit)


def _limited(shards: list[Shard], limit: int) -> list[frozenset[str] | None]:
    """Keys that are taken of each shard; None: all."""
    ranked = sorted(
        (hashlib.sha256(key.encode()).digest(), number, key)
        for number, shard in enumerate(shards)
        for key in shard.keys
    )[:limit]
    chosen: list[set[str]] = [set() for _ in shards]
    for _, number, key in ranked:
        chosen[number].add(key)
    return [
        None if len(keys) == len(shard.keys) else frozenset(keys)
        for shard, keys in zip(shards, chosen, strict=True)
    ]


def _repeated(shards: Sequence[Shard]) -> list[tuple[Failure, ...]]:
    """Clips of a split that an earlier shard holds too: the same key, and the same bytes.

    A key alone says nothing: many data sets count anew in every shard.
    """
    holders: dict[str, list[tuple[int, ClipEntry]]] = defaultdict(list)
    for number, shard in enumerate(shards):
        for entry in shard.entries:
            holders[entry.key].append((number, entry))
    found: list[list[Failure]] = [[] for _ in shards]
    for key, held in holders.items():
        for place, (number, entry) in enumerate(held):
            for earlier, other in held[:place]:
                if _same_clip(shards[earlier], other, shards[number], entry):
                    reason = f"the same clip, byte for byte, is in {shards[earlier].name}: left out"
                    found[number].append(Failure(shards[number].name, key, reason))
                    break
    return [tuple(sorted(failures)) for failures in found]


def _same_clip(one: Shard, entry: ClipEntry, two: Shard, other: ClipEntry) -> bool:
    if (entry.audio.size, entry.metadata.size) != (other.audio.size, other.metadata.size):
        return False
    with (
        contextlib.closing(ShardReader(one.path)) as first,
        contextlib.closing(ShardReader(two.path)) as second,
    ):
        return same_bytes([(first, entry.metadata), (second, other.metadata)]) and same_bytes(
            [(first, entry.audio), (second, other.audio)]
        )
