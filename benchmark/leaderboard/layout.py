"""Leaderboard tables as Markdown and CSV, and what every form of them is made from."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.leaderboard.board import (
    GUESS,
    NO_GUESS,
    NOT_PUBLISHED,
    PROBES,
    PUBLISHED,
    Cell,
    Leaderboard,
    Mean,
    Row,
    Table,
)
from earmark.benchmark.leaderboard.label_efficiency import curves_of, grid_of
from earmark.benchmark.result.schema import FAILED
from earmark.benchmark.uncertainty.jackknife import FEWEST_SOURCES, TOO_FEW

# How a metric is shown where it must be short; files hold its full name.
SHORT_METRICS = {"segment_f1_macro": "seg-F1 macro", "segment_f1_micro": "seg-F1 micro"}


def to_markdown(board: Leaderboard) -> str:
    """All tables as GitHub-flavoured Markdown."""
    parts = []
    for table in board.tables:
        for title, columns in views(table):
            parts += _in_markdown(title, _grid(table, columns, _bold_markdown), texts=2)
        if table.footnotes:
            parts += [f"- {_escape(note)}" for note in table.footnotes] + [""]
        curves = curves_of(table)
        if curves is not None:
            parts += _in_markdown(curves.caption, grid_of(curves), texts=3)
            parts += [f"- {_escape(note)}" for note in curves.notes] + [""]
    return "\n".join(parts)


def _in_markdown(title: str, lines: list[list[str]], texts: int) -> list[str]:
    """A table with its title; so many of its columns are texts, the others numbers."""
    grid = [[_escape(cell) for cell in line] for line in lines]
    widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
    rule = ["-" * width if i < texts else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    shown = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in [grid[0], rule, *grid[1:]]
    ]
    return [f"**{_escape(title)}**\n", *shown, ""]


def to_csv(board: Leaderboard) -> str:
    """All tables as one CSV: a line a task or mean, columns per encoder and probe.

    `items` counts test items, in the lines of means the tasks in the mean. A cell of a failed
    task holds `failed`, one that did not run is empty. `low` and `high` are empty where there is no
    interval, and `interval` says `too few sources` where that is why. `best` is true for the best
    of a row and what cannot be told from it, false for all where that is all, and empty where
    nothing can be compared. `8 shots`, with `low` and `high`: label efficiency.
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
    return str(pd.DataFrame(lines, dtype=object).to_csv(index=False))


def _csv_cell(cell: Cell, head: str) -> dict[str, object]:
    if cell.status in (PUBLISHED, GUESS):
        return {head: cell.value}
    if cell.score is None:
        return {head: FAILED} if cell.status == FAILED else {}
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


def _bold_markdown(text: str) -> str:
    """The score in bold, its interval not."""
    score, space, interval = text.partition(" ")
    return f"**{score}**{space}{interval}"


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


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
