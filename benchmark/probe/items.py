"""Items: what a probe sees. Embeddings joined with labels, in an order that files do not decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.shards.annotations import LabelError
from earmark.benchmark.shards.dataset import DataError, Dataset
from earmark.benchmark.shards.labels import Labelled, within_clip
from earmark.benchmark.shards.shard import Failure
from earmark.benchmark.store import ShardEmbeddings


@dataclass(frozen=True)
class Items:
    """All items (crops) of a task, sorted by split, clip key, shard and crop.

    Attributes:
        embeddings: (N, D) float32, where a clip's mean is wanted; else (0, D).
        labels: (N,) int64 class indices, or (N, C) bool for a multi-label task; else (0,).
        splits, keys, crops: (N,) the split or fold, clip key and number of the crop.
        sources: (N,) int64, numbers of the sources; source_names: their names.
        guessed_sources: clips that the source rule did not fit, so that each is its own source.
        frames: N arrays (F, D) float16, where a clip's frames are wanted; else empty.
        annotations: N labels that are no classes: `Event`s, captions, a transcript; else empty.
        seconds: (N,) audio of each item's clip; of a task by frames, the length of its file.
    """

    embeddings: NDArray[np.float32]
    labels: NDArray[np.int64] | NDArray[np.bool_]
    splits: NDArray[np.str_]
    keys: NDArray[np.str_]
    crops: NDArray[np.int64]
    sources: NDArray[np.int64]
    source_names: list[str]
    guessed_sources: int
    frames: list[NDArray[np.float16]] = field(default_factory=list)
    annotations: list[tuple[Any, ...]] = field(default_factory=list)
    seconds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def clips(self) -> NDArray[np.int64]:
        """(N,) the number of each item's clip; the items of a clip lie together."""
        apart = (self.keys[1:] != self.keys[:-1]) | (self.splits[1:] != self.splits[:-1])
        # two shards may hold a clip of one key
        apart |= self.crops[1:] <= self.crops[:-1]
        numbers: NDArray[np.int64] = np.append(0, np.cumsum(apart))[: len(self)]
        return numbers

    def straddling_sources(self) -> int:
        """Sources with items in more than one of the given splits or folds."""
        pairs = np.unique(np.stack([self.sources, _numbers(self.splits)]), axis=1)
        return int((np.bincount(pairs[0]) > 1).sum())


def join_items(
    dataset: Dataset,
    embeddings: Sequence[ShardEmbeddings],
    labels: Sequence[dict[str, Labelled]],
) -> Items:
    """Items of the clips that have both an embedding and a label.

    Args:
        dataset: the task's shards.
        embeddings: of each shard.
        labels: of each shard, by clip key.

    Raises:
        DataError: there are none.
    """
    rows: list[_Row] = []
    guessed = 0
    for number, (part, entry, known) in enumerate(
        zip(dataset.shards, embeddings, labels, strict=True)
    ):
        first = 0
        for key, crops, seconds in zip(entry.keys, entry.crops, entry.seconds, strict=True):
            if key in known and (part.keys is None or key in part.keys):
                guessed += known[key].source is None and not dataset.spec.source.by_clip
                rows += [
                    _Row(part.split, key, part.shard.name, crop, number, first + crop, seconds)
                    for crop in range(crops)
                ]
            first += crops
    order = {split: rank for rank, split in enumerate(dataset.spec.shard_patterns)}
    rows.sort(key=lambda row: (order[row.split], row.key, row.shard, row.crop))
    if not rows:
        raise DataError("no clip is left to score")
    found = [labels[row.number][row.key] for row in rows]
    of_clips = dataset.spec.kind.of_clips
    sources, names = _sources(rows, [label.source for label in found])
    return Items(
        embeddings=_matrix(rows, embeddings),
        frames=_frames(rows, embeddings),
        labels=_label_array([label.label for label in found] if of_clips else [], dataset),
        annotations=[] if of_clips else [label.label for label in found],
        seconds=np.array([row.seconds for row in rows]),
        splits=np.array([row.split for row in rows]),
        keys=np.array([row.key for row in rows]),
        crops=np.array([row.crop for row in rows]),
        sources=sources,
        source_names=names,
        guessed_sources=guessed,
    )


class _Row(NamedTuple):
    """Where an item comes from. place: its number among the crops of shard `number`."""

    split: str
    key: str
    shard: str
    crop: int
    number: int
    place: int
    seconds: float


def _matrix(rows: list[_Row], embeddings: Sequence[ShardEmbeddings]) -> NDArray[np.float32]:
    dimension = embeddings[0].embeddings.shape[1]
    if embeddings[0].frames is not None:
        return np.zeros((0, dimension), np.float32)
    matrix = np.empty((len(rows), dimension), np.float32)
    shard_of = np.array([row.number for row in rows])
    place_of = np.array([row.place for row in rows])
    for number, entry in enumerate(embeddings):
        mine = np.flatnonzero(shard_of == number)
        matrix[mine] = entry.embeddings[place_of[mine]]
    return matrix


def _frames(rows: list[_Row], embeddings: Sequence[ShardEmbeddings]) -> list[NDArray[np.float16]]:
    """Views of the entries' arrays, which may be memory-mapped: nothing is read here."""
    if embeddings[0].frames is None:
        return []
    starts = [np.concatenate([[0], np.cumsum(entry.frames or [])]) for entry in embeddings]
    return [
        np.asarray(
            embeddings[row.number].embeddings[
                int(starts[row.number][row.place]) : int(starts[row.number][row.place + 1])
            ]
        )
        for row in rows
    ]


def _sources(rows: list[_Row], found: list[str | None]) -> tuple[NDArray[np.int64], list[str]]:
    """Each item's source as a number, and the sources' names.

    Where there is none the clip is its own source, by its key; a key that several shards hold is
    told apart by the shard, which no rule's source can be (it holds a NUL).
    """
    shards: dict[str, set[str]] = {}
    for row in rows:
        shards.setdefault(row.key, set()).add(row.shard)
    names: dict[str, int] = {}
    numbers = np.empty(len(rows), np.int64)
    for i, (row, source) in enumerate(zip(rows, found, strict=True)):
        own = f"{row.shard}\0{row.key}" if len(shards[row.key]) > 1 else f"\0{row.key}"
        numbers[i] = names.setdefault(own if source is None else source, len(names))
    return numbers, [name.lstrip("\0").replace("\0", "/") for name in names]


def within_clips(
    dataset: Dataset,
    labels: Sequence[dict[str, Labelled]],
    embeddings: Sequence[ShardEmbeddings],
) -> list[tuple[dict[str, Labelled], list[Failure]]]:
    """Labels without the events that begin after the end of their clip.

    Args:
        dataset: the task's shards.
        labels: of each shard, by clip key.
        embeddings: of each shard; they know how long clips are.

    Returns:
        Of each shard, labels by clip key, and the clips of which no event is left: to take them for
        quiet ones would be made up.
    """
    made = []
    for part, known, entry in zip(dataset.shards, labels, embeddings, strict=True):
        lengths = dict(zip(entry.keys, entry.seconds, strict=True))
        kept: dict[str, Labelled] = {}
        failures = []
        for key, found in known.items():
            try:
                kept[key] = within_clip(found, lengths.get(key, math.inf))
            except LabelError as error:
                failures.append(Failure(part.shard.name, key, str(error)))
        made.append((kept, failures))
    return made


def seconds_of(dataset: Dataset, embeddings: list[ShardEmbeddings]) -> float:
    """Audio of the clips asked for, in seconds; an entry of the store may hold more clips."""
    total = sum(
        seconds
        for part, entry in zip(dataset.shards, embeddings, strict=True)
        for key, seconds in zip(entry.keys, entry.seconds, strict=True)
        if part.keys is None or key in part.keys
    )
    return round(total, 3)


def _label_array(
    labels: list[tuple[int, ...]], dataset: Dataset
) -> NDArray[np.int64] | NDArray[np.bool_]:
    if not dataset.spec.kind.several:
        return np.array([label[0] for label in labels], np.int64)
    hot = np.zeros((len(labels), dataset.spec.num_classes), np.bool_)
    for row, label in zip(hot, labels, strict=True):
        row[list(label)] = True
    return hot


def _numbers(values: NDArray[np.str_]) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = np.unique(values, return_inverse=True)[1].reshape(-1)
    return numbers
