"""Published values beside measured ones: which table, which column, which mean."""

from __future__ import annotations

import copy
import io
import json
import math
from pathlib import Path

import pandas as pd
import pytest
from leaderboard_tables import markdown_rows
from published_results import XARES, measured, only_table
from rich.console import Console

from earmark.benchmark.cli.main import main
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.table import Table
from earmark.benchmark.leaderboard.to_csv import to_csv
from earmark.benchmark.leaderboard.to_markdown import to_markdown
from earmark.benchmark.leaderboard.to_terminal import to_terminal
from earmark.benchmark.result.published import load_published
from earmark.tasks import builtin_tasks

README_SYSTEMS = [
    "dasheng-base", "wav2vec2-large-100k-voxpopuli", "whisper-base", "data2vec-audio-base",
]  # fmt: skip


def values(table: Table, task: str, probe: str = "linear") -> dict[str, float]:
    """Column -> value of a task's only row."""
    (row,) = [row for row in table.rows if row.name == task]
    return {column: row.cell(column, probe).value for column in table.columns}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of three systems, one of them by two sources, one second-hand."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "t.csv").write_text(
        "system,task,metric,value,probe,protocol,source,primary\n"
        "A,esc50,accuracy,0.75,linear,xares-0.1.3,paper,yes\n"
        "A,gtzan,accuracy,0.25,linear,xares-0.1.3,paper,yes\n"
        "A,esc50,accuracy,0.7123456,linear,xares-0.1.3,rerun,yes\n"
        "B,gtzan,accuracy,0.875,linear,xares-0.1.3,paper,no\n"
        "B,esc50,accuracy,0.375,knn,xares-0.1.3,paper,no\n"
        "C,esc50,accuracy,0.5,linear,xares,paper,yes\n"
    )
    (folder / "sources.yaml").write_text(
        "sources: {paper: 'A paper (2020)', rerun: A rerun}\ndata_sets: {}\n"
    )
    return folder


# ------------------------------------------------------------------------------------- columns


def test_without_names_it_is_the_table_of_the_source_with_most_values() -> None:
    board = Leaderboard([measured("esc50", 0.4, 0.6), measured("gtzan", 0.3, 0.2)])
    table = only_table(board.with_published())
    assert table.columns == ["logmel", *(f"{system} [pub]" for system in README_SYSTEMS)]
    assert list(values(table, "esc50").values()) == [0.4, 0.857, 0.510, 0.528, 0.229]
    assert list(values(table, "gtzan", "knn").values()) == [0.2, 0.758, 0.303, 0.350, 0.108]
    assert {column.source for column in table.published.values()} == {"xares_readme"}
    assert all(column.primary for column in table.published.values())


def test_the_board_that_was_asked_is_left_as_it_was() -> None:
    board = Leaderboard([measured(shard="00"), measured(shard="11", encoder="mfcc")])
    before = copy.deepcopy(board.tables)
    board.with_published()
    assert board.tables == before


def test_each_source_of_a_system_has_its_column(own: Path) -> None:
    table = only_table(Leaderboard([measured()]).with_published(["A"], own))
    assert values(table, "esc50") == {
        "logmel": 0.4, "A [pub, paper]": 0.75, "A [pub, rerun]": 0.7123456,
    }  # fmt: skip
    assert "A [pub, rerun]: A rerun" in table.footnotes
    of_source = only_table(Leaderboard([measured()]).with_published(["rerun"], own))
    assert values(of_source, "esc50") == {"logmel": 0.4, "A [pub]": 0.7123456}


def test_names_are_shown_in_the_order_asked_for(own: Path) -> None:
    board = Leaderboard([measured("gtzan", 0.5)])
    table = only_table(board.with_published(["B", "A"], own))
    assert table.columns == ["logmel", "B [pub, second-hand]", "A [pub]"]
    every = only_table(board.with_published(["all"], own))
    assert every.columns == ["logmel", "A [pub]", "B [pub, second-hand]"]


def test_second_hand_is_marked_and_told(own: Path) -> None:
    table = only_table(Leaderboard([measured("gtzan", 0.5)]).with_published(["all"], own))
    assert not table.published["B [pub, second-hand]"].primary
    notes = "\n".join(table.footnotes)
    assert "B [pub, second-hand]: A paper (2020); second-hand, not read at the source" in notes
    assert "A [pub]: A paper (2020)\n" in notes
    assert "[pub]: published values, not measured here" in notes


def test_weighted_mean_is_over_the_tasks_that_were_published(own: Path) -> None:
    results = [measured("esc50", 0.5), measured("gtzan", 0.7), measured("voxceleb1", 0.1)]
    table = only_table(Leaderboard(results).with_published(["all"], own))
    weights = {name: builtin_tasks()[name].weight for name in ("esc50", "gtzan")}
    assert weights == {"esc50": 400, "gtzan": 100}
    means = table.means("linear")["weighted mean"]
    both = means["A [pub, paper]"]
    assert both.value == pytest.approx((400 * 0.75 + 100 * 0.25) / 500)
    assert (both.tasks, both.of) == (2, 3)
    one = means["B [pub, second-hand]"]
    assert (one.value, one.tasks) == (pytest.approx(0.875), 1)
    assert means["logmel"].tasks == 3


def test_mean_of_the_published_knn_values_is_the_published_mean() -> None:
    """X-ARES prints a mean weighted by the size of the test sets; ours is worked out from cells."""
    results = [measured(spec.name, 0.5, 0.5) for spec in builtin_tasks().values() if spec.knn]
    table = only_table(Leaderboard(results).with_published())
    means = table.means("knn")["weighted mean"]
    printed = {
        f"{value.system} [pub]": value.value
        for value in load_published()
        if value.source == "xares_readme" and value.probe == "knn"
        and value.metric == "test_size_weighted_mean_public"
    }  # fmt: skip
    assert len(printed) == 4
    for column, value in printed.items():
        assert means[column].value == pytest.approx(value, abs=0.0011)
        assert means[column].tasks == 16


def test_transcripts_have_the_value_of_the_protocol_and_never_stand_beside_ctc() -> None:
    name = "librispeech_100h"
    board = Leaderboard([measured(name, 0.5), measured(name, 0.3, protocol="strict", seeds=5)])
    strict, xares = board.with_published().tables
    assert (strict.protocol, xares.protocol) == ("strict", XARES)
    assert strict.columns == ["logmel"]
    assert values(xares, name)["whisper-base [pub]"] == 0.815  # not 0.721, of an earlier release


def test_a_task_that_was_not_run_has_the_title_of_its_protocol() -> None:
    results = [measured(), measured(protocol="strict", seeds=5)]
    board = Leaderboard(results, builtin_tasks().values()).with_published()
    titles = {
        table.protocol: row.title
        for table in board.tables
        for row in table.rows
        if row.name == "librispeech_100h"
    }
    assert titles == {"strict": "LibriSpeech-100h (CTC)", XARES: "LibriSpeech-100h"}


def test_rows_of_differing_data_are_left_alone(own: Path) -> None:
    """Which of the two data sets a published value is of cannot be told: it has its own row."""
    results = [measured(shard="00"), measured(linear=0.6, shard="11", encoder="mfcc")]
    table = only_table(Leaderboard(results).with_published(["rerun"], own))
    with_value = [row for row in table.rows if row.cell("A [pub]", "linear").status == "published"]
    (row,) = with_value
    assert row.title == "ESC-50 [published]"
    assert row.cell("A [pub]", "linear").value == 0.7123456
    for column in ("logmel", "mfcc"):
        assert row.cell(column, "linear").status == "not run"
    assert len(table.rows) == 3


@pytest.mark.parametrize(
    ("task", "items", "folds", "sampled"),
    [
        ("esc50", 400, 5, True),  # 400 clips of ESC-10: 80 a fold
        ("esc50", 2000, 5, False),
        ("librispeech_mf", 280, 1, True),
        ("librispeech_100h", 2620, 1, False),  # its weight is 10 000
        ("librispeech_100h", 280, 1, True),
    ],
)
def test_results_on_a_sample_of_the_data_are_left_alone(
    task: str, items: int, folds: int, sampled: bool
) -> None:
    results = [measured(task, 0.5), measured(task, 0.25, encoder="mfcc")]
    for result in results:
        result.scores["linear"].items = items
        result.scores["linear"].per_split = {f"{fold}": 0.5 for fold in range(folds)}
    table = only_table(Leaderboard(results).with_published(["whisper-base"]))
    column = "whisper-base [pub]" if task.endswith("100h") else "whisper-base [pub, xares_readme]"
    measured_row, *own = table.rows
    assert (measured_row.cell(column, "linear").status == "published") != sampled
    assert [row.cell(column, "linear").status for row in own] == ["published"] * sampled
    assert measured_row.best == {}  # there are no predictions to compare
    assert [row.best for row in own] == [{}] * sampled
    said = f"{task}: tested on {items // folds} items a fold or split"
    assert any(note.startswith(said) for note in table.footnotes) == sampled


def test_a_metric_of_ones_own_is_left_alone(own: Path) -> None:
    result = measured()
    result.task.metric = "mAP"
    table = only_table(Leaderboard([result]).with_published(["rerun"], own))
    rows = {row.title: row for row in table.rows}
    assert rows["ESC-50"].cell("A [pub]", "linear").status == "not published"
    assert rows["ESC-50 [published]"].cell("A [pub]", "linear").value == 0.7123456
    assert rows["ESC-50 [published]"].metric == "accuracy"


def test_an_encoder_may_be_called_as_a_published_column(own: Path) -> None:
    board = Leaderboard([measured(encoder="A [pub]")])
    table = only_table(board.with_published(["rerun"], own))
    assert values(table, "esc50") == {"A [pub]": 0.4, "A [pub]*": 0.7123456}
    assert list(table.published) == ["A [pub]*"]


def test_failed_results_stay_failed_beside_published_ones(own: Path) -> None:
    table = only_table(Leaderboard([measured(error="no shards")]).with_published(["rerun"], own))
    (row,) = table.rows
    assert row.cell("logmel", "linear").status == "failed"
    assert row.cell("A [pub]", "linear").value == 0.7123456


# --------------------------------------------------------------------------------------- forms


def shown(board: Leaderboard, width: int = 100) -> str:
    stream = io.StringIO()
    to_terminal(board, Console(file=stream, width=width, highlight=False))
    return stream.getvalue()


def test_markdown_and_terminal_show_them_where_they_have_a_value(own: Path) -> None:
    results = [measured("esc50", 0.4, 0.6, interval=[0.3, 0.5]), measured("gtzan", 0.3, 0.2)]
    board = Leaderboard(results).with_published(["all"], own)
    rows = markdown_rows(to_markdown(board))
    heads = [row[2:] for row in rows if row[0] == "task"]
    a, b = ["A [pub, paper]", "A [pub, rerun]"], "B [pub, second-hand]"
    assert heads == [["logmel", *a, b], ["logmel", b]]  # no kNN value of A
    esc50, knn = [row[2:] for row in rows if row[0] == "ESC-50"]
    assert esc50 == ["0.400 [.300 .500]", "0.750", "0.712", "-"]
    assert knn == ["0.600 [.300 .500]", "0.375"]
    text = shown(board, width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    for part in ("[pub, paper]", "[pub, second-hand]", "0.712", "A paper (2020)"):
        assert part in text
    lines = [line for line in text.splitlines() if line.startswith("task ")]
    marks = [line.split(maxsplit=2)[2] for line in lines]
    on_pages = [
        "[pub, paper] logmel",
        "[pub, second-hand] [pub, rerun]",
        "logmel [pub, second-hand]",
    ]
    assert [" ".join(mark.split()) for mark in marks] == on_pages


def test_csv_has_them_in_full_and_without_intervals(own: Path) -> None:
    results = [measured("esc50", 0.4, interval=[0.3, 0.5]), measured("gtzan", 0.3)]
    text = to_csv(Leaderboard(results).with_published(["all"], own))
    table = pd.read_csv(io.StringIO(text)).set_index("task")
    assert table.loc["esc50", "A [pub, rerun] linear"] == 0.7123456
    assert math.isnan(table.loc["gtzan", "A [pub, rerun] linear"])
    assert table.loc["weighted mean", "A [pub, paper] linear items"] == 2
    of_published = [head for head in table.columns if "[pub" in head]
    assert not any(head.endswith((" low", " high")) for head in of_published)
    assert not any("knn" in head for head in of_published)


# ------------------------------------------------------------------------------------- command


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "a.json").write_text(measured("esc50", 0.625).to_json())
    return folder


def test_command_shows_them(runs: Path, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["leaderboard", "--results", str(runs), "--format", "markdown", "--with-published"]
    assert main(words) == 0
    (row,) = [row for row in markdown_rows(capsys.readouterr().out) if row[0] == "ESC-50"][:1]
    assert row[2:] == ["0.625", "0.857", "0.510", "0.528", "0.229"]
    assert main([*words, "rerun", "--published", str(own)]) == 0
    (row,) = [row for row in markdown_rows(capsys.readouterr().out) if row[0] == "ESC-50"][:1]
    assert row[2:] == ["0.625", "0.712"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--with-published", "dasheng-bas"], "did you mean 'dasheng-base'?"),
        (["--with-published", "--published", "nowhere"], "no folder nowhere"),
        (["--published", "nowhere"], "add --with-published"),
    ],
)
def test_command_refuses_in_one_line(
    words: list[str], said: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", "--results", str(runs), *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


def test_command_refuses_synthetic_results_and_other_protocols(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, changes in (("a", {"synthetic": True}), ("b", {"protocol": "strict"})):
        (tmp_path / f"{name}.json").write_text(measured(**changes).to_json())
    words = ["leaderboard", "--results", str(tmp_path), "--format", "json"]
    assert main([*words, "--with-published"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"strict on real data; {XARES} on synthetic data" in err
    assert main(words) == 0
    assert len(json.loads(capsys.readouterr().out)["tables"]) == 2


def test_list_tells_what_there_is(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "published", "--published", str(own)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:5]] == [
        ["A", "paper", XARES, "2"], ["A", "rerun", XARES, "1"],
        ["B", "paper", XARES, "2"], ["C", "paper", "xares", "1"],
    ]  # fmt: skip
    assert "paper: A paper (2020) (second-hand)" in lines
    assert "rerun: A rerun" in lines
    assert lines[-1].startswith("6 values.")
    assert main(["list", "published", "--published", str(own / "no")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["list", "published"]) == 0
    assert "775 values." in capsys.readouterr().out
