"""Result files of a leaderboard, and its tables read back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from result_files import make_result

from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.result.files import (
    failed_path,
    result_path,
    write_result,
)
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Result files: two that are whole, a failure, one broken and one of another version."""
    for result in (make_result("a", 0.625), make_result("b", 0.875, encoder="mfcc")):
        place = result_path(
            tmp_path, encoder=result.encoder["name"], fingerprint=result.encoder["fingerprint"],
            protocol="strict", task=result.task["name"], synthetic=False, limit=None,
        )  # fmt: skip
        place.parent.mkdir(parents=True)
        place.write_text(result.to_json())
    write_result(tmp_path / "c.json", make_result("c", error="no folder"), None)
    assert failed_path(tmp_path / "c.json").is_file()
    (tmp_path / "broken.json").write_text('{"schema": 1, "stat')
    (tmp_path / "old.json").write_text('{"schema": 0}')
    return tmp_path
