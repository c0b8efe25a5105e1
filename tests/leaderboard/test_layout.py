"""The leaderboard's rows of all tasks, and what stands beside a score."""

from __future__ import annotations

import pytest
from leaderboard_tables import markdown_rows, means_of, only_table
from result_files import make_result

from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.to_markdown import to_markdown
from earmark.tasks import builtin_tasks


def test_labels_left_out_other_measures_and_tokens_are_told() -> None:
    fault = {"shard": "a.tar", "key": "k7", "reason": "note 3: note 108 is none of the task's"}
    result = make_result("a", 0.4, label_faults=2, labels=500, faults=[fault])
    result.scores["linear"].also = {"note_f1": 0.25, "note_recall": 0.5}
    result.scores["linear"].tokens = "words of the training captions"
    result.scores["linear"].too_short = 4
    notes = "\n".join(only_table(result).footnotes)
    assert "a: 2 of 500 labels were left out; the first: a.tar/k7: note 3: note 108" in notes
    assert "a · logmel: note_f1 0.250, note_recall 0.500" in notes
    assert "a · logmel: 4 training clips have fewer frames than their transcript takes" in notes
    assert "a: tokens are words of the training captions" in notes


def test_other_tokens_are_another_row() -> None:
    one, other = make_result("a", 0.4), make_result("a", 0.5, encoder="mfcc")
    one.scores["linear"].tokens = "words"
    assert len(only_table(one, other).rows) == 2


def test_tasks_that_did_not_run_are_listed_and_counted() -> None:
    specs = builtin_tasks()
    results = [
        make_result("esc50", 0.4, knn=0.6, domain="sound", title="ESC-50", weight=400),
        make_result("maestro", 0.2, domain="music", title="MAESTRO", weight=65),
        make_result("mine", 0.9, domain="music"),
    ]
    (table,) = Leaderboard(results, specs.values()).tables
    assert len(table.rows) == len(specs) + 1 == 23
    assert {row.name for row in table.rows} == {*specs, "mine"}
    cells = {row.name: row.cell("logmel", "linear").status for row in table.rows}
    assert {name for name, status in cells.items() if status == "done"} == {
        "esc50", "maestro", "mine",
    }  # fmt: skip
    assert set(cells.values()) == {"done", "not run"}
    means = means_of(table)
    assert (means["mean of all"].tasks, means["mean of all"].of) == (3, 23)
    assert means["mean of music"].value == pytest.approx(0.55)
    assert (means["mean of music"].tasks, means["mean of music"].of) == (2, 5)
    assert means["weighted mean"].value == pytest.approx((0.4 * 400 + 0.2 * 65 + 0.9) / 466)
    knn = means_of(table, probe="knn")
    assert (knn["mean of all"].tasks, knn["mean of all"].of) == (1, 16)  # of single-label tasks
    assert markdown_rows(to_markdown(Leaderboard(results, specs.values())))[0][2:] == [
        "linear probe", "kNN",
    ]  # fmt: skip
    # a table of one's own tasks alone is not filled up with the 22
    (own,) = Leaderboard([make_result("mine", 0.9)], specs.values()).tables
    assert [row.name for row in own.rows] == ["mine"]
