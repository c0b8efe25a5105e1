"""Intervals of differences between encoders, pair by pair: those that `compare` would give.

Both are tested source by source (`benchmark/paired`), so the interval is much narrower than two
single ones suggest. The number of pairs grows with the square of the encoders:
beyond a bound there are none, and the page says which command gives them.
"""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

from earmark.benchmark.io.progress import ProgressFactory
from earmark.benchmark.leaderboard.table import Row, Table
from earmark.benchmark.uncertainty.cache import Values
from earmark.benchmark.uncertainty.significance import difference_of
from earmark.benchmark.uncertainty.values import values_of
from earmark.benchmark.webpage.numbers import exact

MOST = 8000  # differences of a table; each takes about a millisecond

Bounds = list[float | None] | None


def differences_of(
    table: Table, cache: Path, track: ProgressFactory
) -> list[dict[str, list[Bounds]]] | None:
    """For each row, by probe, [low, high] of first less second for each pair of measured columns.

    Pairs are in the order of `itertools.combinations`; null where one has no score, where clips
    failed for one that the other has, and where nothing can be said. None instead of the rows
    where there are too many pairs. cache: folder of scores without each source. track: what
    shows the progress.
    """
    columns = [column for column in table.columns if column not in table.published]
    count = math.comb(len(columns), 2) * sum(len(row.probes) for row in table.rows)
    if count > MOST:
        return None
    with track("intervals of differences", len(table.rows), "tasks") as bar:
        found = []
        for row in table.rows:
            found.append(_of_row(row, columns, cache))
            bar.advance(1)
    return found


def _of_row(row: Row, columns: list[str], cache: Path) -> dict[str, list[Bounds]]:
    done = [column for column in columns if column in row.results and row.results[column].scores]
    if len(done) < 2:
        return {}
    values = dict(zip(done, values_of([row.results[one] for one in done], cache), strict=True))
    pairs = [(values.get(one), values.get(other)) for one, other in combinations(columns, 2)]
    confidence = {
        probe: one.confidence
        for column in done
        for probe, one in row.results[column].scores.items()
    }
    return {
        probe: [_bounds(one, other, probe, confidence[probe]) for one, other in pairs]
        for probe in confidence
    }


def _bounds(
    one: Values | str | None, other: Values | str | None, probe: str, confidence: float
) -> Bounds:
    if not isinstance(one, Values) or not isinstance(other, Values) or one.items != other.items:
        return None
    if probe not in one.by_probe or probe not in other.by_probe:
        return None
    found = difference_of(one, other, probe, confidence)
    return None if found.low is None else [exact(found.low), exact(found.high)]
