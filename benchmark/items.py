"""Items: what a probe sees. Embeddings joined with labels, in an order that files do not decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.dataset import DataError, Dataset
from benchmark.labels import Labelled
from benchmark.shards import Failure
from benchmark.store import ShardEmbeddings


@dataclass(frozen=True)
class Items:
    """All items (crops) of a task, sorted by split, clip key, shard and crop.

    embeddings: (N, D) float32.
    labels: (N,) int64 class indices, or (N, C) bool for a multi-label task.
    splits, keys, crops: (N,) the split or fold, clip key and number of the crop.
    sources: (N,) int64, numbers of the sources; source_names: their names.
    guessed_sources: clips that the source rule did not fit, so that each is its own source.
    """

    embeddings: NDArray[np.float32]
    labels: NDArray[np.int64] | NDArray[np.bool_]
    splits: NDArray[np.str_]
    keys: NDArray[np.str_]
    crops: NDArray[np.int64]
    sources: NDArray[np.int64]
    source_names: list[str]
    guessed_sources: int

    def __len__(self) -> int:
        return len(self.keys)

    def straddling_sources(self) -> int:
        """Sources with items in more than one of the given splits or folds."""
        pairs = np.unique(np.stack([self.sources, _numbers(self.splits)]), axis=1)
        return int((np.bincount(pairs[0]) > 1).sum())


def join_items(
    dataset: Dataset,
    embeddings: Sequence[ShardEmbeddings],
    labels: Sequence[dict[str, Labelled]],
) -> Items:
    """Items of the clips that have both an embedding and a label; one element a shard each."""
    rows: list[tuple[str, str, str, int, int, int]] = []
    guessed = 0
    for number, (part, entry, known) in enumerate(
        zip(dataset.shards, embeddings, labels, strict=True)
    ):
        first = 0
        for key, crops in zip(entry.keys, entry.crops, strict=True):
            if key in known and (part.keys is None or key in part.keys):
                guessed += known[key].source is None and not dataset.spec.source.by_clip
                rows += [
                    (part.split, key, part.shard.name, crop, number, first + crop)
                    for crop in range(crops)
                ]
            first += crops
    order = {split: rank for rank, split in enumerate(dataset.spec.shard_patterns)}
    rows.sort(key=lambda row: (order[row[0]], *row[1:4]))
    if not rows:
        raise DataError("no clip is left to score")
    dimension = embeddings[0].embeddings.shape[1]
    matrix = np.empty((len(rows), dimension), np.float32)
    shard_of = np.array([row[4] for row in rows])
    row_of = np.array([row[5] for row in rows])
    for number, entry in enumerate(embeddings):
        mine = np.flatnonzero(shard_of == number)
        matrix[mine] = entry.embeddings[row_of[mine]]
    names: dict[str, int] = {}
    sources = np.empty(len(rows), np.int64)
    for i, (_, key, shard, _, number, _) in enumerate(rows):
        source = labels[number][key].source
        # a clip is told from one of the same key in another shard; no rule's source holds a NUL
        name = source if source is not None else f"{shard}\0{key}"
        sources[i] = names.setdefault(name, len(names))
    return Items(
        embeddings=matrix,
        labels=_label_array([labels[row[4]][row[1]].label for row in rows], dataset),
        splits=np.array([row[0] for row in rows]),
        keys=np.array([row[1] for row in rows]),
        crops=np.array([row[3] for row in rows]),
        sources=sources,
        source_names=[name.replace("\0", "/") for name in names],
        guessed_sources=guessed,
    )


def clip_failures(
    dataset: Dataset,
    embeddings: Sequence[ShardEmbeddings],
    label_failures: Sequence[list[Failure]],
) -> list[Failure]:
    """Every failure among the clips asked for, each clip once, sorted."""
    failures: dict[tuple[str, str], Failure] = {}
    for part, entry, more in zip(dataset.shards, embeddings, label_failures, strict=True):
        paired = {clip.key for clip in part.shard.entries}
        for failure in [*part.shard.failures, *entry.failures, *more]:
            asked = part.keys is None or failure.key in part.keys or failure.key not in paired
            if asked:
                failures.setdefault((failure.shard, failure.key), failure)
    return sorted(failures.values())


def _label_array(
    labels: list[tuple[int, ...]], dataset: Dataset
) -> NDArray[np.int64] | NDArray[np.bool_]:
    if dataset.spec.label.kind == "class":
        return np.array([label[0] for label in labels], np.int64)
    hot = np.zeros((len(labels), dataset.spec.num_classes), np.bool_)
    for row, label in zip(hot, labels, strict=True):
        row[list(label)] = True
    return hot


def _numbers(values: NDArray[np.str_]) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = np.unique(values, return_inverse=True)[1].reshape(-1)
    return numbers
