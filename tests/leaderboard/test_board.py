"""The leaderboard: hand-made results to tables, means worked out by hand, three formats."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from leaderboard_tables import markdown_rows, means_of, only_table
from result_files import make_result
from rich.console import Console

from earmark.benchmark.cli.main import main
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.to_csv import to_csv
from earmark.benchmark.leaderboard.to_markdown import to_markdown
from earmark.benchmark.leaderboard.to_terminal import to_terminal
from earmark.tasks import builtin_tasks

ESCAPE = "\x1b"


def terminal_text(board: Leaderboard, width: int = 80, **options: Any) -> str:
    stream = io.StringIO()
    to_terminal(board, Console(file=stream, width=width, highlight=False, **options))
    return stream.getvalue()


def test_means_by_hand() -> None:
    table = only_table(
        make_result("a", 0.9, domain="speech", weight=1),
        make_result("b", 0.5, domain="speech", weight=2),
        make_result("c", 0.2, domain="sound", weight=5),
        make_result("d", 0.7, domain="music", weight=8),
    )
    means = means_of(table)
    assert list(means) == [
        "mean of speech", "mean of sound", "mean of music", "mean of all", "weighted mean",
    ]  # fmt: skip
    assert means["mean of speech"].value == pytest.approx(0.7)
    assert means["mean of sound"].value == pytest.approx(0.2)
    assert means["mean of music"].value == pytest.approx(0.7)
    assert means["mean of all"].value == pytest.approx(0.575)  # 2.3 / 4
    assert means["weighted mean"].value == pytest.approx(0.53125)  # 0.9 + 1 + 1 + 5.6 = 8.5 / 16
    assert [(m.tasks, m.of) for m in means.values()] == [(2, 2), (1, 1), (1, 1), (4, 4), (4, 4)]


def test_failed_task_is_failed_and_in_no_mean() -> None:
    board = Leaderboard([make_result("a", 0.8, weight=3), make_result("b", error="no shards")])
    (table,) = board.tables
    means = means_of(table)
    for name in ("mean of speech", "mean of all", "weighted mean"):
        assert means[name].value == pytest.approx(0.8)
        assert (means[name].tasks, means[name].of) == (1, 2)
    rows = {row[0]: row[2:] for row in markdown_rows(to_markdown(board))}
    assert rows["Task b"] == ["failed"]
    assert rows["mean of all"] == ["0.800 (1 of 2)"]
    assert "failed: b · logmel: no shards" in table.footnotes
    assert "0.000" not in to_markdown(board)


def test_all_failed_has_no_mean() -> None:
    board = Leaderboard([make_result("a", error="x"), make_result("b", error="y")])
    assert math.isnan(means_of(board.tables[0])["mean of all"].value)
    assert "none of 2" in to_markdown(board)
    assert "nan" not in (to_markdown(board) + terminal_text(board)).lower()


def test_value_that_cannot_be_computed_is_in_no_mean() -> None:
    board = Leaderboard([make_result("a", math.nan), make_result("b", 0.4)])
    means = means_of(board.tables[0])
    assert means["mean of all"].value == pytest.approx(0.4)
    assert means["mean of all"].tasks == 1
    assert "not computable" in to_markdown(board)


def test_task_that_one_encoder_has_not_run() -> None:
    board = Leaderboard(
        [make_result("a", 0.6), make_result("b", 0.8), make_result("a", 0.7, encoder="mfcc")]
    )
    (table,) = board.tables
    assert table.columns == ["logmel", "mfcc"]
    rows = {row[0]: row[2:] for row in markdown_rows(to_markdown(board))}
    assert rows["Task b"] == ["0.800", "not run"]
    assert rows["mean of all"] == ["0.700 (2 of 2)", "0.700 (1 of 2)"]


def test_a_later_failure_is_not_covered_by_the_earlier_success() -> None:
    table = only_table(make_result("a", 0.6, 0.5), make_result("a", 0.6, 0.5, error="disk full"))
    for probe in ("linear", "knn"):
        assert table.rows[0].cell("logmel", probe).status == "failed"
        assert math.isnan(means_of(table, probe=probe)["mean of all"].value)


def test_probes_have_means_of_their_own() -> None:
    table = only_table(make_result("a", 0.6, 0.1), make_result("b", 0.8))
    assert table.probes == ["linear", "knn"]
    assert means_of(table)["mean of all"].value == pytest.approx(0.7)
    knn = means_of(table, probe="knn")["mean of all"]
    assert (knn.value, knn.tasks, knn.of) == (pytest.approx(0.1), 1, 1)  # b has no kNN at all


def test_synthetic_never_stands_beside_real() -> None:
    board = Leaderboard([make_result("a", 0.31), make_result("a", 0.92, synthetic=True)])
    assert [table.synthetic for table in board.tables] == [False, True]
    for table, value in zip(board.tables, (0.31, 0.92), strict=True):
        assert [row.cell("logmel", "linear").value for row in table.rows] == [value]
        assert means_of(table)["mean of all"].value == value
    for text in (to_markdown(board), terminal_text(board)):
        real, mark, synthetic = text.partition("SYNTHETIC")
        assert mark
        assert "0.310" in real
        assert "0.920" not in real
        assert "0.920" in synthetic
        assert "0.310" not in synthetic


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": "xares-0.1.3"}, "protocol xares-0.1.3"),
        ({"seeds": 1}, "1 seed"),
        ({"limit": 100}, "LIMITED to 100 clips a split"),
    ],
)
def test_what_cannot_be_compared_is_apart(change: dict[str, Any], said: str) -> None:
    board = Leaderboard([make_result("a", 0.4), make_result("a", 0.6, **change)])
    assert len(board.tables) == 2
    assert [said in table.caption for table in board.tables].count(True) == 1
    assert {means_of(table)["mean of all"].value for table in board.tables} == {0.4, 0.6}


def test_seeds_are_said_of_what_has_seeds() -> None:
    results = [make_result("a", 0.5, 0.25, encoder=name) for name in ("logmel", "mfcc")]
    for text in (to_markdown(Leaderboard(results)), terminal_text(Leaderboard(results))):
        (linear,) = re.findall(r"linear probe: .*\w", text)
        (knn,) = re.findall(r"kNN: .*\w", text)
        assert linear == "linear probe: real data, protocol strict, 5 seeds"
        assert knn == "kNN: real data, protocol strict"
    only_knn = Leaderboard([make_result("a", None, 0.25)])
    assert "seed" not in to_markdown(only_knn)


def test_note_says_the_confidence_of_the_intervals() -> None:
    def note(*confidences: float) -> str:
        results = [make_result(f"{n}", 0.5, interval=[0.4, 0.6]) for n, _ in enumerate(confidences)]
        for result, confidence in zip(results, confidences, strict=True):
            result.scores["linear"].confidence = confidence
        (found,) = [note for note in only_table(*results).footnotes if "in brackets" in note]
        return str(found)

    assert note(0.95, 0.95).startswith("in brackets: 95 % interval; ")
    assert note(0.9).startswith("in brackets: 90 % interval; ")
    assert note(0.999).startswith("in brackets: 99.9 % interval; ")
    assert note(0.9, 0.95).startswith("in brackets: 90 % or 95 % interval; ")


def test_two_checkpoints_of_one_name_have_a_column_each() -> None:
    table = only_table(
        make_result("a", 0.4, encoder="clap", fingerprint="1111111199"),
        make_result("a", 0.6, encoder="clap", fingerprint="2222222299"),
        make_result("a", 0.5, encoder="logmel"),
    )
    assert table.columns == ["clap@11111111", "clap@22222222", "logmel"]
    values = [table.rows[0].cell(column, "linear").value for column in table.columns]
    assert values == [0.4, 0.6, 0.5]


def test_differing_data_have_a_row_each() -> None:
    table = only_table(
        make_result("a", 0.4, shard="00"), make_result("a", 0.6, shard="11", encoder="mfcc")
    )
    assert len(table.rows) == 2
    assert len({row.title for row in table.rows}) == 2
    cells = [[row.cell(c, "linear").value for c in ("logmel", "mfcc")] for row in table.rows]
    assert sorted(str(row) for row in cells) == ["[0.4, nan]", "[nan, 0.6]"]
    assert any("2 different data sets" in note for note in table.footnotes)
    same = only_table(make_result("a", 0.4), make_result("a", 0.6, encoder="mfcc"))
    assert len(same.rows) == 1
    assert not any("data sets" in note for note in same.footnotes)


def test_notes_say_what_a_reader_must_know() -> None:
    failure = {"shard": "a.tar", "key": "k7", "reason": "not audio"}
    notes = "\n".join(
        only_table(
            make_result(
                "a", 0.4, failed_clips=3, failures=[failure], guessed_sources=9,
                straddling_sources=2, source_unit="speaker",
            )
        ).footnotes
    )  # fmt: skip
    assert "3 of 100 clips failed; the first: a.tar/k7: not audio" in notes
    assert "no speaker could be told for 9 of 100 clips" in notes
    assert "2 of 10 sources (speaker) are in more than one split" in notes


@pytest.mark.parametrize(
    ("interval", "sources", "said"),
    [
        ("percentiles", 9, "a: intervals rest on 9 sources (file) and are too narrow"),
        (None, 29, "a: intervals rest on 29 sources (file) and are too narrow"),  # before the field
        ("percentiles", 30, None), ("jackknife", 6, None),
    ],
)  # fmt: skip
def test_narrow_intervals_are_told(interval: str | None, sources: int, said: str | None) -> None:
    facts = {"name": "strict"} | ({"interval": interval} if interval else {})
    result = make_result("a", 0.4, interval=[0.3, 0.5], protocol=facts)
    result.scores["linear"].sources = sources
    found = [note for note in only_table(result).footnotes if "sources" in note]
    assert found == ([said] if said else [])


def test_markdown_is_a_table_whatever_the_names() -> None:
    nasty = r"a|b\|c"
    board = Leaderboard(
        [
            make_result("a", 0.4, encoder=nasty, title="x | y\nz", interval=[0.31, 0.5]),
            make_result("a", 0.4, encoder="mfcc", title="x | y\nz"),
        ]
    )
    rows = markdown_rows(to_markdown(board))
    assert {len(row) for row in rows} == {4}
    assert rows[0] == ["task", "metric", r"a\|b\\\|c", "mfcc"]
    assert rows[2] == [r"x \| y z", "accuracy", "0.400 [.310 .500]", "0.400"]


def test_csv_read_back_by_pandas() -> None:
    board = Leaderboard(
        [
            make_result("a", 0.123456789, 0.25, title='say "hi", twice', interval=[0.1, 0.2]),
            make_result("b", error="broken", domain="sound"),
            make_result("a", 0.9, 0.8, encoder="mfcc", title='say "hi", twice'),
            make_result("a", 0.7, synthetic=True, limit=20),
        ]
    )
    table = pd.read_csv(io.StringIO(to_csv(board)))
    real = table[table["data"] == "real"].set_index("task")
    assert real.loc["a", "title"] == 'say "hi", twice'
    assert float(real.loc["a", "logmel linear"]) == 0.123456789
    assert (real.loc["a", "logmel linear low"], real.loc["a", "logmel linear high"]) == (0.1, 0.2)
    assert float(real.loc["a", "mfcc knn"]) == 0.8
    assert real.loc["b", "logmel linear"] == "failed"
    assert pd.isna(real.loc["b", "mfcc linear"])
    assert float(real.loc["mean of all", "logmel linear"]) == pytest.approx(0.123456789)
    assert real.loc["mean of all", "logmel linear items"] == 1
    assert pd.isna(real.loc["a", "limit"])
    assert ",50," in to_csv(board)  # items are counts, not 50.0
    synthetic = table[table["data"] == "synthetic"].set_index("task")
    assert float(synthetic.loc["a", "logmel linear"]) == 0.7
    assert synthetic.loc["a", "limit"] == 20


def all_tasks(**changes: Any) -> Leaderboard:
    """A board with every task that comes with Earmark, widest cells."""
    return Leaderboard(
        make_result(
            spec.name, 0.8125, 0.75, domain=spec.domain, title=spec.title,
            interval=[0.7, 0.9], **changes,
        )
        for spec in builtin_tasks().values()
    )  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"synthetic": True, "limit": 100}])
def test_one_encoder_fits_80_columns(changes: dict[str, Any]) -> None:
    lines = terminal_text(all_tasks(**changes)).splitlines()
    assert max(len(line) for line in lines) <= 80
    for spec in builtin_tasks().values():
        (line,) = [line for line in lines if line.startswith(f"  {spec.title} ")]
        assert line.count("[.700 .900]") == 2  # neither cut nor on a line of its own
        assert "accuracy" in line
    count = len(builtin_tasks())
    (mean,) = [line for line in lines if line.startswith("mean of all")]
    assert mean.count(f"({count} of {count})") == 2


def test_many_encoders_are_spread_over_tables_that_fit() -> None:
    names = ["logmel", "whisper-base", "whisper-base-en", "dasheng-base", "clap-large-htsat"]
    results = [
        make_result("a", (i + 1) / 8, title="Fluent Speech Commands", encoder=name)
        for i, name in enumerate(names)
    ]
    lines = terminal_text(Leaderboard(results)).splitlines()
    assert max(len(line) for line in lines) <= 80
    values: dict[str, str] = {}
    for head, row in zip(
        [line for line in lines if line.startswith("task ")],
        [line for line in lines if line.startswith("  Fluent Speech Commands ")],
        strict=True,
    ):
        values |= zip(head.split()[2:], row.replace("*", "").split()[4:], strict=True)
    assert values == {name: f"{(i + 1) / 8:.3f}" for i, name in enumerate(names)}


def test_no_colours_where_there_is_no_terminal() -> None:
    board = Leaderboard([make_result("a", 0.5), make_result("b", error="broken")])
    plain = terminal_text(board)
    assert ESCAPE not in plain
    coloured = terminal_text(board, force_terminal=True, color_system="standard")
    assert ESCAPE in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert ESCAPE not in to_markdown(board) + to_csv(board)


def test_names_with_brackets_are_text_not_markup() -> None:
    one = make_result("a", 0.5, title="[red]x[/blue] :smile:", encoder="[b]")
    text = terminal_text(Leaderboard([one, make_result("a", 0.5, title="A", encoder="[bold]")]))
    assert "[red]x[/blue] :smile:" in text
    assert re.search(r"metric +\[b\] +\[bold\]", text)


def test_rows_of_differing_data_are_told_apart_on_the_terminal() -> None:
    """The tags in brackets are hexadecimal: one that begins with a letter looks like markup."""
    results = [make_result("a", 0.5, shard=f"{n}", encoder=f"e{n}", title="A") for n in range(8)]
    tags = {row.title for row in only_table(*results).rows}
    assert any(tag[3].isalpha() for tag in tags)
    text = terminal_text(Leaderboard(results), width=200)
    assert len(tags) == 8
    assert all(tag in text for tag in tags)


@pytest.mark.parametrize("form", ["terminal", "markdown", "csv"])
def test_command_works_from_files_alone(
    folder: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", "--results", str(folder), "--format", form]) == 3
    out, err = capsys.readouterr()
    for text in ("0.625", "0.875", "failed"):
        assert text in out
    left_out = [line for line in err.splitlines() if line.startswith("left out: ")]
    assert len(left_out) == 2
    assert "broken.json" in left_out[0]
    assert "old.json" in left_out[1]
    assert "schema 0" in left_out[1]


def test_command_writes_a_file_and_ends_well_without_broken_ones(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.json").unlink()
    (folder / "old.json").unlink()
    out = tmp_path / "new" / "board.md"
    words = ["leaderboard", "--results", str(folder), "--format", "markdown", "--out", str(out)]
    assert main(words) == 0
    assert capsys.readouterr() == ("", "")
    assert "| Task a " in out.read_text()


def test_command_without_results_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        assert main(["leaderboard", "--results", str(folder)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert str(folder) in err
        assert len(err.splitlines()) == 1
