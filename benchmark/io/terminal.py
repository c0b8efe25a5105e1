"""Tables that lose nothing where the terminal is narrow."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table


def print_table(table: Table, console: Console) -> None:
    """Print a table; where it cannot be made as narrow as the console, its lines run on.

    Left alone, rich takes room from the columns that may break (all but those with `no_wrap`)
    until nothing of them is left, and cuts what is too wide. Here these keep their `min_width`.
    """
    *inner, last = table.columns
    gap = table.padding[1]
    least = sum(_least(column, console) + gap for column in inner) + _least(last, console)
    if least > console.width:
        table.width = least
    console.print(table, crop=False)


def _least(column: Column, console: Console) -> int:
    """The width that a column needs, without what is between it and the next."""
    if not column.no_wrap and column.min_width is not None:
        return column.min_width
    whole = console.options.update(width=10_000)
    return max(
        Measurement.get(console, whole, cell).maximum for cell in (column.header, *column.cells)
    )


def wrap(name: str, width: int) -> str:
    """A name in lines of at most `width`, ended after what parts its words where that can be."""
    lines = [""]
    for word in re.findall(r"[^\s/:_@.,-]+[\s/:_@.,-]*|[\s/:_@.,-]+", name):
        if cell_len(lines[-1] + word.rstrip()) > width:
            if lines[-1]:
                lines.append("")
            *full, word = chop_cells(word, width)
            lines[-1:] = [*full, ""]
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def in_runs(widths: Sequence[int], room: int) -> list[list[int]]:
    """Numbers of columns in runs that fit into `room` side by side; one at least in each."""
    runs: list[list[int]] = []
    left = 0
    for number, width in enumerate(widths):
        if not runs or width > left:
            runs.append([])
            left = room
        runs[-1].append(number)
        left -= width
    return runs


def printable(text: str) -> str:
    """Text from a file in one line: what would steer a terminal, or break a line, as its escape."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
