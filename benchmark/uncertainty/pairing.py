"""Which items two encoders have in common, and whether these are the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.result.schema import Predictions


class UnpairedError(ValueError):
    """Two sets of predictions that cannot be compared item by item. A few words: why."""


@dataclass(frozen=True)
class Pairing:
    """Rows of the items that both have, in the order of the first.

    first, second: (N,) rows in each. only_first, only_second: items that the other lacks.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    only_first: int
    only_second: int


def pair(first: Predictions, second: Predictions) -> Pairing:
    """Pair items by test fold, clip key and crop.

    Raises UnpairedError where nothing is common, where common items have other labels or sources,
    and where captions were ranked among other clips: ranks cannot be made again without those.
    """
    names, others = _names(first), {name: row for row, name in enumerate(_names(second))}
    common = [(row, others[name]) for row, name in enumerate(names) if name in others]
    if not common:
        raise UnpairedError("they have no item in common")
    mine, theirs = np.array(common).T
    found = Pairing(mine, theirs, len(names) - len(mine), len(others) - len(theirs))
    if (first.sources[mine] != second.sources[theirs]).any():
        raise UnpairedError("items have other sources")
    wanted, other = _labels(first), _labels(second)
    if len(mine) == len(names) == len(others) and (mine == theirs).all():
        same = wanted == other
    else:
        if first.caption_ranks is not None:
            raise UnpairedError("captions were ranked among other clips, as some failed")
        same = all(wanted[i] == other[j] for i, j in common)
    if not same:
        raise UnpairedError("items have other labels")
    return found


def fingerprint(predictions: Predictions) -> str:
    """SHA-256 of the items, their sources and labels; of equal ones no pairing is needed."""
    digest = hashlib.sha256()
    for part in (predictions.keys, predictions.sources, predictions.splits):
        digest.update("\0".join(part.tolist()).encode() + b"\n")
    digest.update(np.asarray(predictions.crops, "<i8").tobytes())
    for label in _labels(predictions):
        digest.update(hashlib.sha256(label).digest())
    return digest.hexdigest()


def _names(predictions: Predictions) -> list[tuple[str, str, int, int]]:
    """Fold, key, crop; and which of those that share all three (other shards hold such keys)."""
    seen: Counter[tuple[str, str, int]] = Counter()
    names = []
    for name in zip(
        predictions.splits.tolist(), predictions.keys.tolist(), predictions.crops.tolist(),
        strict=True,
    ):  # fmt: skip
        names.append((*name, seen[name]))
        seen[name] += 1
    return names


def _labels(predictions: Predictions) -> list[bytes]:
    """What was wanted of each item, as bytes; of captions, which are whose, of all in one."""
    labels = predictions.labels
    if predictions.caption_ranks is not None:
        return [np.asarray(labels, "<i8").tobytes()]
    if predictions.segments is not None:
        ends = np.concatenate([[0], np.cumsum(predictions.segments)]).tolist()
        return [labels[start:end].tobytes() for start, end in pairwise(ends)]
    if labels.dtype.kind == "U":
        return [text.encode() for text in labels.tolist()]
    whole = np.ascontiguousarray(labels, bool if labels.ndim == 2 else "<i8")
    return [row.tobytes() for row in whole]
