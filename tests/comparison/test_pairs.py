"""Which cells of two encoders are compared, and why others are not."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparison_runs import SOURCES, answers, by_task, cell, only
from paired_cells import class_predictions, random_predictions, write_cell
from result_files import make_result

from earmark.benchmark.comparison.run import compare
from earmark.benchmark.result.files import write_result
from earmark.benchmark.result.schema import Predictions, RunResult


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": "xares-0.1.3"}, "protocol xares-0.1.3"),
        ({"seeds": 1}, "1 seed"),
        ({"limit": 20}, "LIMITED to 20 clips a split"),
        ({"synthetic": True}, "SYNTHETIC data"),
    ],
)
def test_what_cannot_be_compared_has_a_table_of_its_own(
    folder: Path, change: dict[str, Any], said: str
) -> None:
    for encoder in "AB":
        cell(folder, 0.6, encoder, "four", **change)
    tables = compare("A", "B", folder)
    assert len(tables) == 2
    own = [table for table in tables if said in table.caption]
    assert [row.task for row in only(own).tasks] == ["four"]
    (other,) = (table for table in tables if said not in table.caption)
    assert "four" not in by_task(other)


def test_one_side_of_a_group_is_named(folder: Path) -> None:
    cell(folder, 0.6, "A", "one", seeds=1)
    tables = compare("A", "B", folder)
    (single,) = (table for table in tables if table.seeds == 1)
    assert single.tasks == []
    assert (single.mean, single.mean_first) == (None, None)
    there = "B has no result but that of (real data, protocol strict, 5 seeds)"
    assert single.left_out == [("one", there)]


def test_other_data_or_declarations_are_not_compared(tmp_path: Path) -> None:
    def declared(result: RunResult) -> None:
        result.task.digest = "another"

    def tokens(result: RunResult) -> None:
        result.scores["linear"].tokens = "BERT's"

    cells = {
        "data": {"shard": "11"},
        "declared": {"change": declared},
        "tokens": {"change": tokens},
    }
    for task, change in cells.items():
        cell(tmp_path, 0.5, "A", task)
        cell(tmp_path, 0.5, "B", task, **change)
    table = only(compare("A", "B", tmp_path))
    assert table.tasks == []
    reasons = dict(table.left_out)
    assert len(table.left_out) == 3
    assert reasons["data"] == "A and B were scored on different data"
    assert reasons["declared"] == "A and B were scored by different declarations"
    assert reasons["tokens"] == "A and B were scored with different tokens or declarations"


def test_what_is_missing_is_named(folder: Path) -> None:
    cell(folder, 0.5, "A", "four")
    for name in "AB":
        cell(folder, 0.5, name, "five")
    failed = make_result("five", error="disk full", encoder="B", fingerprint="B-fingerprint")
    write_result(folder / "f.json", failed, None)
    for name in "AB":
        write_result(
            folder / f"g{name}.json",
            make_result("six", error="no shards", encoder=name, fingerprint=f"{name}-fingerprint"),
            None,
        )
    (gone,) = (folder / "A-A-finger").rglob("two*.npz")
    gone.unlink()
    table = only(compare("A", "B", folder))
    assert [row.task for row in table.tasks] == ["one", "three"]
    reasons = dict(table.left_out)
    assert reasons["four"] == "B has no result"
    assert reasons["five"] == "failed for B: disk full"
    assert reasons["six"] == "failed for both: no shards"
    assert str(gone) in reasons["two"]


def test_a_score_that_is_not_computable_is_not_compared(tmp_path: Path) -> None:
    for encoder in "AB":
        predictions = random_predictions("segment_f1_macro", 1)
        labels = np.zeros_like(predictions.labels)
        empty = dataclasses.replace(predictions, labels=labels)
        cell = write_cell(tmp_path, empty, encoder, metric="segment_f1_macro")
        assert math.isnan(cell.scores["linear"].value)
    table = only(compare("A", "B", tmp_path))
    assert table.left_out == [("one", "the score of A is not computable")]


def test_lost_clips_leave_the_common_ones(tmp_path: Path) -> None:
    for encoder, lost in (("A", [0, 50]), ("B", [7])):
        whole = class_predictions(answers(0.6, ord(encoder)), SOURCES)
        rows = np.delete(np.arange(120), lost)
        arrays = {name: array[rows] for name, array in vars(whole).items() if array is not None}
        write_cell(tmp_path, Predictions(**arrays), encoder)
    table = only(compare("A", "B", tmp_path))
    (row,) = table.tasks
    assert (row.items, row.only_first, row.only_second) == (117, 1, 2)
    rows = np.delete(np.arange(120), [0, 7, 50])
    assert row.first == pytest.approx(answers(0.6, ord("A"))[rows].mean())
    assert row.second == pytest.approx(answers(0.6, ord("B"))[rows].mean())
    assert table.notes == [
        "one: on the 117 items of both; left out: 1 only A has, 2 only B has",
    ]  # fmt: skip


def test_of_fewer_sources_than_six_nothing_is_said(tmp_path: Path) -> None:
    for encoder, share in (("A", 0.9), ("B", 0.4)):
        for task, count in (("six", 6), ("five", 5), ("single", 1)):
            sources = np.arange(120) % count
            predictions = class_predictions(answers(share, ord(encoder), sources), sources)
            write_cell(tmp_path, predictions, encoder, task, source_unit="speaker")
    table = only(compare("A", "B", tmp_path))
    rows = by_task(table)
    for task in ("five", "single"):
        assert rows[task].verdict == "too few sources"
        assert (rows[task].difference.low, rows[task].holm_p) == (None, None)
    assert rows["six"].verdict == "better"
    assert rows["six"].holm_p == rows["six"].difference.p
    assert table.notes == [
        "five: too few sources for an interval, of the mean too: 5 sources (speaker), not 6",
        "single: too few sources for an interval, of the mean too: 1 source (speaker), not 6",
    ]
    assert table.mean is not None
    assert table.mean.low is None
