"""Intervals of differences between encoders on the page, against `compare`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from paired_cells import class_predictions, random_predictions, write_cell
from result_files import make_result
from webpage_files import page_of, write

from earmark import compare


def test_intervals_of_differences_are_those_of_compare(tmp_path: Path) -> None:
    for task, metric in (("esc50", "accuracy"), ("fsd50k", "mAP"), ("maestro", "segment_f1_micro")):
        for number, encoder in enumerate("ABC"):
            cell = random_predictions(metric, number, 1 + number)
            write_cell(tmp_path, cell, encoder, task, metric)
    _, content = page_of(tmp_path)
    (table,) = content["tables"]
    assert [column["name"] for column in table["columns"]] == ["A", "B", "C"]
    seen = 0
    for place, (one, other) in enumerate((("A", "B"), ("A", "C"), ("B", "C"))):
        for found in compare(one, other, tmp_path):
            for task in found.tasks:
                row = [row["name"] for row in table["rows"]].index(task.task)
                wanted = [task.difference.low, task.difference.high]
                assert table["differences"][row][found.probe][place] == pytest.approx(
                    wanted, abs=1e-5
                )
                seen += 1
    assert seen == 3 * 4  # three tasks, one with both probes


def test_items_of_one_alone_leave_no_interval_of_a_difference(tmp_path: Path) -> None:
    for encoder, count in (("A", 24), ("B", 24), ("C", 23)):
        cell = class_predictions(np.arange(count) % 2 == 0, np.arange(count) // 2)
        write_cell(tmp_path, cell, encoder, "esc50")
    write(tmp_path, make_result("fsc", 0.5, encoder="A", fingerprint="A-fingerprint"))
    _, content = page_of(tmp_path)
    (table,) = content["tables"]
    by_task = dict(zip((r["name"] for r in table["rows"]), table["differences"], strict=True))
    assert by_task["esc50"]["linear"][0] == [0.0, 0.0]
    assert by_task["esc50"]["linear"][1:] == [None, None]
    assert by_task["fsc"] == by_task["gtzan"] == {}


def test_of_too_many_pairs_there_are_no_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for encoder in "ABC":
        write(tmp_path, make_result("esc50", 0.5, encoder=encoder))
    # 3 pairs; kNN measures 16 tasks, the linear probe 22; but here ESC-50 has the second alone
    monkeypatch.setattr("earmark.benchmark.webpage.differences.MOST", 3 * (22 + 15))
    assert page_of(tmp_path)[1]["tables"][0]["differences"] is not None
    monkeypatch.setattr("earmark.benchmark.webpage.differences.MOST", 3 * (22 + 15) - 1)
    assert page_of(tmp_path)[1]["tables"][0]["differences"] is None
