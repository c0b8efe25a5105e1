"""Leaderboard tables as LaTeX: a fragment for any document with booktabs and graphicx.

It is plain ASCII, and compiles whatever encoders and tasks are called.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

from earmark.benchmark.leaderboard import cost
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.label_efficiency import Curves, curves_of, grid_of
from earmark.benchmark.leaderboard.layout import (
    SHORT_METRICS,
    cell_text,
    fitting,
    head_in_lines,
    mean_lines,
    measured_rows,
    views,
)
from earmark.benchmark.leaderboard.table import Row, Table

_CLOSED = [r"\bottomrule", r"\end{tabular}}", r"\end{table}"]
_WIDTH = 140  # characters side by side; a line of usual length shrinks them to about 6 points

_ESCAPED = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": "$<$", ">": "$>$", "|": "$|$", "`": r"\textasciigrave{}",
    '"': r"\textquotedblright{}", "·": r"\textperiodcentered{}", "–": r"\textendash{}",
    "—": r"\textemdash{}", "…": r"\textellipsis{}", "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}", "“": r"\textquotedblleft{}", "”": r"\textquotedblright{}",
    "×": r"$\times$", "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\to$",
    "µ": r"$\mu$", "μ": r"$\mu$", "λ": r"$\lambda$", "°": r"$^\circ$",
}  # fmt: skip
_LETTERS = {
    "ß": r"\ss{}", "æ": r"\ae{}", "œ": r"\oe{}", "ø": r"\o{}", "ł": r"\l{}", "ı": r"\i{}",
    "Æ": r"\AE{}", "Œ": r"\OE{}", "Ø": r"\O{}", "Ł": r"\L{}",
}  # fmt: skip
# combining accent -> its command, of those that every font encoding of LaTeX has
_ACCENTS = {
    "\u0300": "\\`", "\u0301": "\\'", "\u0302": "\\^", "\u0303": "\\~", "\u0304": "\\=",
    "\u0306": "\\u", "\u0307": "\\.", "\u0308": '\\"', "\u030a": "\\r", "\u030b": "\\H",
    "\u030c": "\\v", "\u0327": "\\c",
}  # fmt: skip


def to_latex(board: Leaderboard) -> str:
    """All tables as `table` floats, each followed by its notes.

    A table wider than the line is shrunk to it; one that would be too small to read is spread over
    several floats.
    """
    parts = [
        r"% in the preamble: \usepackage{booktabs,graphicx}",
        *(
            part
            for table in board.tables
            for part in (
                *(_float(table, *page) for page in _pages(table)),
                *_cost_floats(table),
                *_shots_floats(curves_of(table)),
            )
        ),
    ]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text as LaTeX prints it; a character that plain LaTeX lacks becomes its code, `(U+4E2D)`."""
    composed = unicodedata.normalize("NFC", " ".join(text.split()))
    escaped = "".join(_escape_one(character) for character in composed)
    return re.sub("-(?=-)", "-{}", escaped)  # two would become a dash


def _escape_one(character: str) -> str:
    if " " <= character <= "~":
        return _ESCAPED.get(character, character)
    known = _ESCAPED.get(character) or _LETTERS.get(character)
    if known is not None:
        return known
    parts = unicodedata.normalize("NFD", character)
    if parts[0].isascii() and parts[1:] in _ACCENTS:
        return f"{_ACCENTS[parts[1:]]}{{{parts[0]}}}"
    return f"(U+{ord(character):04X})"


def _pages(table: Table) -> list[tuple[str, list[tuple[str, str, str]], list[str]]]:
    """Title, columns and notes of each float; the notes with the table's last one."""
    pages = [
        (title, some) for title, columns in views(table) for some in fitting(table, columns, _WIDTH)
    ]
    return [
        (title, columns, table.footnotes if number == len(pages) else [])
        for number, (title, columns) in enumerate(pages, 1)
    ]


def _shots_floats(curves: Curves | None) -> list[str]:
    """Label efficiency, where there is any, as one float with its notes."""
    if curves is None:
        return []
    head, *lines = grid_of(curves)
    return _plain_float(
        curves.caption,
        head,
        [
            [*map(escape, (title, SHORT_METRICS.get(metric, metric), encoder)), *map(_small, cells)]
            for title, metric, encoder, *cells in lines
        ],
        curves.notes,
    )


def _cost_floats(table: Table) -> list[str]:
    """What the encoders cost, where it was asked for, as one float with its notes."""
    if not table.cost:
        return []
    head, *lines = cost.grid_of(table)
    grid = [[escape(cell) for cell in line] for line in lines]
    return _plain_float(cost.caption_of(table), head, grid, cost.notes_of(table))


def _plain_float(
    caption: str, head: list[str], lines: list[list[str]], notes: list[str]
) -> list[str]:
    """A table, of cells that are LaTeX already, with its notes."""
    body = [r"\toprule", _line([escape(text) for text in head]), r"\midrule", *map(_line, lines)]
    told = [rf"\noindent {escape(note)}\par" for note in notes]
    return [
        "\n".join([*_opened(caption, len(head)), *body, *_CLOSED]),
        "\n".join([r"{\footnotesize", *told, "}"]),
    ]


def _opened(title: str, width: int) -> list[str]:
    return [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(title)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{'l' * width}}}",
    ]


def _float(table: Table, title: str, columns: list[tuple[str, str, str]], notes: list[str]) -> str:
    width = len(columns) + 2
    lines = [
        *_opened(title, width),
        r"\toprule",
        _line(["task", "metric", *(_head(head) for head, _, _ in columns)]),
    ]
    for domain, rows in groupby(measured_rows(table, columns), key=lambda row: row.domain):
        lines += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\itshape {escape(domain)}}} \\"]
        lines += [_line(_row_cells(row, columns)) for row in rows]
    lines.append(r"\midrule")
    lines += [
        _line([escape(name), "", *(_small(cell) for cell in cells)])
        for name, _, *cells in mean_lines(table, columns)
    ]
    lines += _CLOSED
    if notes:
        told = [rf"\noindent {escape(note)}\par" for note in notes]
        # outside the float, where many notes can go over several pages
        lines += ["", r"{\footnotesize", rf"\noindent\textbf{{{escape(table.caption)}}}\par"]
        lines += [*told, "}"]
    return "\n".join(lines)


def _head(head: str) -> str:
    name, *marks = head_in_lines(head).split("\n")
    if not marks:
        return escape(name)
    return rf"\shortstack[l]{{{escape(name)}\\{{}}{escape(' '.join(marks))}}}"


def _row_cells(row: Row, columns: list[tuple[str, str, str]]) -> list[str]:
    metric = SHORT_METRICS.get(row.metric, row.metric)
    cells = [
        _small(
            cell_text(row.cell(encoder, probe), row.has(probe)), bold=row.is_best(encoder, probe)
        )
        for _, encoder, probe in columns
    ]
    return [escape(row.title), escape(metric), *cells]


def _small(cell: str, *, bold: bool = False) -> str:
    """A cell with what stands behind its number (interval, tasks of a mean) in small print."""
    number, _, rest = cell.partition(" ")
    if not number.replace(".", "").isdecimal():
        return escape(cell)
    shown = rf"\textbf{{{number}}}" if bold else number
    return rf"{shown} {{\scriptsize {escape(rest)}}}" if rest else shown


def _line(cells: list[str]) -> str:
    """A line of the table. What ends a line takes a star or a bracket after it for its own."""
    first, *others = cells
    guarded = "{}" + first if first.startswith(("[", "*")) else first
    return " & ".join([guarded, *others]) + r" \\"
