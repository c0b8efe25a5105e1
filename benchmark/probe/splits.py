"""Which items train, validate and test: one function for folds and for given splits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.probe.items import Items
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.shards.dataset import DataError
from earmark.tasks import TaskSpec

Indices = NDArray[np.int64]
_OVERSHOOT = 2  # times its share is the largest that a validation part becomes, where it can


@dataclass(frozen=True)
class Split:
    """Item indices of one round of training and testing; train, valid and test are disjoint.

    (Where a protocol validates on the test part, valid is test.)

    name: the test fold's name, or `test`.
    given_train: train as the data set gives it, before a validation part was held out. kNN
        looks its neighbours up here: it chooses nothing, so it needs no validation.
    """

    name: str
    train: Indices
    valid: Indices
    test: Indices
    given_train: Indices

    @property
    def sizes(self) -> dict[str, int]:
        """Items of each part."""
        return {"train": len(self.train), "valid": len(self.valid), "test": len(self.test)}


def make_splits(items: Items, spec: TaskSpec, protocol: Protocol) -> list[Split]:
    """One Split per fold, or a single one. Raises DataError where a part would be empty."""
    parts = {name: np.flatnonzero(items.splits == name) for name in spec.shard_patterns}
    for name, indices in parts.items():
        if len(indices) == 0:
            what = "fold" if spec.folds else "split"
            raise DataError(f"no usable clip in {what} {name}")
    splits = []
    if spec.folds:
        for test_fold, test in parts.items():
            others = np.concatenate([parts[fold] for fold in parts if fold != test_fold])
            splits.append(_with_validation(test_fold, others, test, items, protocol))
    elif "valid" in parts:
        train = parts["train"]
        splits.append(Split("test", train, parts["valid"], parts["test"], train))
    else:
        splits.append(_with_validation("test", parts["train"], parts["test"], items, protocol))
    for split in splits:
        apart = [split.train, split.test] if split.valid is split.test else [
            split.train, split.valid, split.test
        ]  # fmt: skip
        together = np.concatenate(apart)
        if len(np.unique(together)) < len(together):
            raise AssertionError(f"split {split.name}: train, valid and test overlap")
    return splits


def _with_validation(
    name: str, train: Indices, test: Indices, items: Items, protocol: Protocol
) -> Split:
    """A split of a data set that has no validation part of its own."""
    if protocol.validation == "test":
        return Split(name, train, test, test, train)
    kept, valid = hold_out(train, items, protocol.validation_share, alike=test)
    return Split(name, kept, valid, test, train)


def hold_out(
    indices: Indices, items: Items, share: float, alike: Indices | None = None
) -> tuple[Indices, Indices]:
    """Divide `indices` into train and validation, whole sources each.

    Sources in the order of the SHA-256 of their names go to validation until it holds `share` of
    the items, but for those that would make it more than twice that: a fixed choice, the same for
    every seed and encoder. Where that leaves it with less than half its share, the smallest of the
    others go too, unless they are most of the items.

    alike: the test items. Where most of them are of sources that are trained on, whole clips are
    held out in place of whole sources: what is chosen for new speakers is the wrong choice for a
    test of known ones (spoken digits, whose folds share their speakers: accuracy of `logmel` 0.889
    with a speaker held out, 0.908 with clips).
    """
    sources, names = items.sources, items.source_names
    if alike is not None and np.isin(sources[alike], sources[indices]).mean() > 0.5:
        clips, numbers_of_clips = np.unique(items.keys[indices], return_inverse=True)
        sources = np.zeros(len(items), np.int64)
        sources[indices] = numbers_of_clips.reshape(-1)
        names = clips.tolist()
    numbers, sizes = np.unique(sources[indices], return_counts=True)
    if len(numbers) < 2:
        raise DataError(
            f"all {len(indices)} training items come from one source "
            f"({names[int(numbers[0])]}), so no validation part can be held out; "
            "fix the task's source rule or add data"
        )
    ranked = sorted(range(len(numbers)), key=lambda i: _rank(names[int(numbers[i])]))
    held: list[int] = []
    for i in ranked:
        if sizes[held].sum() >= share * len(indices) or len(held) == len(numbers) - 1:
            break
        if sizes[held].sum() + sizes[i] <= _OVERSHOOT * share * len(indices):
            held.append(i)
    # too few are no use: then the smallest of what is left, unless that is most of the items
    while sizes[held].sum() < share * len(indices) / 2 and len(held) < len(numbers) - 1:
        smallest = min((i for i in ranked if i not in held), key=lambda i: sizes[i])
        if held and sizes[held].sum() + sizes[smallest] > len(indices) / 2:
            break
        held.append(smallest)
    in_valid = np.isin(sources[indices], numbers[held])
    return indices[~in_valid], indices[in_valid]


def _rank(source: str) -> bytes:
    return hashlib.sha256(f"validation {source}".encode()).digest()
