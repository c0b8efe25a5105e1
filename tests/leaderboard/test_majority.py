"""The floor and the parts of data sets in every form of the tables."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from result_files import make_result
from rich.console import Console
from webpage_files import content_of, write

from earmark import Leaderboard, RunResult, report
from earmark.benchmark.leaderboard.formats import FORMATS
from earmark.benchmark.leaderboard.to_terminal import to_terminal

WIDE = {"classes_present": 10, "classes_missing_from_training": []}


def result(
    task: str, value: float, floor: float | None, encoder: str = "logmel", **facts: Any
) -> RunResult:
    made = make_result(task, value, value - 0.125, encoder=encoder, interval=[0.1, 0.9], **facts)
    made.task.classes = 50
    for score in made.scores.values():
        score.majority = floor
    return made


def two(**facts: Any) -> list[RunResult]:
    return [
        result(task, value, floor, encoder, **facts)
        for task, floor in (("a", 0.25), ("b", 0.5))
        for encoder, value in (("logmel", 0.375), ("mfcc", 0.75))
    ]


def terminal(board: Leaderboard, width: int) -> list[str]:
    out = io.StringIO()
    to_terminal(board, Console(file=out, width=width, force_terminal=False))
    return out.getvalue().splitlines()


def as_text(board: Leaderboard, form: str) -> str:
    return FORMATS[form](board)


def test_the_terminal_shows_it_last_and_bare() -> None:
    lines = terminal(Leaderboard(two()), 120)
    assert lines[2].split() == ["task", "metric", "logmel", "mfcc", "majority"]
    (row, *_) = [line for line in lines if "Task a" in line]
    assert row.split()[-4:] == ["0.750", "[.100", ".900]", "0.250"]
    (mean, *_) = [line for line in lines if line.startswith("mean of all")]
    assert mean.split()[-1] == "0.375"  # of 0.25 and 0.5
    assert any(line.strip().startswith("majority: what a guess scores") for line in lines)


@pytest.mark.parametrize("width", [44, 60, 80])
def test_narrow_pages_have_it_once_or_beside_every_encoder(width: int) -> None:
    names = ["logmel", "mfcc", "an-encoder-of-a-long-name", "another"]
    results = [result(task, 0.5, 0.25, name) for name in names for task in "ab"]
    text = "\n".join(terminal(Leaderboard(results), width))
    linear = text.partition("kNN: ")[0]
    heads = [line for line in linear.splitlines() if line.startswith("task")]
    assert sum("majority" in line for line in heads) in (1, len(heads))
    assert "majority" in linear and "0.250" in linear
    for name in names:
        assert name[:8] in text
    assert "of 4" in linear and "of 5" not in linear  # it is no encoder


def test_it_is_neither_best_nor_compared() -> None:
    """Though it is above both."""
    results = [result("a", value, 0.9, encoder) for encoder, value in (("A", 0.2), ("B", 0.3))]
    (table,) = Leaderboard(results).tables
    assert table.columns == ["A", "B"]
    assert not any(row.is_best(table.majority, probe) for row in table.rows for probe in row.probes)
    assert "**0.900**" not in as_text(Leaderboard(results), "markdown")


def test_an_encoder_may_be_called_so() -> None:
    (table,) = Leaderboard([result("a", 0.5, 0.25, "majority")]).tables
    assert table.majority == "majority*"
    assert table.rows[0].cell("majority", "linear").value == 0.5
    assert table.rows[0].cell("majority*", "linear").value == 0.25


def test_markdown_latex_csv_and_json() -> None:
    board = Leaderboard(two())
    rows = [line for line in as_text(board, "markdown").splitlines() if line.startswith("| Task a")]
    assert [line.rstrip("| ").split("|")[-1].strip() for line in rows] == ["0.250", "0.250"]
    assert r"& 0.250 \\" in as_text(board, "latex")
    lines = list(csv.DictReader(io.StringIO(as_text(board, "csv"))))
    assert [line["majority linear"] for line in lines[:2]] == ["0.25", "0.5"]
    (mean,) = [line for line in lines if line["task"] == "mean of all"]
    assert float(mean["majority knn"]) == 0.375
    (table,) = json.loads(as_text(board, "json"))["tables"]
    assert [row["majority"] for row in table["rows"]] == [
        {"linear": 0.25, "knn": 0.25}, {"linear": 0.5, "knn": 0.5},
    ]  # fmt: skip
    assert table["majority_means"]["knn"]["mean of all"] == {"value": 0.375, "tasks": 2, "of": 2}
    assert [column["name"] for column in table["columns"]] == ["logmel", "mfcc"]


def test_the_page_holds_it(tmp_path: Path) -> None:
    for one in two():
        write(tmp_path, one)
    (page,) = report(tmp_path, tmp_path / "page.html", cache=tmp_path).paths
    (table,) = content_of(page.read_text(encoding="utf-8"))["tables"]
    shown = table["majority"]["scores"]["linear"]
    names = [row["name"] for row in table["rows"]]
    assert (shown[names.index("a")], shown[names.index("b")]) == (0.25, 0.5)
    assert table["majority"]["means"]["linear"]["mean of all"][0] == 0.375


def test_results_of_before_have_no_such_column() -> None:
    board = Leaderboard([result("a", 0.5, None)])
    assert board.tables[0].majority == ""
    for form in ("markdown", "csv", "latex"):
        assert "majority" not in as_text(board, form)


# ------------------------------------------------------------------------- parts of data sets


def test_a_part_of_the_classes_is_in_the_title_and_the_notes() -> None:
    facts = {"classes_present": 10, "classes_missing_from_training": ["dog", "rain"]}
    board = Leaderboard([result("esc50", 0.4, 0.1, title="ESC-50", **facts), result("b", 0.5, 0.1)])
    (table,) = board.tables
    assert {row.title for row in table.rows} >= {"ESC-50 (10 of 50 classes)", "Task b"}
    notes = "\n".join(table.footnotes)
    assert "esc50 10 of 50 classes" in notes and "the means" in notes
    assert "training part has no clip of them: dog, rain" in notes
    whole = result("esc50", 0.4, 0.1, title="ESC-50", classes_present=50)
    assert "ESC-50" in [row.title for row in Leaderboard([whole]).tables[0].rows]


def test_of_twins_it_is_said_once() -> None:
    facts = WIDE | {"classes_missing_from_training": ["dog", "rain"]}
    results = [result(task, 0.4, 0.1, synthetic=True, **facts) for task in "abcdef"]
    (table,) = Leaderboard(results).tables
    assert not any("classes" in row.title for row in table.rows)
    (note,) = [note for note in table.footnotes if "10 of 50" in note]
    assert note.count("10 of 50") == 6
    assert [note for note in table.footnotes if "training:" in note] == [
        "tested classes without a clip in training: a 2, b 2, c 2, d 2, e 2, f 2"
    ]


def test_a_part_never_stands_beside_published_values() -> None:
    facts: dict[str, Any] = {"protocol": "xares-0.1.3", "seeds": 1, "title": "ESC-50"}
    part = result("esc50", 0.4, 0.1, weight=400.0, domain="sound", **facts, **WIDE)
    for score in part.scores.values():
        score.items = 400
    (table,) = Leaderboard([part]).with_published().tables
    own, published = [row for row in table.rows if row.name == "esc50"]
    assert (own.title, published.title) == ("ESC-50 (10 of 50 classes)", "ESC-50 [published]")
    values = [own.cell(column, "linear").status for column in table.published]
    assert set(values) == {"not published"}
    assert any("10 of 50 classes are there" in note for note in table.footnotes)
