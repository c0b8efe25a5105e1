"""Scores without each source: of predictions of a run, and of cells alone and together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from frame_tasks import make_task
from paired_cells import METRICS, random_predictions, write_cell

from earmark import evaluate
from earmark.benchmark.result.schema import RunResult
from earmark.benchmark.uncertainty.cache import Values
from earmark.benchmark.uncertainty.values import drawn_from, values_of

Toy = Callable[..., tuple[Path, Path]]


@pytest.mark.parametrize("kind", ["events", "notes", "captions", "transcript"])
def test_predictions_of_a_run_give_its_score(kind: str, tmp_path: Path) -> None:
    """`values_of` says so where they do not."""
    task = make_task(tmp_path, kind)
    folders = {"data": tmp_path / "data", "results": tmp_path / "r", "cache": tmp_path / "c"}
    (result,) = evaluate("logmel", str(task), seeds=2, **folders)
    (values,) = values_of([result], tmp_path / "c")
    assert isinstance(values, Values)
    assert values.by_probe["linear"][0] == pytest.approx(result.scores["linear"].value)
    assert values.by_probe["linear"].shape == (1 + values.sources,)


def test_predictions_of_a_run_with_classes_give_its_scores(toy: Toy, tmp_path: Path) -> None:
    task, data = toy()
    (result,) = evaluate("logmel", str(task), data=data, results=tmp_path / "r", seeds=2)
    (values,) = values_of([result], tmp_path / "c")
    assert isinstance(values, Values)
    assert list(values.by_probe) == ["linear", "knn"]
    assert (values.count, values.sources) == (20, 10)


def test_a_score_that_predictions_do_not_give_is_told(tmp_path: Path) -> None:
    def better(result: RunResult) -> None:
        result.scores["linear"].value += 0.01

    result = write_cell(tmp_path, random_predictions("accuracy", 0), change=better)
    (why,) = values_of([result], tmp_path / "c")
    assert isinstance(why, str)
    assert "but its predictions give" in why


def test_the_same_sources_of_the_same_data_only_are_drawn_together() -> None:
    one = drawn_from(["b", "a", "b"], ["x", "y"])
    assert one == drawn_from(["a", "b"], ["y", "x"])
    assert one != drawn_from(["a", "c"], ["x", "y"])
    assert one != drawn_from(["a", "b"], ["x"])


@pytest.mark.parametrize("metric", METRICS)
def test_cells_alone_and_together_have_the_same_values(metric: str, tmp_path: Path) -> None:
    cells = [
        write_cell(tmp_path, random_predictions(metric, seed), f"E{seed}", metric=metric)
        for seed in range(2)
    ]
    together = values_of(cells, tmp_path / "one")
    alone = [values_of([cell], tmp_path / "two")[0] for cell in cells]
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Values)
        assert isinstance(other, Values)
        assert one.items == other.items
        for probe in one.by_probe:
            np.testing.assert_array_equal(one.by_probe[probe], other.by_probe[probe])
