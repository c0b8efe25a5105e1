"""Results that published values can stand beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from result_files import make_result

from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.table import Table
from earmark.benchmark.result.published import PublishedError
from earmark.benchmark.result.schema import RunResult
from earmark.tasks import builtin_tasks

XARES = "xares-0.1.3"


def measured(
    task: str = "esc50", linear: float | None = 0.4, knn: float | None = None, **changes: Any
) -> RunResult:
    """A result of a task that comes with Earmark, under the protocol of the published values."""
    spec = builtin_tasks()[task]
    facts: dict[str, Any] = {
        "protocol": XARES, "seeds": 1, "domain": spec.domain, "title": spec.title,
        "weight": spec.weight,
    }  # fmt: skip
    result = make_result(task, linear, knn, **facts | changes)
    result.task.metric = spec.metric
    for score in result.scores.values():
        score.items = int(spec.weight)  # the whole test set
    return result


def only_table(board: Leaderboard) -> Table:
    (table,) = board.tables
    return table


def refusal(board: Leaderboard, *names: str, folder: Path | None = None) -> str:
    with pytest.raises(PublishedError) as caught:
        board.with_published(names, folder)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)
