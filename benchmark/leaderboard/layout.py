"""Leaderboard tables as Markdown and CSV, and what every form of them is made from."""

from __future__ import annotations

import math
from collections.abc import Callable

from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.leaderboard.table import (
    GUESS,
    NO_GUESS,
    NOT_PUBLISHED,
    PROBES,
    PUBLISHED,
    Cell,
    Mean,
    Row,
    Table,
)
from earmark.benchmark.metric.registry import METRICS
from earmark.benchmark.uncertainty.jackknife import FEWEST_SOURCES

# How a metric is shown where it must be short; files hold its full name.
SHORT_METRICS = {metric.name: metric.short for metric in METRICS.values() if metric.short}


def views(table: Table) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Title and columns (head, encoder, probe): all probes side by side for a single encoder,
    else a view for each probe."""
    if len(table.columns) == 1:
        only = table.columns[0]
        heads = [(PROBES[probe], only, probe) for probe in table.probes]
        if table.majority:
            heads.append((table.majority, table.majority, table.probes[0]))
        return [(f"{only}: {table.caption}", heads)]
    return [
        (
            f"{PROBES[probe]}: {table.caption_of([probe])}",
            [(column, column, probe) for column in table.filled(probe)],
        )
        for probe in table.probes
    ]


def _grid(
    table: Table,
    columns: list[tuple[str, str, str]],
    mark: Callable[[str], str] = lambda text: text,
) -> list[list[str]]:
    """Head, task and mean lines as plain text. mark: what is done to the best cells of a row."""
    grid = [["task", "metric", *(head for head, _, _ in columns)]]
    for row in measured_rows(table, columns):
        shown = [
            mark(text) if row.is_best(encoder, probe) else text
            for _, encoder, probe in columns
            for text in [cell_text(row.cell(encoder, probe), row.has(probe))]
        ]
        grid.append([row.title, SHORT_METRICS.get(row.metric, row.metric), *shown])
    return grid + mean_lines(table, columns)


def measured_rows(table: Table, columns: list[tuple[str, str, str]]) -> list[Row]:
    """Rows that have anything to show in these columns."""
    return [row for row in table.rows if any(row.has(probe) for _, _, probe in columns)]


def mean_lines(table: Table, columns: list[tuple[str, str, str]]) -> list[list[str]]:
    by_probe = {probe: table.means(probe) for _, _, probe in columns}
    names = list(dict.fromkeys(name for means in by_probe.values() for name in means))
    return [
        [
            name,
            "",
            *(
                _mean_text(by_probe[probe][name][encoder], short=encoder == table.majority)
                if name in by_probe[probe]
                else ""
                for _, encoder, probe in columns
            ),
        ]
        for name in names
    ]


def cell_text(cell: Cell, measured: bool) -> str:
    if cell.status in (PUBLISHED, GUESS):
        return rounded(cell.value) if math.isfinite(cell.value) else "not computable"
    if cell.status == NO_GUESS:
        return ""
    if cell.status == NOT_PUBLISHED:
        return "-" if measured else ""
    if cell.score is None:
        return "" if not measured else cell.status
    if not math.isfinite(cell.score.value):
        return "not computable"
    interval = cell.score.interval
    shown = rounded(cell.score.value)
    if interval is None:
        # the note below says it in whole
        return f"{shown} [too few]" if cell.score.sources < FEWEST_SOURCES else shown
    low, high = (rounded(bound).removeprefix("0").replace("1.000", "1.0") for bound in interval)
    return f"{shown} [{low} {high}]"


def _mean_text(mean: Mean, *, short: bool) -> str:
    """short: without the number of tasks where it is over all of them."""
    if not math.isfinite(mean.value):
        return f"none of {mean.of}"
    if short and mean.tasks == mean.of:
        return rounded(mean.value)
    return f"{rounded(mean.value)} ({mean.tasks} of {mean.of})"


def fitting(
    table: Table, columns: list[tuple[str, str, str]], width: int
) -> list[list[tuple[str, str, str]]]:
    """The columns in runs that fit side by side into `width`; one at least in each."""
    heads, *lines = _grid(table, columns)
    task, metric, *widths = (
        max(len(part) for cell in (*cells, head_in_lines(head)) for part in cell.split("\n")) + 2
        for head, *cells in zip(heads, *lines, strict=True)
    )
    fixed = task + 2 + metric  # tasks are indented under their domain
    runs: list[list[tuple[str, str, str]]] = []
    left = 0
    for column, wide in zip(columns, widths, strict=True):
        if not runs or wide > left:
            runs.append([])
            left = width - fixed
        runs[-1].append(column)
        left -= wide
    return runs


def head_in_lines(head: str) -> str:
    """A column's head; the mark of published values, which can be long, on a line of its own."""
    return head.replace(" [pub", "\n[pub")
