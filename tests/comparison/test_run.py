"""`compare`: two encoders task by task, from the command line and from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparison_runs import SOURCES, answers, by_task, cell, only, run
from paired_cells import class_predictions, random_predictions, write_cell
from scipy import stats

import earmark
from earmark.benchmark.cli.main import main
from earmark.benchmark.comparison.run import ComparisonError, compare
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.uncertainty.significance import Difference

# ------------------------------------------------------------------------------ in Python


def test_verdicts_and_their_turn(folder: Path) -> None:
    table = only(compare("A", "B", folder))
    assert {row.task: row.verdict for row in table.tasks} == {
        "one": "better", "two": "not distinguishable", "three": "worse",
    }  # fmt: skip
    assert [row.task for row in table.tasks] == ["one", "two", "three"]  # by domain, title
    turned = by_task(only(compare("B", "A", str(folder))))
    for row in table.tasks:
        other = turned[row.task]
        assert (other.first, other.second) == (row.second, row.first)
        assert other.difference.p == pytest.approx(row.difference.p)
    assert (turned["one"].verdict, turned["three"].verdict) == ("worse", "better")
    assert (table.left_out, table.notes, table.confidence) == ([], [], 0.95)
    assert table.caption == "linear probe: real data, protocol strict, 5 seeds"


def test_scores_are_those_of_the_leaderboard(folder: Path) -> None:
    (board,) = Leaderboard.from_folder(folder)[0].tables
    table = only(compare("A", "B", folder))
    for row in board.rows:
        found = by_task(table)[row.name]
        assert found.first == pytest.approx(row.cell("A", "linear").value)
        assert found.second == pytest.approx(row.cell("B", "linear").value)
        assert found.difference.value == pytest.approx(found.first - found.second)
        assert (found.items, found.sources) == (120, 40)
    assert table.mean_first == pytest.approx(board.means("linear")["mean of all"]["A"].value)
    assert table.mean is not None
    gaps = [row.difference.value for row in table.tasks]
    assert table.mean.value == pytest.approx(np.mean(gaps))


def test_p_values_are_those_of_a_permutation_test_over_sources(folder: Path) -> None:
    """A source's mean answers of both encoders change places; the items of each are as many."""
    table = by_task(only(compare("A", "B", folder)))
    for task, shares in {"one": (0.8, 0.5), "two": (0.5, 0.5), "three": (0.3, 0.7)}.items():
        first, second = (
            np.bincount(SOURCES, answers(share, sum(map(ord, name + task))).mean(axis=1))
            for name, share in zip("AB", shares, strict=True)
        )
        by_scipy = stats.permutation_test(
            (first, second), lambda one, other, axis: (one - other).mean(axis=axis),
            permutation_type="samples", vectorized=True, n_resamples=9999,
            random_state=np.random.default_rng(0),
        )  # fmt: skip
        found = table[task].difference
        assert found.value == pytest.approx(by_scipy.statistic / 3)  # of items a source
        # of whole answers many exchanges give the same: a permutation's p-value is the higher
        assert -0.01 < by_scipy.pvalue - (found.p or 0) < 0.06
        student = stats.ttest_rel(first / 3, second / 3)
        interval = student.confidence_interval(0.95)
        assert found.p == pytest.approx(student.pvalue)
        assert (found.low, found.high) == (
            pytest.approx(interval.low), pytest.approx(interval.high),
        )  # fmt: skip


def test_the_correction_is_over_the_tasks_compared(folder: Path) -> None:
    three = by_task(only(compare("A", "B", folder)))
    p_values = [row.difference.p for row in three.values()]
    assert all(p is not None for p in p_values)
    ordered = sorted(p for p in p_values if p is not None)
    smallest = min(three.values(), key=lambda row: row.difference.p or 0)
    assert smallest.holm_p == pytest.approx(3 * ordered[0])
    alone = only(compare("A", "B", folder, tasks=["two"])).tasks[0]
    assert alone.holm_p == alone.difference.p == three["two"].difference.p


def test_an_encoder_against_itself(folder: Path) -> None:
    table = only(compare("A", "A", folder))
    for row in table.tasks:
        assert (row.difference.value, row.difference.p, row.holm_p) == (0.0, 1.0, 1.0)
        assert row.verdict == "not distinguishable"
    assert table.mean == Difference(0.0, 0.0, 0.0, 1.0)


def test_it_is_the_same_every_time_and_from_results_in_memory(folder: Path) -> None:
    from earmark.benchmark.result.files import read_results

    results, _ = read_results(folder)
    tables = [
        compare("A", "B", folder), earmark.compare("A", "B", results),
        compare("A", "B", folder, cache=folder.parent / "new"),
    ]  # fmt: skip
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.parametrize("metric", ["mAP", "segment_f1_micro", "recall@1", "WER_inv"])
def test_every_metric_is_compared(metric: str, tmp_path: Path) -> None:
    for encoder, skill in (("A", 3.0), ("B", 0.4)):
        predictions = random_predictions(metric, 5, skill)
        write_cell(tmp_path, predictions, encoder, metric=metric)
    (row,) = only(compare("A", "B", tmp_path)).tasks
    assert (row.metric, row.items, row.sources) == (metric, 24, 9)
    if metric == "recall@1":  # whose ranks are the same, whatever the skill
        assert (row.difference.value, row.difference.p) == (0.0, 1.0)
    else:
        assert row.verdict == "better"


def test_probes_have_tables_and_corrections_of_their_own(tmp_path: Path) -> None:
    for encoder, share in (("A", 0.8), ("B", 0.5)):
        for task in ("one", "two"):
            right = answers(share, ord(encoder))
            knn = None if task == "two" else right[:, 0]
            write_cell(tmp_path, class_predictions(right, SOURCES, knn=knn), encoder, task)
    linear, knn = compare("A", "B", tmp_path)
    assert [table.probe for table in (linear, knn)] == ["linear", "knn"]
    assert ([row.task for row in linear.tasks], [row.task for row in knn.tasks]) == (
        ["one", "two"], ["one"],
    )  # fmt: skip
    assert (linear.left_out, knn.left_out) == ([], [])
    assert knn.tasks[0].holm_p == knn.tasks[0].difference.p
    assert knn.caption == "kNN: real data, protocol strict"
    assert only(compare("A", "B", tmp_path, probe="knn")) == knn
    with pytest.raises(ComparisonError, match="none of these tasks is measured by kNN"):
        compare("A", "B", tmp_path, tasks=["two"], probe="knn")


# ------------------------------------------------------------------------------ names


def test_two_encoders_of_one_name(tmp_path: Path) -> None:
    for digits, share in (("11111111", 0.8), ("22222222", 0.4)):
        cell(tmp_path, share, "clap", fingerprint=f"{digits}99")
    (row,) = only(compare("clap@11111111", "clap@22222222", tmp_path)).tasks
    assert row.first > row.second
    with pytest.raises(ComparisonError) as caught:
        compare("clap", "clap@22222222", tmp_path)
    said = "2 encoders are named 'clap'; say clap@11111111 or clap@22222222"
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"first": "AA"}, "no result of an encoder 'AA'; did you mean 'A'?"),
        ({"second": "whisper"}, "no result of an encoder 'whisper'; there are A, B"),
        ({"tasks": ["thre"]}, "neither encoder has a result of 'thre'; did you mean 'three'?"),
        (
            {"tasks": ["sound"]},
            "neither encoder has a result of 'sound'; there are one, three, two",
        ),
        ({"probe": "tree"}, "probe must be linear, knn or all, not 'tree'"),
    ],
)
def test_unknown_names_are_one_line(folder: Path, words: dict[str, Any], said: str) -> None:
    with pytest.raises(ComparisonError) as caught:
        compare(**{"first": "A", "second": "B", "results": folder} | words)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("tasks", "wanted"),
    [
        (["music"], {"three"}), (["speech"], {"one", "two"}), (["two", "three"], {"two", "three"}),
        (["somewhere/one.yaml"], {"one"}), (["all"], {"one", "two", "three"}),
    ],
)  # fmt: skip
def test_tasks_are_names_domains_or_files(folder: Path, tasks: list[str], wanted: Any) -> None:
    assert by_task(only(compare("A", "B", folder, tasks=tasks))).keys() == wanted


# ------------------------------------------------------------------------------ the command


def test_unreadable_results_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.json").write_text("{")
    assert run(folder) == 3
    assert "broken.json" in capsys.readouterr().err
    assert "broken.json" in only(compare("A", "B", folder)).notes[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "A", "C"], "no result of an encoder 'C'"),
        (["compare", "A", "B", "--out", "x.md"], "--out needs --format markdown, csv or json"),
    ],
)
def test_what_cannot_start_is_one_line(
    folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--results", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


def test_no_results_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for missing in (tmp_path, tmp_path / "absent"):
        assert run(missing) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert str(missing) in line
