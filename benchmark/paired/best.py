"""The best of a task's row, and what cannot be told from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from benchmark.paired.items import UnpairedError
from benchmark.paired.kept import Values
from benchmark.paired.significance import difference_of
from benchmark.paired.values import common_values, values_of
from benchmark.progress import Track, silent
from benchmark.result import ResultError, RunResult


def best_cells(
    results: Mapping[str, RunResult], cache: Path, track: Track = silent
) -> tuple[dict[str, frozenset[str]], list[str]]:
    """By probe, the columns with the best score and those not told from it; and why some were not
    compared, a line each.

    results: by column, of one task on the same data. A probe with fewer than two scores is left
    out. Where nothing can be said (predictions are missing, one source) only the best is best.
    """
    scores = {
        probe: {
            column: result.scores[probe]
            for column, result in results.items()
            if probe in result.scores and math.isfinite(result.scores[probe].value)
        }
        for probe in dict.fromkeys(probe for result in results.values() for probe in result.scores)
    }
    scores = {probe: columns for probe, columns in scores.items() if len(columns) > 1}
    if not scores:
        return {}, []
    values = dict(zip(results, values_of(list(results.values()), cache, track), strict=True))
    best: dict[str, frozenset[str]] = {}
    reasons: list[str] = []
    for probe, by_column in scores.items():
        top = max(by_column, key=lambda column: by_column[column].value)
        equal = {column for column in by_column if by_column[column].value == by_column[top].value}
        for column in by_column.keys() - equal:
            try:
                one, other = _paired(top, column, results, values, cache, track)
            except (UnpairedError, ResultError) as error:
                reasons.append(f"{column}: {error}")
                continue
            found = difference_of(
                one.by_probe[probe], other.by_probe[probe], one.sources, by_column[top].confidence
            )
            if found.p is None:
                reasons.append(f"{column}: nothing can be said of {one.sources} source")
            elif found.p >= 1 - by_column[top].confidence:
                equal.add(column)
        best[probe] = frozenset(equal)
    return best, sorted(set(reasons))


def _paired(
    top: str,
    column: str,
    results: Mapping[str, RunResult],
    values: Mapping[str, Values | str],
    cache: Path,
    track: Track,
) -> tuple[Values, Values]:
    """Values of two columns on the same items. Raises UnpairedError and ResultError."""
    one, other = values[top], values[column]
    for found in (one, other):
        if isinstance(found, str):
            raise UnpairedError(found)
    assert isinstance(one, Values)
    assert isinstance(other, Values)
    if one.items == other.items:
        return one, other
    one, other, _, _ = common_values(results[top], results[column], cache, track)
    return one, other
