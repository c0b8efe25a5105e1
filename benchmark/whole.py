"""Tables that lose nothing where the terminal is narrow."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table


def print_whole(table: Table, console: Console) -> None:
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
