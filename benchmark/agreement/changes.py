"""Which items changed prediction between two runs over the same items.

What counts as a prediction depends on the task:

- one class: the class, for each item and seed (kNN: each item);
- several classes: the class with the highest logit, for each item and seed;
- events and notes: each segment and class that either run holds to be active, for each seed, so
  that long silence, on which all agree, does not hide what changed;
- captions: the rank of an item's first caption and of a caption's clip, for each seed;
- transcripts: the text, for each item and seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.agreement.loading import listed
from earmark.benchmark.result.schema import Predictions


@dataclass(frozen=True)
class Change:
    """One prediction that changed.

    key, crop, split: the item. seed: None for kNN. label: what is true of it, in words, where that
    can be said. was, now: in the reference, and as measured.
    """

    key: str
    crop: int
    split: str
    probe: str
    seed: int | None
    label: str
    was: str
    now: str


@dataclass(frozen=True)
class Changes:
    """How many of a cell's predictions changed, and the items in which any did."""

    changed: int
    total: int
    items: tuple[Change, ...]

    @property
    def share(self) -> float:
        """Share that changed, in 0..1."""
        return self.changed / self.total if self.total else 0.0

    def __str__(self) -> str:
        return f"{self.changed} of {self.total}"


class OtherItemsError(ValueError):
    """Two runs did not test the same items, so their predictions cannot be set side by side."""


def changes_of(
    measured: Predictions, reference: Predictions, probe: str, classes: Sequence[str] = ()
) -> Changes:
    """What changed in a probe's predictions.

    probe: `linear` or `knn`. classes: names by index; without them numbers are shown. Raises
    OtherItemsError, in one line, unless both hold the same items with the same labels.
    """
    _check_items(measured, reference)
    mine, theirs = getattr(measured, probe), getattr(reference, probe)
    if mine is None or theirs is None or mine.shape != theirs.shape:
        shapes = ["none" if one is None else str(one.shape) for one in (mine, theirs)]
        raise OtherItemsError(f"predictions of shape {shapes[0]}, in the reference {shapes[1]}")
    names = _Names(classes)
    if probe == "knn":
        return _classes(measured, reference, probe, names, mine[:, None], theirs[:, None])
    if reference.segments is not None:
        return _segments(measured, reference)
    if reference.caption_ranks is not None:
        return _ranks(measured, reference)
    if reference.labels.dtype.kind in "UO":
        return _cells(reference, probe, mine != theirs, str, mine, theirs, reference.labels)
    if reference.labels.ndim == 2:
        best = mine.argmax(axis=2).T, theirs.argmax(axis=2).T
        return _classes(measured, reference, probe, names, *best)
    return _classes(measured, reference, probe, names, mine, theirs)


class _Names:
    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes

    def __call__(self, index: Any) -> str:
        return self.classes[index] if 0 <= index < len(self.classes) else str(index)


def _check_items(measured: Predictions, reference: Predictions) -> None:
    mine, theirs = _places(measured), _places(reference)
    if mine != theirs:
        lost = [_shown(place) for place in dict.fromkeys(theirs) if place not in set(mine)]
        more = [_shown(place) for place in dict.fromkeys(mine) if place not in set(theirs)]
        words = [f"without {listed(lost, 3)}"] if lost else []
        words += [f"with {listed(more, 3)}"] if more else []
        raise OtherItemsError(
            f"tested on other items than the reference: {'; '.join(words) or 'in another order'}"
        )
    for name in ("labels", "segments"):
        one, other = getattr(measured, name), getattr(reference, name)
        if (one is None) != (other is None) or (
            one is not None and (one.shape != other.shape or (one != other).any())
        ):
            raise OtherItemsError(f"the items' {name} are not those of the reference")


def _places(predictions: Predictions) -> list[tuple[str, str, int]]:
    p = predictions
    return list(zip(p.splits.tolist(), p.keys.tolist(), p.crops.tolist(), strict=True))


def _shown(place: tuple[str, str, int]) -> str:
    _, key, crop = place
    return f"{key} (crop {crop})" if crop else key


def _classes(
    measured: Predictions,
    reference: Predictions,
    probe: str,
    names: _Names,
    mine: NDArray[np.int64],
    theirs: NDArray[np.int64],
) -> Changes:
    """Predicted classes (N, S) of both."""
    labels = reference.labels
    if labels.ndim == 2:
        true = [", ".join(names(c) for c in np.flatnonzero(row)) for row in labels]
    else:
        true = [names(label) for label in labels]
    return _cells(reference, probe, mine != theirs, names, mine, theirs, true)


def _cells(
    reference: Predictions,
    probe: str,
    differ: NDArray[np.bool_],
    shown: Callable[[Any], str],
    mine: NDArray[Any],
    theirs: NDArray[Any],
    labels: Sequence[Any] | NDArray[Any],
) -> Changes:
    """From one prediction for each item and seed: all (N, S)."""
    items = tuple(
        Change(
            *_item(reference, row), probe, None if probe == "knn" else int(seed),
            str(labels[row]), shown(theirs[row, seed]), shown(mine[row, seed]),
        )
        for row, seed in np.argwhere(differ)
    )  # fmt: skip
    return Changes(len(items), differ.size, items)


def _item(reference: Predictions, row: int) -> tuple[str, int, str]:
    return str(reference.keys[row]), int(reference.crops[row]), str(reference.splits[row])


def _segments(measured: Predictions, reference: Predictions) -> Changes:
    mine, theirs = (np.unpackbits(p.linear, axis=2).astype(bool) for p in (measured, reference))
    assert reference.segments is not None
    ends = np.concatenate([[0], np.cumsum(reference.segments)])

    def changed() -> Iterator[Change]:
        for row, (start, end) in enumerate(pairwise(ends)):
            for seed in range(len(mine)):
                now, was = mine[seed, start:end], theirs[seed, start:end]
                count = int((now != was).sum())
                if count:
                    yield Change(
                        *_item(reference, row), "linear", seed, "",
                        f"{was.sum()} active", f"{now.sum()} active, {count} changed",
                    )  # fmt: skip

    return Changes(int((mine != theirs).sum()), int((mine | theirs).sum()), tuple(changed()))


def _ranks(measured: Predictions, reference: Predictions) -> Changes:
    """Ranks are shown from 1."""

    def shown(rank: Any) -> str:
        return f"rank {int(rank) + 1}"

    clips = _cells(
        reference, "linear", measured.linear != reference.linear, shown,
        measured.linear, reference.linear, ["its captions"] * len(reference.keys),
    )  # fmt: skip
    mine, theirs = measured.caption_ranks, reference.caption_ranks
    if mine is None or theirs is None or mine.shape != theirs.shape:
        raise OtherItemsError("the captions are not those of the reference")
    owners = reference.labels
    number = np.arange(len(owners)) - np.searchsorted(owners, owners)
    captions = tuple(
        Change(
            *_item(reference, int(owners[row])), "linear", int(seed),
            f"from its caption {number[row] + 1}", shown(theirs[row, seed]), shown(mine[row, seed]),
        )
        for row, seed in np.argwhere(mine != theirs)
    )  # fmt: skip
    return Changes(clips.changed + len(captions), clips.total + mine.size, clips.items + captions)
