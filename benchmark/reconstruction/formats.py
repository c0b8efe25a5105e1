"""Reconstruction tables as terminal text, Markdown and CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pandas as pd
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from earmark.benchmark.io.markdown import bullets, escape, grid
from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.io.terminal import in_runs, print_table, printable, wrap
from earmark.benchmark.reconstruction.leaderboard import BoardRow, BoardTable
from earmark.benchmark.reconstruction.result import MetricScore

_FACTS = {
    "frame_rate": "frames/s",
    "embedding_dim": "dim",
    "values_per_second": "values/s",
    "speed": "x real time",
}
_LEAST_NAME = 20  # characters in which a codec's name is shown, on as many lines as it takes


def to_terminal(tables: Sequence[BoardTable], console: Console) -> None:
    """Print every table; columns that do not fit go below, with the codecs' names again."""
    for table in tables:
        console.print(Text(table.caption, style="bold"))
        console.print()
        grid = _grid(table)
        for line in grid:
            line[0] = wrap(printable(line[0]), max(_LEAST_NAME, console.width // 2))
        for some in _fitting(grid, console.width):
            drawn = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
            for number in some:
                drawn.add_column(Text(grid[0][number]), no_wrap=True)
            for row, line in zip(table.rows, grid[1:], strict=True):
                style = {"failed": "bold red", "published": "dim"}.get(row.status, "")
                drawn.add_row(*(Text(line[number], style=style) for number in some))
            print_table(drawn, console)
            console.print()
        for note in table.notes:
            style = "yellow" if note.startswith("failed") else "dim"
            console.print(Text(f"  {printable(note)}", style=style))
        console.print()


def to_markdown(tables: Sequence[BoardTable]) -> str:
    """All tables as GitHub-flavoured Markdown."""
    parts: list[str] = []
    for table in tables:
        parts += [f"**{escape(table.caption, stars=True)}**\n"]
        parts += grid(_grid(table), texts=1, stars=True)
        parts += ["", *bullets(table.notes, stars=True), ""]
    return "\n".join(parts)


def to_csv(tables: Sequence[BoardTable]) -> str:
    """All tables as one CSV: a line a codec, columns a metric.

    `origin` is `measured` or `published`; a failed codec's cells hold `failed`.
    """
    lines: list[dict[str, object]] = []
    for table in tables:
        for row in table.rows:
            origin = "published" if row.status == "published" else "measured"
            line: dict[str, object] = {"data": table.caption, "codec": row.name, "origin": origin}
            line |= {name: row.facts.get(name, math.nan) for name in _FACTS}
            for metric in table.metrics:
                line |= _csv_cell(row, metric)
            lines.append(line)
    return str(pd.DataFrame(lines, dtype=object).to_csv(index=False))


def _csv_cell(row: BoardRow, metric: str) -> dict[str, object]:
    score = row.scores.get(metric)
    if row.status == "failed":
        return {metric: "failed"}
    if score is None:
        return {metric: row.value(metric)}
    low, high = score.interval or (math.nan, math.nan)
    return {
        metric: score.value,
        f"{metric} low": low,
        f"{metric} high": high,
        f"{metric} items": score.items,
        f"{metric} not computed": score.not_computed,
    }


def _grid(table: BoardTable) -> list[list[str]]:
    """Head and rows as plain text."""
    metrics = table.metrics.items()
    grid = [["codec", *_FACTS.values(), *(score.label for _, score in metrics)]]
    for row in table.rows:
        facts = [_fact(name, row.facts.get(name, math.nan)) for name in _FACTS]
        grid.append([row.name, *facts, *(_cell(row, name, score) for name, score in metrics)])
    return grid


def _fact(name: str, value: float) -> str:
    if not math.isfinite(value) or not value:
        return ""
    if name == "speed":
        return rounded(value, 0 if value >= 10 else 1)
    return f"{value:.4g}" if name == "frame_rate" else rounded(value, 0)


def _cell(row: BoardRow, metric: str, like: MetricScore) -> str:
    if row.status == "failed":
        return "failed"
    value, score = row.value(metric), row.scores.get(metric)
    if not math.isfinite(value):
        return "not computable" if score is not None else ""
    if row.status == "published":
        return f"{rounded(value, like.digits)} *"
    if score is None or score.interval is None:
        return rounded(value, like.digits)
    low, high = (_short(rounded(bound, like.digits)) for bound in score.interval)
    return f"{rounded(value, like.digits)} [{low} {high}]"


def _short(number: str) -> str:
    """`0.997` -> `.997`, `-0.50` -> `-.50`."""
    return number.replace("0.", ".", 1) if number.startswith(("0.", "-0.")) else number


def _fitting(grid: list[list[str]], width: int) -> list[list[int]]:
    """Numbers of the columns in runs that fit side by side; the first column in each."""
    first, *others = (
        max(cell_len(part) for line in grid for part in line[i].split("\n")) + 2
        for i in range(len(grid[0]))
    )
    room = width + 2 - first  # the last column needs no space after it
    return [[0, *(number + 1 for number in run)] for run in in_runs(others, room)] or [[0]]


FORMATS: dict[str, Callable[[Sequence[BoardTable]], str]] = {
    "markdown": to_markdown,
    "csv": to_csv,
}
