"""Results of pairs of encoders over one set of sources, and `compare` over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from paired_cells import class_predictions, write_cell

from earmark.benchmark.cli.main import main
from earmark.benchmark.comparison.run import Comparison, TaskComparison
from earmark.benchmark.result.schema import RunResult

SOURCES = np.repeat(np.arange(40), 3)


def answers(share: float, seed: int, sources: Any = SOURCES) -> Any:
    """Right answers by two seeds; a source's items are easy or hard together."""
    rng = np.random.default_rng(seed)
    ease = np.random.default_rng(99).normal(0, 0.1, max(sources) + 1)[sources]
    return rng.random((len(sources), 2)) < (share + ease)[:, None]


def cell(folder: Path, share: float, encoder: str, task: str = "one", **facts: Any) -> RunResult:
    right = answers(share, sum(map(ord, encoder + task)))
    return write_cell(folder, class_predictions(right, SOURCES), encoder, task, **facts)


def only(tables: list[Comparison]) -> Comparison:
    (table,) = tables
    return table


def by_task(table: Comparison) -> dict[str, TaskComparison]:
    return {row.task: row for row in table.tasks}


def run(folder: Path, *words: str) -> int:
    return main(["compare", "A", "B", "--results", str(folder), *words])
