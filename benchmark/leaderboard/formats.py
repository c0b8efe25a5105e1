"""The forms that a leaderboard can be written in."""

from __future__ import annotations

from collections.abc import Callable

from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.to_csv import to_csv
from earmark.benchmark.leaderboard.to_json import to_json
from earmark.benchmark.leaderboard.to_latex import to_latex
from earmark.benchmark.leaderboard.to_markdown import to_markdown

FORMATS: dict[str, Callable[[Leaderboard], str]] = {
    "markdown": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
    "json": to_json,
}
