"""Result files of a leaderboard, and its tables read back."""

from __future__ import annotations

import re
from typing import Any

from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.result.schema import RunResult


def only_table(*results: RunResult) -> Any:
    (table,) = Leaderboard(results).tables
    return table


def means_of(table: Any, column: str = "logmel", probe: str = "linear") -> dict[str, Any]:
    return {name: by_column[column] for name, by_column in table.means(probe).items()}


def markdown_rows(text: str) -> list[list[str]]:
    """Cells of every table line, split at pipes that are not escaped."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
