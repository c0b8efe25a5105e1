"""A cell's values: its score, and its score without each source.

Sources go by name, so two cells on the same items are paired, source by source, though each was
computed by itself. Only where one of them lost clips are both computed again, on the items that
they share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.result.files import predictions_bytes, read_predictions
from earmark.benchmark.result.schema import (
    Predictions,
    ResultError,
    RunResult,
)
from earmark.benchmark.uncertainty.cache import Values, key_of, load_values, save_values
from earmark.benchmark.uncertainty.pairing import UnpairedError, fingerprint, pair
from earmark.benchmark.uncertainty.statistic import without_each_source

_SAME = 1e-6  # a score and what its predictions give may differ by rounding


def values_of(
    results: Sequence[RunResult], cache: Path, track: ProgressFactory = no_progress
) -> list[Values | str]:
    """Values of each of several cells of one task and data set.

    Args:
        results: the cells.
        cache: folder in which values are kept.
        track: what shows the progress.

    Returns:
        The values of each; or, in a line, why there are none.
    """
    found: dict[int, Values | str] = {}
    missing: list[int] = []
    for place, result in enumerate(results):
        try:
            predictions_bytes(result)  # what is kept does not stand for altered ones
        except ResultError as error:
            found[place] = str(error)
            continue
        known = load_values(cache, key_of([result]))
        if known is None:
            missing.append(place)
        else:
            found[place] = known
    if missing:
        what = f"{results[missing[0]].task['name']}: leaving out source after source"
        with track(what, len(missing), "cells") as bar:
            for place in missing:
                found[place] = _new(results[place], cache)
                bar.advance(1)
    return [found[place] for place in range(len(results))]


def common_values(
    first: RunResult, second: RunResult, cache: Path
) -> tuple[Values, Values, int, int]:
    """Values of two cells on the items that they share.

    Args:
        first: a cell.
        second: another of the same task.
        cache: folder in which values are kept.

    Returns:
        Values of the first and of the second, and how many items each has beyond.

    Raises:
        UnpairedError: they cannot be compared item by item. One line.
        ResultError: predictions are not there, or not those of the result. One line.
    """
    one, other = read_predictions(first), read_predictions(second)
    pairing = pair(one, other)
    keys = [key_of([*order]) for order in ((first, second), (second, first))]
    mine, theirs = (load_values(cache, key) for key in keys)
    if mine is None or theirs is None:
        mine = _values(first, one, pairing.first)
        theirs = _values(second, other, pairing.second)
        for key, values in zip(keys, (mine, theirs), strict=True):
            save_values(cache, key, values)
    return mine, theirs, pairing.only_first, pairing.only_second


def drawn_from(sources: Iterable[str], shards: Iterable[str]) -> str:
    """Fingerprint of some sources and of the data, by its shards' SHA-256, that they are in.

    Tasks over the same sources of the same data go up and down together; others do not.
    """
    text = "\n".join([*sorted(set(shards)), "", *sorted(set(sources))])
    return hashlib.sha256(text.encode()).hexdigest()


def _new(result: RunResult, cache: Path) -> Values | str:
    """Values from the predictions, kept for later; or, in a line, why there are none."""
    try:
        values = _values(result, read_predictions(result))
    except (ResultError, UnpairedError) as error:
        return str(error)
    fault = _fault(values, result)
    if not fault:
        save_values(cache, key_of([result]), values)
    return fault or values


def _values(
    result: RunResult, predictions: Predictions, rows: NDArray[np.int64] | None = None
) -> Values:
    """rows: the items that count; all where None."""
    sources = predictions.sources if rows is None else predictions.sources[rows]
    return Values(
        fingerprint(predictions) if rows is None else "common",
        drawn_from(sources.tolist(), (shard["sha256"] for shard in result.data["shards"])),
        np.unique(sources, return_counts=True)[1],
        {probe: without_each_source(result, probe, predictions, rows) for probe in result.scores},
    )


def _fault(values: Values, result: RunResult) -> str:
    """In a line, where a result's score is not what its predictions give."""
    for probe, score in result.scores.items():
        found = float(values.by_probe[probe][0])
        if not np.isclose(found, score.value, rtol=0, atol=_SAME, equal_nan=True):
            return (
                f"{result.path}: its {probe} score is {score.value:.6f}, but its predictions "
                f"give {found:.6f}; run the task again"
            )
    return ""
