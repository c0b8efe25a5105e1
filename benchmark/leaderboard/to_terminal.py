"""Leaderboard tables as terminal text, no wider than the terminal.

Encoders that fit side by side stand in one table. More of them are put in order and spread over
pages, after a table of their means with a line an encoder. Names that are too long go on on the
next line; no number is ever cut.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.io.terminal import in_runs, print_table, printable, wrap
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.label_efficiency import curves_of
from earmark.benchmark.leaderboard.layout import (
    SHORT_METRICS,
    cell_text,
    head_in_lines,
    mean_lines,
    measured_rows,
    views,
)
from earmark.benchmark.leaderboard.table import (
    GUESS,
    NO_GUESS,
    NOT_PUBLISHED,
    PUBLISHED,
    Cell,
    Mean,
    Row,
    Table,
)
from earmark.benchmark.leaderboard.to_terminal_cost import print_cost
from earmark.benchmark.leaderboard.to_terminal_shots import print_shots
from earmark.benchmark.result.schema import DONE, FAILED, NOT_APPLICABLE

Column = tuple[str, str, str]  # head, encoder, probe

BEST = "*"  # after the best of a row, where bold cannot be seen
_GAP = 2  # between columns
_LEAST_TASK = 26  # characters; most tasks' titles are no longer
_LEAST_BESIDE = 14  # where that makes room for the majority
_LEAST_NAME = 16  # characters of an encoder's name, where a line is an encoder
_BOLD = "bold: the best of a row"  # how the note on bold cells begins
_HOW_TO_READ_MEANS = (
    "most tasks first, then the highest mean; in brackets: over how many tasks, where these are "
    "not all that the head says. Compare means only where they are over the same tasks"
)


class Layout(NamedTuple):
    """How a view is spread. task, cell: width of the first column and of an encoder's.

    pages: the encoders' columns that stand side by side.
    """

    task: int
    cell: int
    pages: list[list[Column]]


def to_terminal(board: Leaderboard, console: Console) -> None:
    """Print every table; colours only where the console has them."""
    for table in board.tables:
        for title, columns in views(table):
            _print_view(table, title, columns, console)
        for note in table.footnotes:
            shown = (
                note.replace("bold:", f"bold and {BEST}:", 1) if note.startswith(_BOLD) else note
            )
            style = "yellow" if note.startswith("failed") else "dim"
            console.print(Text(f"  {printable(shown)}", style=style))
        if table.footnotes:
            console.print()
        if table.cost:
            print_cost(table, console)
        curves = curves_of(table)
        if curves is not None:
            print_shots(curves, console)


def _print_view(table: Table, title: str, columns: list[Column], console: Console) -> None:
    floor = [column for column in columns if column[1] == table.majority]
    encoders = columns[: len(columns) - len(floor)]
    layout = _spread(table, encoders, floor, console.width)
    paged = len(layout.pages) > 1 and len(table.columns) > 1
    if paged:
        encoders = _ranked(table, encoders)
        layout = _spread(table, encoders, floor, console.width)
        _print_means(table, title, encoders, floor, console)
    first = 1
    for page in layout.pages:
        count = sum(column not in floor for column in page)
        which = f", encoders {first}-{first + count - 1} of {len(encoders)}"
        if count < 2:
            which = f", encoder {first} of {len(encoders)}" if count else f", {floor[0][0]}"
        console.print(Text(printable(title) + (which if paged else ""), style="bold"))
        console.print()
        print_table(_drawn(table, page, layout), console)
        console.print()
        first += count


# ------------------------------------------------------------------------------- what fits


def _spread(table: Table, columns: list[Column], floor: list[Column], width: int) -> Layout:
    """All columns side by side where they fit; else on pages of as many each as can be.

    floor: the majority's column, where there is one: on each page where it makes none narrower by
    an encoder, else on a page of its own.
    """
    every = [*columns, *floor]
    rows = measured_rows(table, every)
    means = mean_lines(table, every)
    task = max(
        cell_len(text)
        for text in ("task", *(f"  {_title(row)}" for row in rows), *(line[0] for line in means))
    )
    metric = max(cell_len(text) for text in ("metric", *map(_metric, rows)))
    cells = [
        max(
            cell_len(text)
            for text in (
                "",
                *(_score(row, column) for row in rows),
                *(mean[2 + n] for mean in means),
            )
        )
        for n, column in enumerate(every)
    ]
    heads = [_wide(head) for head, _, _ in every]
    free = width - metric - _GAP
    if task + sum(max(pair) + _GAP for pair in zip(cells, heads, strict=True)) <= free:
        return Layout(task, max(heads), [every])
    cell = max(cells[: len(columns)])
    beside = max(cells[-1], heads[-1]) + _GAP if floor else 0
    # long titles go on on the next line where that makes room for a second encoder, or for one
    whole = task
    for count in range(min(2, len(columns)), 0, -1):
        room = free - count * (cell + _GAP)
        if room >= min(task, _LEAST_TASK):
            break
    task = min(task, max(room, _LEAST_TASK))
    most = max(1, (free - task) // (cell + _GAP))
    pages = _evenly(columns, most)
    left = free - len(pages[0]) * (cell + _GAP) - beside
    if floor and left >= min(whole, _LEAST_BESIDE):
        task, free = min(whole, left), free - beside
        pages = [[*page, *floor] for page in pages]
    elif floor:
        pages.append(floor)
    wide = sum(column not in floor for column in pages[0])
    return Layout(task, max(cell, (free - task) // wide - _GAP), pages)


def _evenly(columns: list[Column], most: int) -> list[list[Column]]:
    """In runs of at most `most`, as even as can be, longer ones first."""
    count = math.ceil(len(columns) / most)
    size, longer = divmod(len(columns), count)
    starts = [number * size + min(number, longer) for number in range(count + 1)]
    return [columns[start:end] for start, end in pairwise(starts)]


# ----------------------------------------------------------------------------------- means


def _ranked(table: Table, columns: list[Column]) -> list[Column]:
    """Encoders with the most tasks first, of these the one with the highest mean."""
    means = table.means(columns[0][2])
    if not means:
        return columns
    over = means.get("mean of all") or next(reversed(means.values()))

    def rank(column: Column) -> tuple[float, float]:
        mean = over[column[1]]
        return -mean.tasks, -mean.value if math.isfinite(mean.value) else math.inf

    return sorted(columns, key=rank)


def _print_means(
    table: Table, title: str, encoders: list[Column], floor: list[Column], console: Console
) -> None:
    """A line an encoder, numbered as on the pages; means that do not fit go below."""
    columns = [*encoders, *floor]
    probe = columns[0][2]
    means = table.means(probe)
    if not means:  # of a protocol that knows none
        return
    heads = [_mean_head(name, by_column) for name, by_column in means.items()]
    grid = [[_short_mean(means[name][encoder]) for name in means] for _, encoder, _ in columns]
    widths = [
        max(cell_len(part) for part in (*head.split("\n"), *(line[n] for line in grid)))
        for n, head in enumerate(heads)
    ]
    names = max(_wide(head) for head, _, _ in columns)
    numbers = max(len("no."), len(str(len(columns))))
    free = console.width - numbers - _GAP
    least = min(names, _LEAST_NAME)
    console.print(Text(f"{printable(title)}, means", style="bold"))
    console.print()
    for some in in_runs([width + _GAP for width in widths], free - least):
        room = free - sum(widths[n] + _GAP for n in some)
        drawn = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
        drawn.add_column("no.", justify="right", no_wrap=True)
        drawn.add_column("encoder", no_wrap=True)
        for n in some:
            drawn.add_column(Text(heads[n]), no_wrap=True)
        for number, ((head, _, _), line) in enumerate(zip(columns, grid, strict=True), 1):
            name = Text(_folded(head, max(least, room)))
            place = str(number) if number <= len(encoders) else ""
            drawn.add_row(Text(place), name, *(Text(line[n]) for n in some))
        print_table(drawn, console)
        console.print()
    console.print(Text(f"  {_HOW_TO_READ_MEANS}", style="dim"))
    console.print()


def _mean_head(name: str, by_column: dict[str, Mean]) -> str:
    """`mean of speech` -> `speech` and, below, of how many tasks."""
    short = name.removeprefix("mean of ").removesuffix(" mean")
    return f"{short}\nof {next(iter(by_column.values())).of}"


def _short_mean(mean: Mean) -> str:
    if not math.isfinite(mean.value):
        return "none"
    return rounded(mean.value) + (f" ({mean.tasks})" if mean.tasks < mean.of else "")


# ----------------------------------------------------------------------------------- pages


def _drawn(table: Table, columns: list[Column], layout: Layout) -> RichTable:
    drawn = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    drawn.add_column("task", no_wrap=True)
    drawn.add_column("metric", style="dim", no_wrap=True)
    for head, _, _ in columns:
        # a plain str would be read as markup
        drawn.add_column(Text(_folded(head, layout.cell)), justify="left", no_wrap=True)
    domain = ""
    for row in measured_rows(table, columns):
        if row.domain != domain:
            domain = row.domain
            drawn.add_row(Text(domain, style="cyan"))
        cells = [_styled(_score(row, column), row, column) for column in columns]
        drawn.add_row(Text(_indented(_title(row), layout.task)), Text(_metric(row)), *cells)
    drawn.add_row("")
    for name, *shown in mean_lines(table, columns):
        drawn.add_row(Text(name, style="bold"), *(Text(cell, style="bold") for cell in shown))
    return drawn


def _folded(head: str, width: int) -> str:
    """An encoder's name in lines of at most `width`."""
    return "\n".join(wrap(line, width) for line in head_in_lines(printable(head)).split("\n"))


def _wide(head: str) -> int:
    return max(cell_len(line) for line in head_in_lines(printable(head)).split("\n"))


def _title(row: Row) -> str:
    return printable(row.title)


def _metric(row: Row) -> str:
    return printable(SHORT_METRICS.get(row.metric, row.metric))


def _indented(title: str, width: int) -> str:
    """Under its domain; what goes on on the next line further in."""
    if cell_len(title) + 2 <= width:
        return f"  {title}"
    return "  " + wrap(title, width - 4).replace("\n", "\n    ")


def _score(row: Row, column: Column) -> str:
    _, encoder, probe = column
    text = cell_text(row.cell(encoder, probe), row.has(probe))
    if not row.is_best(encoder, probe):
        return text
    number, space, interval = text.partition(" ")
    return f"{number}{BEST}{space}{interval}"


def _styled(text: str, row: Row, column: Column) -> Text:
    _, encoder, probe = column
    cell: Cell = row.cell(encoder, probe)
    styles = {
        FAILED: "bold red", DONE: "bold" if row.is_best(encoder, probe) else "", "not run": "dim",
        NOT_APPLICABLE: "dim",
        PUBLISHED: "italic", NOT_PUBLISHED: "dim", GUESS: "italic", NO_GUESS: "dim",
    }  # fmt: skip
    styled = Text(text, style=styles[cell.status])
    start = text.find(" [")
    if start > 0:
        styled.stylize("not bold dim", start)
    return styled
