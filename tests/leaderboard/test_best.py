"""Bold cells: the best of a row and what cannot be told from it, in every format."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from paired_cells import class_predictions, random_predictions, write_cell
from result_files import make_result
from rich.console import Console

from earmark import evaluate
from earmark.benchmark.cli.main import main
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.table import Row
from earmark.benchmark.leaderboard.to_csv import to_csv
from earmark.benchmark.leaderboard.to_json import to_json
from earmark.benchmark.leaderboard.to_latex import to_latex
from earmark.benchmark.leaderboard.to_markdown import to_markdown
from earmark.benchmark.leaderboard.to_terminal import to_terminal
from earmark.benchmark.result.files import read_result, result_files
from earmark.benchmark.result.schema import Predictions, RunResult

Toy = Callable[..., tuple[Path, Path]]
SOURCES = np.repeat(np.arange(30), 4)


def answers(share: float, seed: int = 0) -> Any:
    """Right answers to 120 items of 30 sources: a harder item is right for a better encoder too."""
    luck = np.random.default_rng(seed).normal(0, 0.08, (120, 2))
    hardness = np.random.default_rng(99).random(120)
    return hardness[:, None] + luck < share


def cell(folder: Path, share: float, encoder: str, seed: int = 0, **facts: Any) -> RunResult:
    right = answers(share, seed)
    predictions = class_predictions(right, SOURCES, knn=right[:, 0])
    return write_cell(folder, predictions, encoder, **facts)


def only_row(board: Leaderboard) -> Row:
    (table,) = board.tables
    (row,) = table.rows
    return row


def notes(board: Leaderboard, word: str) -> list[str]:
    return [note for note in board.tables[0].footnotes if word in note]


def test_the_best_and_what_cannot_be_told_from_it(tmp_path: Path) -> None:
    for encoder, share, seed in (("A", 0.5, 0), ("B", 0.9, 1), ("C", 0.89, 2), ("D", 0.7, 3)):
        cell(tmp_path, share, encoder, seed)
    board, unreadable = Leaderboard.from_folder(tmp_path)
    assert unreadable == []
    row = only_row(board)
    assert row.best == {"linear": {"B", "C"}, "knn": {"B", "C"}}
    assert [row.is_best(column, "linear") for column in "ABCD"] == [False, True, True, False]
    (note,) = notes(board, "bold")
    assert "cannot be told from it at 95 % (paired test over sources" in note
    assert "not corrected" in note


def test_in_memory_as_after_a_run(toy: Toy, tmp_path: Path) -> None:
    task, data = toy()
    results = evaluate(
        ["logmel", "mfcc"], str(task), data=data, results=tmp_path / "r", cache=tmp_path / "c"
    )
    fresh = Leaderboard(results, cache=tmp_path / "c")
    again = evaluate(
        ["logmel", "mfcc"], str(task), data=data, results=tmp_path / "r", cache=tmp_path / "c"
    )
    from_files, _ = Leaderboard.from_folder(tmp_path / "r", cache=tmp_path / "other")
    for board in (fresh, Leaderboard(again, cache=tmp_path / "c"), from_files):
        assert only_row(board).best == only_row(fresh).best
        assert set(only_row(board).best) == {"linear", "knn"}
        assert notes(board, "not compared") == []


@pytest.fixture
def board(tmp_path: Path) -> Leaderboard:
    """B best, C like it, A not; another task that A alone has, and one that failed for C."""
    for encoder, share, seed in (("A", 0.5, 0), ("B", 0.9, 1), ("C", 0.89, 2)):
        cell(tmp_path, share, encoder, seed)
    cell(tmp_path, 0.4, "A", task="two")
    for encoder, share in (("A", 0.3), ("B", 0.6), ("C", 0.9)):
        cell(tmp_path, share, encoder, task="three")
    failed = make_result("three", error="full", encoder="C", fingerprint="C-fingerprint", knn=1)
    return Leaderboard([*map(read_result, result_files(tmp_path)), failed])


def test_a_row_with_one_score_has_no_best_and_a_failure_is_never_it(board: Leaderboard) -> None:
    (table,) = board.tables
    best = {row.name: row.best for row in table.rows}
    assert best["two"] == {}
    assert best["three"]["linear"] == {"B"}  # C was better, but its latest attempt failed
    assert best["one"]["linear"] == {"B", "C"}


def test_markdown_has_the_scores_in_bold(board: Leaderboard) -> None:
    lines = [line for line in to_markdown(board).splitlines() if line.startswith("| Task one")]
    assert len(lines) == 2
    for line in lines:
        cells = [part.strip() for part in line.split("|")[3:6]]
        assert [part.startswith("**") for part in cells] == [False, True, True]
        assert re.fullmatch(r"\*\*0\.\d{3}\*\*", cells[1])
    widths = {len(line) for line in to_markdown(board).splitlines() if line.startswith("| Task")}
    assert len(widths) <= 2  # one a table


def test_markdown_leaves_the_interval_plain(tmp_path: Path) -> None:
    def interval(result: RunResult) -> None:
        result.scores["linear"].interval = [0.5, 0.75]

    for share, encoder in ((0.6, "A"), (0.62, "B"), (0.3, "C")):
        cell(tmp_path, share, encoder, change=interval)
    text = to_markdown(Leaderboard.from_folder(tmp_path)[0])
    assert len(re.findall(r"\*\*0\.\d{3}\*\* \[\.500 \.750\]", text)) == 2


def test_the_terminal_has_the_scores_in_bold(board: Leaderboard) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True, color_system="standard")
    to_terminal(board, console)
    (line, _) = [line for line in stream.getvalue().splitlines() if "Task one" in line]
    values = {
        column: f"{board.tables[0].rows[0].cell(column, 'linear').value:.3f}" for column in "ABC"
    }
    for column in "ABC":
        assert (f"\x1b[1m{values[column]}" in line) is (column != "A")
    plain = io.StringIO()
    to_terminal(board, Console(file=plain, width=100))
    assert re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()) == plain.getvalue()


def test_csv_says_what_is_best(board: Leaderboard) -> None:
    table = pd.read_csv(io.StringIO(to_csv(board)), dtype=str).set_index("task")
    assert table.loc["one", [f"{column} linear best" for column in "ABC"]].tolist() == [
        "false", "true", "true",
    ]  # fmt: skip
    assert table.loc[["two", "mean of all"], "A linear best"].isna().all()
    assert pd.isna(table.loc["three", "C linear best"])


# ------------------------------------------------------------------------------ what is amiss


def test_without_predictions_of_one_there_is_no_mark(tmp_path: Path) -> None:
    """A mark beside B would say that B was told from it."""
    for share, encoder in ((0.62, "A"), (0.6, "B"), (0.61, "C"), (0.2, "D")):
        cell(tmp_path, share, encoder, seed=ord(encoder))
    board, _ = Leaderboard.from_folder(tmp_path)
    assert only_row(board).best["linear"] == {"A", "B", "C"}
    (gone,) = (tmp_path / "B-B-finger").rglob("*.npz")
    gone.unlink()
    board, _ = Leaderboard.from_folder(tmp_path)
    assert only_row(board).best == {}
    (note,) = notes(board, "not compared")
    assert note.startswith("no best marked, as not compared with it: one · B: ")
    assert str(gone) in note
    (broken,) = (tmp_path / "A-A-finger").rglob("*.npz")
    broken.write_bytes(b"")
    board, _ = Leaderboard.from_folder(tmp_path, cache=tmp_path / "elsewhere")
    assert only_row(board).best == {}
    (note,) = notes(board, "not compared")
    assert re.search(r"; and \d more$", note)


def test_results_without_files_have_no_best() -> None:
    board = Leaderboard([make_result("a", 0.4), make_result("a", 0.6, encoder="mfcc")])
    assert only_row(board).best == {}
    assert len(notes(board, "not compared")) == 1


def test_where_all_are_alike_there_is_no_mark(tmp_path: Path) -> None:
    for encoder, share in (("A", 0.6), ("B", 0.61), ("C", 0.6)):
        cell(tmp_path, share, encoder, seed=ord(encoder))
    board, _ = Leaderboard.from_folder(tmp_path)
    row = only_row(board)
    assert row.best["linear"] == frozenset()
    assert not any(row.is_best(column, "linear") for column in "ABC")
    assert "**0." not in to_markdown(board)
    cells = json.loads(to_json(board))["tables"][0]["rows"][0]["cells"]["linear"]
    assert [cells[column]["best"] for column in "ABC"] == [False] * 3
    table = pd.read_csv(io.StringIO(to_csv(board)), dtype=str).set_index("task")
    assert table.loc["one", [f"{c} linear best" for c in "ABC"]].tolist() == ["false"] * 3


@pytest.mark.parametrize("count", [1, 5])
def test_of_few_sources_nothing_is_marked_and_no_interval_shown(count: int, tmp_path: Path) -> None:
    """0.9 beside 0.2: whoever reads a mark there takes five speakers for a result."""
    for share, encoder in ((0.9, "A"), (0.2, "B")):
        predictions = class_predictions(answers(share), np.arange(120) % count)
        write_cell(tmp_path, predictions, encoder, source_unit="speaker")
    board, _ = Leaderboard.from_folder(tmp_path)
    assert only_row(board).best == {}
    assert f"too few sources ({count})" in notes(board, "not compared")[0]
    some = f"{count} source{'s' if count > 1 else ''} (speaker)"
    said = f"one: too few sources for an interval: {some}, not 6"
    assert said in board.tables[0].footnotes
    stream = io.StringIO()
    to_terminal(board, Console(file=stream, width=100, force_terminal=True))
    (line,) = [line for line in stream.getvalue().splitlines() if "Task one" in line]
    assert "*" not in line
    assert "\x1b[1m" not in line
    assert line.count("[too few]") == 2
    text = to_markdown(board)
    assert "**0." not in text
    assert text.count("[too few]") == 2
    assert said in text
    latex = to_latex(board)
    assert r"\textbf{0" not in latex
    assert "too few sources for an interval" in latex
    for cell in json.loads(to_json(board))["tables"][0]["rows"][0]["cells"]["linear"].values():
        assert (cell["interval"], cell["best"]) == (None, None)
        assert cell["no_interval"] == "too few sources"
    table = pd.read_csv(io.StringIO(to_csv(board)), dtype=str).set_index("task")
    assert table.loc["one", "A linear interval"] == "too few sources"
    assert pd.isna(table.loc["one", "A linear low"])
    assert "A linear best" not in table


def test_a_lost_clip_is_no_hindrance(tmp_path: Path) -> None:
    cell(tmp_path, 0.9, "A", seed=1)
    for encoder, share in (("B", 0.89), ("C", 0.5)):
        right = answers(share, 2)
        whole = class_predictions(right, SOURCES, knn=right[:, 0])
        arrays = {name: value[:-3] for name, value in vars(whole).items() if value is not None}
        write_cell(tmp_path, Predictions(**arrays), encoder)
    board, _ = Leaderboard.from_folder(tmp_path)
    assert only_row(board).best["linear"] == {"A", "B"}
    assert notes(board, "not compared") == []


def test_other_labels_are_not_compared(tmp_path: Path) -> None:
    cell(tmp_path, 0.9, "A", seed=1)
    right = answers(0.9, 2)
    other = class_predictions(right, SOURCES, knn=right[:, 0])
    for array in (other.labels, other.linear, other.knn):
        assert array is not None
        array += 1
    write_cell(tmp_path, other, "B")
    board, _ = Leaderboard.from_folder(tmp_path)
    assert only_row(board).best == {}
    assert "items have other labels" in notes(board, "not compared")[0]


@pytest.mark.parametrize("metric", ["mAP", "segment_f1_macro", "recall@1", "WER_inv"])
def test_every_metric_has_its_best(metric: str, tmp_path: Path) -> None:
    for encoder, skill in (("A", 1.0), ("B", 1.0), ("C", 0.3), ("D", 2.5)):
        predictions = random_predictions(metric, ord(encoder), skill)
        write_cell(tmp_path, predictions, encoder, metric=metric)
    board, _ = Leaderboard.from_folder(tmp_path)
    best = only_row(board).best["linear"]
    assert notes(board, "not compared") == []
    if metric == "recall@1":  # whose ranks are random whatever the skill
        return
    assert "D" in best
    assert "C" not in best


def test_the_command_shows_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for share, encoder in ((0.9, "A"), (0.5, "B")):
        cell(tmp_path, share, encoder)
    assert main(["leaderboard", "--results", str(tmp_path), "--format", "markdown"]) == 0
    out = capsys.readouterr().out
    assert out.count("**0.") == 2  # A's, by both probes
    assert "bold: the best of a row" in out
