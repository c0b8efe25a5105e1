"""What the page shows of codecs: the reconstruction tables, and pairs to hear and to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from earmark.benchmark.io.fields import plain
from earmark.benchmark.reconstruction.leaderboard import BoardRow, BoardTable, make_tables
from earmark.benchmark.reconstruction.result import ReconstructionResult
from earmark.benchmark.result.published import PublishedError, load_published, sources
from earmark.benchmark.result.schema import DONE
from earmark.benchmark.webpage.numbers import Pool, exact, short
from earmark.benchmark.webpage.pairs import Shelf


def codec_tables_of(
    results: Sequence[ReconstructionResult], pool: Pool, shelf: Shelf, published: Path | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Reconstruction tables as plain values; and, a line each, what could not be shown.

    shelf: where sounds and pictures are taken from. published: folder of the published values;
    None: those that come with Earmark.
    """
    faults = []
    where = () if published is None else (published,)
    try:
        tables = make_tables(results, load_published(*where), sources(*where))
    except PublishedError as error:
        faults.append(f"reconstruction without published values: {error}")
        tables = make_tables(results)
    made = [_table(table, pool) for table in tables]
    for table, facts in zip(tables, made, strict=True):
        facts["pairs"] = shelf.pairs_of(_done(table))
    return made, faults + shelf.notes


def _done(table: BoardTable) -> dict[str, ReconstructionResult]:
    """The results of a table's measured rows, by the rows' names."""
    return {
        row.name: row.result
        for row in table.rows
        if row.result is not None and row.result.status == DONE
    }


def _table(table: BoardTable, pool: Pool) -> dict[str, Any]:
    return {
        "caption": table.caption,
        "notes": table.notes,
        "metrics": [
            {
                "name": name, "label": score.label, "unit": score.unit, "higher": score.higher,
                "digits": score.digits,
            }
            for name, score in table.metrics.items()
        ],
        "rows": [_row(table, row, pool) for row in table.rows],
    }  # fmt: skip


def _row(table: BoardTable, row: BoardRow, pool: Pool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": row.name,
        "status": row.status,
        "facts": {name: short(value) for name, value in row.facts.items()},
        "scores": {name: _score(row, name) for name in table.metrics},
    }
    if row.result is not None:
        facts["details"] = _details(row.result, pool)
    return facts


def _score(row: BoardRow, metric: str) -> list[float | int | None]:
    """Value, interval, how many items have none."""
    measured = row.scores.get(metric)
    low, high = (measured.interval if measured else None) or (math.nan, math.nan)
    missing = measured.not_computed if measured else 0
    return [exact(row.value(metric)), exact(low), exact(high), missing]


_OF_DATA = (
    "name", "kind", "limit", "crop_seconds", "clips", "items", "sources", "source_unit", "seconds",
    "failed_clips", "digest",
)  # fmt: skip


def _details(result: ReconstructionResult, pool: Pool) -> dict[str, Any]:
    """What reproduces a row."""
    run = {name: value for name, value in plain(result.run).items() if name != "traceback"}
    data = plain(result.data)
    times = {name: run.pop(name) for name in ("started", "seconds") if name in run}
    facts: dict[str, Any] = {
        "status": result.status,
        "command": result.command,
        "encoder": pool.add(plain(result.codec)),
        "versions": pool.add(result.versions),
        "settings": pool.add(result.settings),
        "data": pool.add({name: data.get(name) for name in _OF_DATA}),
        "run": {**times, "machine": pool.add(run)},
        "failures": [f"{one.key}: {one.reason}" for one in result.data.failures[:5]],
    }
    return facts if result.error is None else facts | {"error": result.error}
