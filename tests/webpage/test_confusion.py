"""Confusion matrices of the page, against those of scikit-learn."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paired_cells import class_predictions, random_predictions, write_cell
from sklearn.metrics import confusion_matrix
from webpage_files import content_of

from earmark import report
from earmark.benchmark.webpage.confusion import RowConfusions, confusions_of, packed


def test_classes_that_nothing_is_of_or_taken_for_are_left_out() -> None:
    predictions = class_predictions(np.ones((4, 1), bool), range(4))
    predictions.labels = np.array([1, 1, 5, 5])
    predictions.linear = np.array([[1], [5], [8], [5]])
    counted = confusions_of(predictions, "linear", 10)
    assert counted is not None
    names = [f"c{i}" for i in range(10)]
    (row,) = packed({0: RowConfusions(names, {"A": {"linear": counted}})}).values()
    assert (row["names"], row["unmet"], row["others"]) == (["c1", "c5", "c8"], 7, 0)
    assert dense(row, "A").tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]


def dense(row: Any, column: str, probe: str = "linear") -> np.ndarray:
    size, cells = len(row["names"]), row["columns"][column][probe]["cells"]
    found = np.zeros((size, size), int)
    for true, predicted, count in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
        found[true, predicted] += count
    return found


@given(st.integers(0, 2**32), st.integers(2, 9), st.integers(1, 3))
def test_matrices_are_those_of_scikit_learn(seed: int, classes: int, seeds: int) -> None:
    rng = np.random.default_rng(seed)
    predictions = class_predictions(np.ones((30, seeds), bool), range(30))
    predictions.labels = rng.integers(0, classes, 30)
    predictions.linear = rng.integers(0, classes, (30, seeds))
    counted = confusions_of(predictions, "linear", classes)
    assert counted is not None
    assert counted.seeds == seeds
    # a second encoder that takes each class for itself, so that all are met
    own = confusions_of(class_predictions(np.ones((30, 1), bool), range(30)), "linear", classes)
    assert own is not None
    own = dataclasses.replace(
        own, classes=classes, codes=np.arange(classes) * (classes + 1),
        counts=np.ones(classes, np.int64),
    )  # fmt: skip
    both = {"A": {"linear": counted}, "B": {"linear": own}}
    row = packed({0: RowConfusions([str(i) for i in range(classes)], both)})
    wanted = sum(
        confusion_matrix(predictions.labels, one, labels=range(classes))
        for one in predictions.linear.T
    )
    assert (dense(row[0], "A") == wanted).all()
    assert row[0]["others"] == 0


def test_of_many_classes_the_most_confused_stay() -> None:
    classes, rng = 100, np.random.default_rng(0)
    predictions = class_predictions(np.ones((400, 1), bool), range(400))
    predictions.labels = np.arange(400) % classes
    predictions.linear = predictions.labels[:, None].copy()
    predictions.linear[predictions.labels == 7] = 93  # 4 errors each way; the others have fewer
    wrong = rng.permutation(np.flatnonzero(predictions.labels != 7))[:60]
    predictions.linear[wrong, 0] = (predictions.labels[wrong] + 1) % classes
    counted = confusions_of(predictions, "linear", classes)
    assert counted is not None
    names = [f"c{i}" for i in range(classes)]
    row = packed({0: RowConfusions(names, {"A": {"linear": counted}})})[0]
    assert len(row["names"]) == 61
    assert row["others"] == 40
    assert row["names"][-1] == "other (40 classes)"
    table = dense(row, "A")
    assert table.sum() == 400
    assert table[row["names"].index("c7"), row["names"].index("c93")] == 4
    tight = packed({0: RowConfusions(names, {"A": {"linear": counted}})}, budget=1500)[0]
    assert len(tight["names"]) < 61
    assert "c7" in tight["names"]
    assert len(json.dumps(tight)) <= 1500
    assert dense(tight, "A").sum() == 400


@pytest.mark.parametrize("metric", ["mAP", "segment_f1_macro", "recall@1", "WER_inv"])
def test_what_has_not_one_class_a_clip_has_no_matrix(metric: str) -> None:
    assert confusions_of(random_predictions(metric, 0), "linear", 4) is None


def test_predictions_become_matrices_and_their_lack_is_said(tmp_path: Path) -> None:
    write_cell(tmp_path, class_predictions(np.ones((9, 1), bool), range(9)), "A", "esc50")
    lost = write_cell(tmp_path, class_predictions(np.ones((9, 1), bool), range(9)), "B", "esc50")
    assert lost.path is not None
    lost.path.with_suffix(".predictions.npz").unlink()
    made = report(tmp_path, tmp_path / "page.html")
    (table,) = content_of(made.paths[0].read_text(encoding="utf-8"))["tables"]
    place = [row["name"] for row in table["rows"]].index("esc50")
    first, second = table["confusions"][place]["columns"]
    assert first["linear"]["cells"] == [0, 0, 3, 1, 1, 3, 2, 2, 3]
    assert second is None
    assert any(note.startswith("no confusion matrix") for note in made.notes)
