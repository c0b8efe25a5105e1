"""Nested subsets of a few clips a class, the same for every encoder.

A clip's place is decided by SHA-256 of its key, a source's by that of its name, both with the
number of the draw and the test fold: so nothing but these decides what is drawn, and a clip that
one encoder could not embed alters no more than its own place. Of each class one clip of every
source comes first, then a second one of every source that has it, and so on; the first k are the
subset, so that of k is part of that of any larger one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.linear import first_of_clips
from earmark.benchmark.probe.splits import Split

Indices = NDArray[np.int64]
HELD_OUT = 5  # one clip in so many of each class chooses the strength


@dataclass(frozen=True)
class Subset:
    """What one draw trains on, as indices of items: all crops of the drawn clips.

    train, valid: the subset in two; of k clips a class k // 5, at least one of two, are the
    validation part: those drawn last, so of other sources where there are enough. Of a single clip
    nothing can be held out. clips: its clips, as the index of the first item of each. by_class:
    (C,) clips that have each class. short: classes that had fewer clips than were asked for.
    """

    train: Indices
    valid: Indices
    clips: Indices
    by_class: Indices
    short: int

    @property
    def every(self) -> Indices:
        return np.union1d(self.train, self.valid)


class Draw:
    """One draw from a split's training part: each class' clips in their order."""

    def __init__(self, items: Items, split: Split, classes: int, number: int) -> None:
        self.items, self.numbers = items, items.clips
        pool = np.sort(split.given_train)
        firsts = pool[first_of_clips(self.numbers[pool])]
        labels = items.labels[firsts]
        self.has = labels if labels.ndim == 2 else labels[:, None] == np.arange(classes)
        self.firsts = firsts
        seed = f"shots\0{number}\0{split.name}"
        places = np.array([_rank(f"{seed}\0clip\0{items.keys[i]}") for i in firsts], np.uint64)
        self.order = [
            self._ordered(places, own, f"{seed}\0{c}") for c, own in enumerate(self.has.T)
        ]

    def _ordered(self, places: NDArray[np.uint64], own: NDArray[np.bool_], seed: str) -> Indices:
        """Places among `firsts` of a class' clips, source after source in turn."""
        mine = np.flatnonzero(own)
        sources = self.items.sources[self.firsts[mine]]
        known, number = np.unique(sources, return_inverse=True)
        names = [self.items.source_names[source] for source in known]
        of_source = np.array([_rank(f"{seed}\0{name}") for name in names], np.uint64)[number]
        by_source = np.lexsort((places[mine], number))
        begins = np.searchsorted(number[by_source], np.arange(len(known)))
        turn = np.empty(len(mine), np.int64)
        turn[by_source] = np.arange(len(mine)) - begins[number[by_source]]
        ordered: Indices = mine[np.lexsort((places[mine], of_source, turn))]
        return ordered

    def subset(self, shots: int) -> Subset:
        """The first so many clips of each class; one that has several classes counts for each."""
        drawn = [own[:shots] for own in self.order]
        held = [own[len(own) - max(len(own) // HELD_OUT, len(own) > 1) :] for own in drawn]
        every, valid = np.unique(np.concatenate(drawn)), np.unique(np.concatenate(held))
        train = np.setdiff1d(every, valid)
        if len(train) == 0:  # with several labels, where each clip is held out for one of them
            train, valid = valid, train
        return Subset(
            self._items(train), self._items(valid), self.firsts[every],
            self.has[every].sum(axis=0), sum(0 < len(own) < shots for own in self.order),
        )  # fmt: skip

    def _items(self, places: Indices) -> Indices:
        return np.flatnonzero(np.isin(self.numbers, self.numbers[self.firsts[places]]))


def _rank(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
