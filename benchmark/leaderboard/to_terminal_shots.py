"""Label efficiency as terminal text: an encoder a line, its intervals below the values."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from earmark.benchmark.io.terminal import in_runs, print_table, printable, wrap
from earmark.benchmark.leaderboard.label_efficiency import Curves

_GAP = 2  # between columns
_LEAST_NAME = 20  # characters of a task's or an encoder's name in a line


def print_shots(curves: Curves, console: Console) -> None:
    """Print a table of label efficiency; columns that do not fit go below."""
    widths = [
        max(cell_len(text) for text in (head, *(t for c in curves.curves for t in c.text(shots))))
        for head, shots in zip(curves.heads, curves.shots, strict=True)
    ]
    names = [printable(name) for c in curves.curves for name in (c.row.title, f"  {c.column}")]
    longest = max(cell_len(name) for name in names)
    least = min(longest, _LEAST_NAME)
    for some in in_runs([width + _GAP for width in widths], console.width - least):
        console.print(Text(printable(curves.caption), style="bold"))
        console.print()
        room = console.width - sum(widths[n] + _GAP for n in some)
        print_table(_drawn(curves, some, max(least, min(longest, room))), console)
        console.print()
    for note in curves.notes:
        console.print(Text(f"  {printable(note)}", style="dim"))
    console.print()


def _drawn(curves: Curves, some: list[int], room: int) -> RichTable:
    drawn = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    drawn.add_column("task", no_wrap=True)
    for n in some:
        drawn.add_column(curves.heads[n], no_wrap=True)
    title = None
    for curve in curves.curves:
        if curve.row.title != title:
            title = curve.row.title
            drawn.add_row(Text(wrap(printable(title), room), style="cyan"))
        name = wrap(printable(curve.column), room - 2).replace("\n", "\n  ")
        cells = []
        for n in some:
            value, interval = curve.text(curves.shots[n])
            cell = Text(value)
            cell.append(f"\n{interval}" if interval else "", style="dim")
            cells.append(cell)
        drawn.add_row(Text(f"  {name}"), *cells)
    return drawn
