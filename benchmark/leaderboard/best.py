"""The best of a task's row, and what cannot be told from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.result.schema import ResultError, RunResult, Score
from earmark.benchmark.uncertainty.cache import Values
from earmark.benchmark.uncertainty.jackknife import FEWEST_SOURCES, TOO_FEW
from earmark.benchmark.uncertainty.pairing import UnpairedError
from earmark.benchmark.uncertainty.significance import difference_of
from earmark.benchmark.uncertainty.values import common_values, values_of


def best_cells(
    results: Mapping[str, RunResult], cache: Path, track: ProgressFactory = no_progress
) -> tuple[dict[str, frozenset[str]], list[str]]:
    """By probe, the columns to be marked; and why some were not compared, a line each.

    results: by column, of one task on the same data. Marked are the best score and those that the
    paired test does not tell from it, where it tells at least one other: a mark on all says
    nothing, and there is none then. A probe is left out where there is nothing to say: with fewer
    than two scores, and where the best could not be compared with one of the others (too few
    sources, predictions are missing).
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
        told, faults = _told(top, probe, by_column, results, values, cache)
        reasons += faults
        if not faults:
            best[probe] = frozenset(by_column.keys() - told if told else ())
    return best, sorted(set(reasons))


def _told(
    top: str,
    probe: str,
    scores: Mapping[str, Score],
    results: Mapping[str, RunResult],
    values: Mapping[str, Values | str],
    cache: Path,
) -> tuple[set[str], list[str]]:
    """Columns that the test tells from the top, and why others could not be compared with it."""
    told, faults = set(), []
    for column in scores.keys() - {top}:
        try:
            one, other = paired_values(top, column, results, values, cache)
        except (UnpairedError, ResultError) as error:
            faults.append(f"{column}: {error}")
            continue
        found = difference_of(one, other, probe, scores[top].confidence)
        if found.p is None:
            few = f"{TOO_FEW} ({one.sources})" if one.sources < FEWEST_SOURCES else "not computable"
            faults.append(f"{column}: {few}")
        elif found.p < 1 - scores[top].confidence:
            told.add(column)
    return told, faults


def paired_values(
    top: str,
    column: str,
    results: Mapping[str, RunResult],
    values: Mapping[str, Values | str],
    cache: Path,
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
    one, other, _, _ = common_values(results[top], results[column], cache)
    return one, other
