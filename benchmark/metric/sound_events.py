"""Segment-based F1 of what is heard when (Mesaros, Heittola, Virtanen 2016, section 3.1.1).

Time is cut into segments of equal length from 0 s on, the last of which may reach beyond the
clip. Segments and what is true of them follow from seconds alone, so encoders of any frame rate
are scored on the same ones. Onsets belong to an event, offsets do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earmark.benchmark.result.schema import Predictions
from earmark.tasks.spec import Event

# Times are compared to this many decimals of a segment: 0.3 / 0.1 is below 3 in floating point.
_DECIMALS = 6


def segment_total(seconds: float, segment_s: float) -> int:
    """Segments that a clip of so many seconds has; one at least.

    Example:
        >>> segment_total(2.3, 0.5)
        5
    """
    return max(1, math.ceil(round(seconds / segment_s, _DECIMALS)))


def segments_of_events(
    events: Iterable[Event], seconds: float, segment_s: float, classes: int
) -> NDArray[np.bool_]:
    """Whether an event of a class overlaps a segment.

    Args:
        events: of one clip.
        seconds: the clip's length.
        segment_s: a segment's length in seconds.
        classes: how many there are, C.

    Returns:
        (N, C) for the N segments of the clip.

    Example:
        >>> segments_of_events([Event(0.2, 0.6, 1)], 1.5, 0.5, 2).astype(int).tolist()
        [[0, 1], [0, 1], [0, 0]]
    """
    total = segment_total(seconds, segment_s)
    found = np.zeros((total, classes), np.bool_)
    for onset, offset, label in events:
        first = math.floor(round(onset / segment_s, _DECIMALS))
        found[first : math.ceil(round(offset / segment_s, _DECIMALS)), label] = True
    return found


def segments_of_frames(
    active: NDArray[np.bool_], frame_rate: float, total: int, segment_s: float
) -> NDArray[np.bool_]:
    """Whether any frame of a segment is active.

    A frame belongs to the segment that its centre is in. A segment without a frame's centre (the
    frames are longer than it) takes the frame that covers its own centre, or the last.

    Args:
        active: (F, C) of F frames, one at least.
        frame_rate: in Hz.
        total: how many segments there are.
        segment_s: a segment's length in seconds.

    Returns:
        (total, C).
    """
    centres = (np.arange(len(active)) + 0.5) / frame_rate
    segment = np.floor(np.round(centres / segment_s, _DECIMALS)).astype(np.int64)
    bounds = np.searchsorted(segment, np.arange(total + 1))
    sums = np.zeros((len(active) + 1, active.shape[1]), np.int32)
    np.cumsum(active, axis=0, out=sums[1:])
    found: NDArray[np.bool_] = sums[bounds[1:]] > sums[bounds[:-1]]
    empty = np.flatnonzero(bounds[1:] == bounds[:-1])
    middle = np.round((empty + 0.5) * segment_s * frame_rate, _DECIMALS)
    covering = np.floor(middle).astype(np.int64)
    found[empty] = active[np.minimum(covering, len(active) - 1)]
    return found


def segment_counts(reference: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """True positives, false positives, false negatives of each class: two (N, C) -> (C, 3)."""
    hits = (reference & predicted).sum(axis=0)
    return np.stack([hits, predicted.sum(axis=0) - hits, reference.sum(axis=0) - hits], axis=1)


def segment_item_counts(
    predictions: Predictions, _: str, classes: int | None, *, average: str
) -> NDArray[np.float64]:
    """`segment_counts` of each item by each seed: (N, S, C, 3).

    Args:
        predictions: of events or notes: packed segments.
        classes: C; where it is not known, what packing filled up counts as classes that do not
            occur.
        average: of `micro` F1 the classes are summed, C is 1: these are fewer to resample.
    """
    assert predictions.segments is not None, "no segments"
    wanted = np.unpackbits(predictions.labels, axis=1, count=classes)
    items = np.flatnonzero(predictions.segments)  # an item may have none; it adds nothing
    starts = (np.cumsum(predictions.segments) - predictions.segments)[items]
    counts = np.zeros((len(predictions.segments), len(predictions.linear), wanted.shape[1], 3))
    for seed, packed in enumerate(predictions.linear):
        found = np.unpackbits(packed, axis=1, count=classes)
        for kind, cells in enumerate((wanted & found, found & ~wanted, wanted & ~found)):
            counts[items, seed, :, kind] = np.add.reduceat(cells & 1, starts, dtype=np.int64)
    return counts.sum(axis=2, keepdims=True) if average == "micro" else counts


def f1_of_counts(
    counts: ArrayLike, average: str, absent_classes: str = "left out"
) -> NDArray[np.float64]:
    """F1 of counts.

    Args:
        counts: (..., C, 3) as `segment_counts` gives them.
        average: `macro`, the mean over the classes that occur in the reference; `micro`, of the
            counts of all classes together.
        absent_classes: where it is `zero`, classes that do not occur count as 0 in the macro mean.

    Returns:
        (...) shares in 0..1; NaN where nothing occurs in the reference.

    Raises:
        ValueError: average is neither.

    Example:
        >>> float(f1_of_counts([[3, 1, 1], [0, 2, 0]], "macro"))
        0.75
    """
    counts = np.asarray(counts, np.float64)
    if average == "micro":
        return _f1(counts.sum(axis=-2))
    if average != "macro":
        raise ValueError(f"average must be macro or micro, not {average!r}")
    each = _f1(counts)
    known = ~np.isnan(each)
    if absent_classes == "zero":
        zeroed: NDArray[np.float64] = np.nan_to_num(each).mean(axis=-1)
        return np.where(known.any(axis=-1), zeroed, np.nan)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.where(known, each, 0).sum(axis=-1) / known.sum(axis=-1)
    return mean


def segment_f1(reference: NDArray[np.bool_], predicted: NDArray[np.bool_], average: str) -> float:
    """F1 of predicted segments, both (N, C). average: `macro` or `micro`."""
    return float(f1_of_counts(segment_counts(reference, predicted), average))


def constant_guess(active: NDArray[np.int64], total: int, average: str) -> NDArray[np.bool_]:
    """Which classes to take as always active, for the highest segment F1.

    Macro: a class that is never predicted has an F1 of 0, one that always is 2p / (1 + p) where p
    is its share of the segments: all that occur. Micro: the F1 of always predicting k classes is
    2 h / (k N + P), where h is how often these are active and P how often all are; of k classes the
    most active are the best, so every k is tried.

    Args:
        active: (C,) in how many of the segments each class is active.
        total: how many segments there are, N.
        average: `macro` or `micro`.

    Returns:
        (C,).
    """
    if average == "macro":
        return np.asarray(active > 0)
    order = np.argsort(-active, kind="stable")
    hits = np.cumsum(active[order])
    with np.errstate(invalid="ignore"):
        f1 = 2 * hits / (np.arange(1, len(active) + 1) * total + active.sum())
    guess = np.zeros(len(active), np.bool_)
    if active.any():
        guess[order[: int(f1.argmax()) + 1]] = True
    return guess


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    hits, wrong, missed = np.moveaxis(counts, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * hits / (2 * hits + wrong + missed)
    return np.where(hits + missed > 0, f1, np.nan)
