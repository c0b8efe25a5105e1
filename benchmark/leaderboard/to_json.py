"""Leaderboard tables as JSON: all that they hold, in full precision.

```
{"schema": 1, "tables": [{
  "data": "real" or "synthetic", "protocol": str, "seeds": int, "limit": int or null,
  "caption": str,
  "columns": [{"name": str, "published": null or
               {"system": str, "source": str, "citation": str, "primary": bool},
               "cost": COST or null}],
  "rows": [{"task": str, "title": str, "domain": str, "metric": str, "weight": number,
            "part": str, "cells": {probe: {column: CELL}}, "majority": {probe: number or null}}],
  "means": {probe: {name: {column: {"value": number or null, "tasks": int, "of": int}}}},
  "majority_means": {probe: {name: {"value": number or null, "tasks": int, "of": int}}},
  "notes": [str]}]}
```
COST, where costs were asked for: {"parameters", "all_parameters", "values_per_second",
"bits_per_second", "speed": number or null, "device": str}, see `leaderboard/cost.py`.
`majority` is what a guess scores that has not heard the audio, null where no result holds it.
`part` says how many of its classes a task has clips of, where not all (`10 of 50 classes`).
CELL is `{"status": str, "value": number or null}`; `status` is `done`, `failed`, `not applicable`,
`not run`, `published` or (in a column of published values) `not published`. One that is done has
also `interval` ([low, high] or null) at `confidence`, `spread` (standard deviation over seeds, or
null), `items` and `sources` (how many were tested), `best`: whether it is the best of its row or
cannot be told from it (false for all where that is all), null where nothing can be compared; and,
where there are too few sources for an interval, `no_interval`: "too few sources". Where label
efficiency was measured, `shots`: a list of {`shots`: clips a class, or "all"; `value`, `interval`,
`spread` (over draws, or null), `per_draw`, `clips` and `per_class` (trained on, means), `short`
(classes that have fewer)}. `probe` is
`linear` or `knn`; `name` is that of the mean; `tasks` is how many tasks a mean is over, `of` how
many it could be over. What cannot be computed is null.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from earmark.benchmark.io.fields import plain
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.cost import costs_of
from earmark.benchmark.leaderboard.table import (
    Mean,
    Row,
    Table,
)
from earmark.benchmark.shots import ShotScore
from earmark.benchmark.uncertainty.jackknife import FEWEST_SOURCES, TOO_FEW

SCHEMA = 1


def to_json(board: Leaderboard) -> str:
    """All tables as one JSON value; its layout is above."""
    value = {"schema": SCHEMA, "tables": [_table(table) for table in board.tables]}
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _table(table: Table) -> dict[str, Any]:
    return {
        "data": "synthetic" if table.synthetic else "real",
        "protocol": table.protocol,
        "seeds": table.seeds,
        "limit": table.limit,
        "caption": table.caption,
        "columns": [_column(table, column) for column in table.columns],
        "rows": [
            {
                "task": row.name,
                "title": row.title,
                "domain": row.domain,
                "metric": row.metric,
                "weight": row.weight,
                "cells": {
                    probe: {column: _cell(row, column, probe) for column in table.columns}
                    for probe in table.probes
                    if row.has(probe)
                },
                "part": row.part,
                "majority": {
                    probe: _number(row.cell(table.majority, probe).value) for probe in row.probes
                },
            }
            for row in table.rows
        ],
        "means": {
            probe: {
                name: {column: _mean(by_column[column]) for column in table.columns}
                for name, by_column in table.means(probe).items()
            }
            for probe in table.probes
        },
        "majority_means": {
            probe: {
                name: _mean(by_column[table.majority])
                for name, by_column in table.means(probe).items()
            }
            for probe in table.probes
            if table.majority
        },
        "notes": table.footnotes,
    }


def _column(table: Table, column: str) -> dict[str, Any]:
    published = table.published.get(column)
    facts: dict[str, Any] = {
        "name": column, "published": None if published is None else asdict(published),
    }  # fmt: skip
    if table.cost:
        cost = costs_of(table).get(column)
        facts["cost"] = None if cost is None else asdict(cost)
    return facts


def _cell(row: Row, column: str, probe: str) -> dict[str, Any]:
    cell = row.cell(column, probe)
    facts: dict[str, Any] = {"status": cell.status, "value": _number(cell.value)}
    if cell.score is None:
        return facts
    interval = cell.score.interval
    if interval is None and cell.score.sources < FEWEST_SOURCES:
        facts["no_interval"] = TOO_FEW
    if cell.score.shots:
        facts["shots"] = [_shots(one) for one in cell.score.shots]
    if cell.score.readouts:
        facts["readouts"] = [plain(one) for one in cell.score.readouts]
    test = row.controls.get(column, {}).get(probe)
    if test is not None:
        facts["control"] = plain(test)
    return facts | {
        "interval": None if interval is None else [_number(bound) for bound in interval],
        "confidence": cell.score.confidence,
        "spread": None if cell.score.spread is None else _number(cell.score.spread),
        "items": cell.score.items,
        "sources": cell.score.sources,
        "best": row.is_best(column, probe) if probe in row.best else None,
    }


def _mean(mean: Mean) -> dict[str, Any]:
    return {"value": _number(mean.value), "tasks": mean.tasks, "of": mean.of}


def _shots(one: ShotScore) -> dict[str, Any]:
    return {
        "shots": one.shots,
        "value": _number(one.value),
        "interval": None if one.interval is None else [_number(bound) for bound in one.interval],
        "spread": None if one.spread is None else _number(one.spread),
        "per_draw": [_number(value) for value in one.per_draw],
        "clips": _number(one.clips),
        "per_class": _number(one.per_class),
        "short": one.short,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
