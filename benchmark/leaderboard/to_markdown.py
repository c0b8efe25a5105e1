"""The leaderboard as Markdown."""

from __future__ import annotations

from earmark.benchmark.io.markdown import bullets, escape, grid
from earmark.benchmark.leaderboard import cost
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
            parts += [*bullets(table.footnotes), ""]
        if table.cost:
            parts += _in_markdown(cost.caption_of(table), cost.grid_of(table), texts=1)
            parts += [*bullets(cost.notes_of(table)), ""]
        curves = curves_of(table)
        if curves is not None:
            parts += _in_markdown(curves.caption, grid_of(curves), texts=3)
            parts += [*bullets(curves.notes), ""]
    return "\n".join(parts)


def _in_markdown(title: str, lines: list[list[str]], texts: int) -> list[str]:
    """A table with its title; so many of its columns are texts, the others numbers."""
    return [f"**{escape(title)}**\n", *grid(lines, texts), ""]


def _bold_markdown(text: str) -> str:
    """The score in bold, its interval not."""
    score, space, interval = text.partition(" ")
    return f"**{score}**{space}{interval}"
