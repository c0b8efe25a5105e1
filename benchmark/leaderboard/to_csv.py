"""The leaderboard as comma-separated values."""

from __future__ import annotations

import math

import pandas as pd

from earmark.benchmark.costs import COSTS, SPEED
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.cost import costs_of
from earmark.benchmark.leaderboard.table import (
    GUESS,
    PUBLISHED,
    Cell,
    Table,
)
from earmark.benchmark.result.schema import FAILED, NOT_APPLICABLE
from earmark.benchmark.uncertainty.jackknife import FEWEST_SOURCES, TOO_FEW


def to_csv(board: Leaderboard) -> str:
    """All tables as one CSV: a line a task or mean, columns per encoder and probe.

    `items` counts test items, in the lines of means the tasks in the mean. A cell of a failed
    task holds `failed`, of one that does not apply `not applicable`; one that did not run is empty.
    `low` and `high` are empty where there is no interval, and `interval` says `too few sources`
    where that is why. `best` is true for the best of a row and what cannot be told from it, false
    for all where that is all, and empty where nothing can be compared. `8 shots`, with `low` and
    `high`: label efficiency. Where costs were asked for, a line each (`parameters`, `values`,
    `bits`, `speed`, and `device`, where that was measured) with a column `cost` of each encoder,
    empty where it is not known.
    """
    lines: list[dict[str, object]] = []
    for table in board.tables:
        facts: dict[str, object] = {
            "data": "synthetic" if table.synthetic else "real",
            "protocol": table.protocol,
            "seeds": table.seeds,
            "limit": table.limit,
        }
        for row in table.rows:
            line = facts | {
                "task": row.name, "title": row.title, "domain": row.domain, "metric": row.metric,
            }  # fmt: skip
            for column, probe in _pairs(table):
                line |= _csv_cell(row.cell(column, probe), f"{column} {probe}")
                if row.cell(column, probe).score is not None and probe in row.best:
                    line[f"{column} {probe} best"] = str(row.is_best(column, probe)).lower()
            lines.append(line)
        means: dict[str, dict[str, object]] = {}
        for probe in table.probes:
            for name, by_column in table.means(probe).items():
                line = means.setdefault(name, facts | {"task": name, "title": name})
                for column, mean in by_column.items():
                    if table.fills(column, probe):
                        line[f"{column} {probe}"] = mean.value
                        line[f"{column} {probe} items"] = mean.tasks
        lines += means.values()
        lines += _costs(table, facts)
    return str(pd.DataFrame(lines, dtype=object).to_csv(index=False))


def _costs(table: Table, facts: dict[str, object]) -> list[dict[str, object]]:
    costs = costs_of(table)
    lines = []
    for name in (one for one in COSTS if one in table.cost):
        line = facts | {"task": name, "title": f"cost: {name}"}
        lines.append(line | {f"{c} cost": cost.amount(name) for c, cost in costs.items()})
    if SPEED in table.cost:
        line = facts | {"task": "device", "title": "cost: device of the speed"}
        lines.append(line | {f"{c} cost": cost.device or None for c, cost in costs.items()})
    return lines


def _csv_cell(cell: Cell, head: str) -> dict[str, object]:
    if cell.status in (PUBLISHED, GUESS):
        return {head: cell.value}
    if cell.score is None:
        return {head: cell.status} if cell.status in (FAILED, NOT_APPLICABLE) else {}
    low, high = cell.score.interval or (math.nan, math.nan)
    facts: dict[str, object] = {
        head: cell.score.value,
        f"{head} low": low,
        f"{head} high": high,
        f"{head} items": cell.score.items,
    }
    if cell.score.interval is None and cell.score.sources < FEWEST_SOURCES:
        facts[f"{head} interval"] = TOO_FEW
    for one in cell.score.shots or ():
        low, high = one.interval or (math.nan, math.nan)
        facts[f"{head} {one.shots} shots"] = one.value
        facts |= {f"{head} {one.shots} shots low": low, f"{head} {one.shots} shots high": high}
    return facts


def _pairs(table: Table) -> list[tuple[str, str]]:
    return [(column, probe) for probe in table.probes for column in table.filled(probe)]
