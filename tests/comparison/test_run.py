"""`compare`: two encoders task by task, from the command line and from Python."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from paired_cells import class_predictions, random_predictions, write_cell
from result_files import make_result
from scipy import stats

import earmark
from earmark.benchmark.cli.main import main
from earmark.benchmark.comparison.run import Comparison, ComparisonError, TaskComparison, compare
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.result.files import write_result
from earmark.benchmark.result.schema import Predictions, RunResult
from earmark.benchmark.uncertainty.significance import Difference

SOURCES = np.repeat(np.arange(40), 3)


def answers(share: float, seed: int, sources: Any = SOURCES) -> Any:
    """Right answers by two seeds; a source's items are easy or hard together."""
    rng = np.random.default_rng(seed)
    ease = np.random.default_rng(99).normal(0, 0.1, max(sources) + 1)[sources]
    return rng.random((len(sources), 2)) < (share + ease)[:, None]


def cell(folder: Path, share: float, encoder: str, task: str = "one", **facts: Any) -> RunResult:
    right = answers(share, sum(map(ord, encoder + task)))
    return write_cell(folder, class_predictions(right, SOURCES), encoder, task, **facts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A is better on `one`, alike on `two`, worse on `three`."""
    for encoder, shares in (("A", (0.8, 0.5, 0.3)), ("B", (0.5, 0.5, 0.7))):
        for task, share in zip(("one", "two", "three"), shares, strict=True):
            domain = "music" if task == "three" else "speech"
            cell(tmp_path / "runs", share, encoder, task, domain=domain)
    return tmp_path / "runs"


def only(tables: list[Comparison]) -> Comparison:
    (table,) = tables
    return table


def by_task(table: Comparison) -> dict[str, TaskComparison]:
    return {row.task: row for row in table.tasks}


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


# ------------------------------------------------------------------------------ never mixed


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


def run(folder: Path, *words: str) -> int:
    return main(["compare", "A", "B", "--results", str(folder), *words])


def test_the_terminal_shows_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    assert "A (A) against B (B)" in out
    table = only(compare("A", "B", folder))
    for row, verdict in zip(table.tasks, ("better", "unclear", "worse"), strict=True):
        (line,) = [line for line in out.splitlines() if line.startswith(f"Task {row.task}")]
        cells = line.removeprefix(f"Task {row.task}").split()
        assert cells[:3] == [
            f"{row.first:.3f}", f"{row.second:.3f}", f"{row.difference.value:+.3f}",
        ]  # fmt: skip
        assert re.search(r"\[[+-]\.\d{3} [+-]\.\d{3}\]", line)
        assert cells[-1] == verdict
    assert " ".join(out.split()).count("paired test over sources (jackknife and Student's t)") == 1


def test_markdown_csv_and_json_hold_the_same(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = only(compare("A", "B", folder))
    texts = {}
    for form in ("markdown", "csv", "json"):
        assert run(folder, "--format", form) == 0
        texts[form] = capsys.readouterr().out
        out = tmp_path / f"new.{form}"
        assert run(folder, "--format", form, "--out", str(out)) == 0
        assert out.read_text() == texts[form]
    (whole,) = json.loads(texts["json"])
    assert whole == json.loads(json.dumps(dataclasses.asdict(table)))
    lines = pd.read_csv(io.StringIO(texts["csv"])).set_index("task")
    markdown = [line for line in texts["markdown"].splitlines() if line.startswith("| Task")]
    for row, line in zip(table.tasks, markdown, strict=True):
        cells = [part.strip() for part in line.split("|")[1:-1]]
        assert (cells[0], cells[1], cells[-1]) == (row.title, row.metric, row.verdict)
        found = lines.loc[row.task]
        assert found["difference"] == row.difference.value
        assert (found["low"], found["holm_p"]) == (row.difference.low, row.holm_p)
        assert (found["verdict"], found["items"]) == (row.verdict, 120)
        assert (found["first score"], found["second score"]) == (row.first, row.second)
    assert table.mean is not None
    assert lines.loc["mean", "difference"] == table.mean.value


def test_what_was_not_compared_is_shown_and_is_exit_status_3(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell(folder, 0.5, "A", "four")
    for form in ("terminal", "markdown"):
        assert run(folder, "--format", form) == 3
        assert "not compared: four: B has no result" in capsys.readouterr().out
    assert run(folder, "--format", "csv") == 3
    lines = pd.read_csv(io.StringIO(capsys.readouterr().out)).set_index("task")
    assert lines.loc["four", ["verdict", "reason"]].tolist() == ["not compared", "B has no result"]
    assert run(folder, "--format", "json") == 3
    (whole,) = json.loads(capsys.readouterr().out)
    assert whole["left_out"] == [{"task": "four", "reason": "B has no result"}]
    assert run(folder, "--tasks", "one", "two") == 0  # `four` was not asked for


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
