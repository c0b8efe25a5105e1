"""The forms that a leaderboard can be written in."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.leaderboard import Leaderboard
from benchmark.tables import to_csv, to_markdown
from benchmark.tables_json import to_json
from benchmark.tables_latex import to_latex

FORMATS: dict[str, Callable[[Leaderboard], str]] = {
    "markdown": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
    "json": to_json,
}
