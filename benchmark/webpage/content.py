"""What the page shows of tasks: the leaderboard's tables as plain values.

A table is {caption, protocol, seeds, limit, notes, probes, columns, rows, means, majority, series,
confusions, differences}. `majority` is what a guess scores that has not heard the audio: {name,
scores: by probe, a value or null a row; means: by probe, as of a column}, null where none is known.
A row has a cell for each column, null where the task did not run:
{status, linear: [value, low, high, best], knn: the same, details}; `details` is what reproduces it.
Where label efficiency was measured, also `shots`: [clips a class or "all", clips a class that were
trained on, value, low, high] for each.
Where there are too few sources for an interval, a fifth element says so.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from earmark.benchmark.io.fields import plain
from earmark.benchmark.io.progress import ProgressFactory
from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.cost import cost_of as encoder_cost
from earmark.benchmark.leaderboard.layout import SHORT_METRICS
from earmark.benchmark.leaderboard.table import (
    NOT_PUBLISHED,
    NOT_RUN,
    PUBLISHED,
    VIEWS,
    Row,
    Table,
)
from earmark.benchmark.result.schema import RunResult
from earmark.benchmark.shots import ShotScore
from earmark.benchmark.uncertainty.jackknife import FEWEST_SOURCES, TOO_FEW
from earmark.benchmark.uncertainty.significance import ABOVE, BELOW, NOT_APART, ControlTest
from earmark.benchmark.webpage.confusion import RowConfusions, of_row, packed
from earmark.benchmark.webpage.details import details_of
from earmark.benchmark.webpage.differences import differences_of
from earmark.benchmark.webpage.numbers import Pool, exact, short
from earmark.benchmark.webpage.series import series_of
from earmark.tasks import LABEL_KINDS


def tables_of(
    board: Leaderboard, pool: Pool, cache: Path, track: ProgressFactory
) -> tuple[list[dict[str, Any]], list[str]]:
    """All tables of a leaderboard; and, a line each, why matrices could not be made of some.

    pool: where shared facts are put. cache: folder of scores without each source. track: what
    shows the progress.
    """
    matrices: dict[int, RowConfusions] = {}
    faults: list[str] = []
    rows = [row for table in board.tables for row in table.rows]
    for number, row in enumerate(rows):
        found, reasons = of_row(row)
        faults += reasons
        if found is not None:
            matrices[number] = found
    small = packed(matrices)
    numbers = iter(range(len(rows)))
    made = []
    for table in board.tables:
        own = [_matrices(small.get(next(numbers)), table.columns) for _ in table.rows]
        differences = differences_of(table, cache, track)
        made.append(_table(table, pool) | {"confusions": own, "differences": differences})
    return made, faults


def _matrices(row: dict[str, Any] | None, columns: list[str]) -> dict[str, Any] | None:
    """A row's matrices in the order of the table's columns; null where there is none."""
    return None if row is None else row | {"columns": [row["columns"].get(c) for c in columns]}


def _table(table: Table, pool: Pool) -> dict[str, Any]:
    return {
        "caption": table.caption,
        "protocol": table.protocol,
        "seeds": table.seeds,
        "limit": table.limit,
        "notes": table.footnotes,
        "probes": {probe: VIEWS[probe] for probe in table.probes},
        "columns": [_column(table, column, pool) for column in table.columns],
        "rows": [_row(table, row, pool) for row in table.rows],
        "means": {probe: _means(table, probe) for probe in table.probes},
        "majority": _majority(table) if table.majority else None,
        "series": series_of(table.columns),
    }


def _majority(table: Table) -> dict[str, Any]:
    name = table.majority
    return {
        "name": name,
        "scores": {
            probe: [exact(row.cell(name, probe).value) for row in table.rows]
            for probe in table.probes
        },
        "means": {
            probe: {
                mean: [exact(own[name].value), own[name].tasks, own[name].of]
                for mean, own in table.means(probe).items()
            }
            for probe in table.probes
        },
    }


def _column(table: Table, column: str, pool: Pool) -> dict[str, Any]:
    published = table.published.get(column)
    if published is not None:
        origin = {
            "system": published.system, "source": published.source,
            "citation": published.citation, "primary": published.primary,
        }  # fmt: skip
        return {"name": column, "published": origin}
    own = [row.results[column] for row in table.rows if column in row.results]
    return {"name": column, "cost": cost_of(own), "encoder": pool.add(plain(own[0].encoder))}


def cost_of(results: list[RunResult]) -> dict[str, Any]:
    """What an encoder costs, of its results in a table; null where they do not say."""
    found = encoder_cost(results)
    return {
        "speed": short(found.speed),
        "device": found.device,
        "parameters": found.parameters,
        "values_per_second": short(found.values_per_second),
        "bits_per_second": short(found.bits_per_second),
    }


def _row(table: Table, row: Row, pool: Pool) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "domain": row.domain,
        "metric": SHORT_METRICS.get(row.metric, row.metric),
        "one_class": row.metric in LABEL_KINDS["class"].metrics,
        "weight": row.weight,
        "probes": list(row.probes),
        "cells": [_cell(row, column, pool) for column in table.columns],
    }


def _cell(row: Row, column: str, pool: Pool) -> dict[str, Any] | None:
    """Null where the task was not run, or is not published."""
    cells = {probe: row.cell(column, probe) for probe in row.probes}
    status = next(iter(cells.values())).status
    if all(cell.status in (NOT_RUN.status, NOT_PUBLISHED) for cell in cells.values()):
        return None
    found: dict[str, Any] = {"status": status}
    for probe, cell in cells.items():
        if cell.status == PUBLISHED:
            found |= {"status": PUBLISHED, probe: [exact(cell.value), None, None, False]}
        elif cell.score is not None:
            low, high = cell.score.interval or (math.nan, math.nan)
            best = row.is_best(column, probe)
            found[probe] = [exact(cell.score.value), exact(low), exact(high), best]
            if cell.score.interval is None and cell.score.sources < FEWEST_SOURCES:
                found[probe].append(TOO_FEW)
            if cell.score.shots:
                found["shots"] = [_shots(one) for one in cell.score.shots]
    if column in row.results:
        found["details"] = details_of(row.results[column], pool)
        tests = row.controls.get(column, {})
        if tests:
            found["details"]["controls"] = [
                _control(tests[probe], probe) for probe in sorted(tests)
            ]
    return found


def _control(test: ControlTest, probe: str) -> str:
    """How a score stands to its control, in a line."""
    if test.difference is None or test.difference.low is None or test.difference.high is None:
        return f"{VIEWS[probe]}: not tested against {test.control} ({test.why})"
    bounds = (test.difference.value, test.difference.low, test.difference.high)
    value, low, high = (rounded(bound, sign=True) for bound in bounds)
    said = {NOT_APART: "not told apart from", ABOVE: "above", BELOW: "below"}[test.verdict]
    return f"{VIEWS[probe]}: {said} {test.control}, difference {value} [{low} {high}]"


def _shots(one: ShotScore) -> list[Any]:
    low, high = one.interval or (math.nan, math.nan)
    return [one.shots, exact(one.per_class), exact(one.value), exact(low), exact(high)]


def _means(table: Table, probe: str) -> list[dict[str, Any]]:
    """Means in the table's order: name, and for each column value, tasks, of how many."""
    return [
        {
            "name": name,
            "cells": [
                [exact(by_column[column].value), by_column[column].tasks, by_column[column].of]
                for column in table.columns
            ],
        }
        for name, by_column in table.means(probe).items()
    ]
