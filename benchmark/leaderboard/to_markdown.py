"""The leaderboard as Markdown."""

from __future__ import annotations

from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.label_efficiency import curves_of, grid_of
from earmark.benchmark.leaderboard.layout import _grid, views


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


def _bold_markdown(text: str) -> str:
    """The score in bold, its interval not."""
    score, space, interval = text.partition(" ")
    return f"**{score}**{space}{interval}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
