"""What encoders cost as terminal text: an encoder a line."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from earmark.benchmark.io.terminal import in_runs, print_table, printable, wrap
from earmark.benchmark.leaderboard.cost import caption_of, grid_of, notes_of
from earmark.benchmark.leaderboard.table import Table

_GAP = 2  # between columns
_LEAST = 16  # characters of an encoder's or a device's name in a line


def print_cost(table: Table, console: Console) -> None:
    """Print the costs of a table's encoders; columns that do not fit go below."""
    heads, *lines = [[printable(cell) for cell in line] for line in grid_of(table)]
    widths = [max(map(cell_len, column)) for column in zip(heads, *lines, strict=True)]
    least = [min(width, _LEAST) if n in (0, len(heads) - 1) else width for n, width in
             enumerate(widths)]  # fmt: skip
    for some in in_runs([width + _GAP for width in least[1:]], console.width - least[0]):
        columns = [0, *(n + 1 for n in some)]
        # what is left goes to the names, the encoder's first
        left = console.width - sum(least[n] + _GAP for n in columns) + _GAP
        console.print(Text(printable(caption_of(table)), style="bold"))
        console.print()
        drawn = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
        room = list(least)
        for n in columns:
            more = max(0, min(widths[n] - least[n], left))
            room[n], left = least[n] + more, left - more
            right = "right" if n and n < len(heads) - 1 else "left"
            drawn.add_column(Text(heads[n]), no_wrap=True, justify=right)  # type: ignore[arg-type]
        for line in lines:
            drawn.add_row(*(Text(wrap(line[n], room[n])) for n in columns))
        print_table(drawn, console)
        console.print()
    for note in notes_of(table):
        console.print(Text(f"  {printable(note)}", style="dim"))
    console.print()
