"""Controls and readouts of a run: their columns, their notes, and what is used again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import earmark
from earmark.benchmark.cli.main import main
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.to_json import to_json
from earmark.benchmark.leaderboard.to_markdown import to_markdown
from earmark.benchmark.readouts import BEST, READOUTS
from earmark.encoders import load_encoder

Toy = Callable[..., tuple[Path, Path]]


def settings_of(toy: Toy, tmp_path: Path) -> dict[str, object]:
    task, data = toy({"train": 60, "valid": 20, "test": 40})
    return {
        "tasks": str(task), "data": data, "results": tmp_path / "r", "cache": tmp_path / "c",
        "device": "cpu",
    }  # fmt: skip


def test_every_control_is_a_column_that_its_command_makes_again(toy: Toy, tmp_path: Path) -> None:
    settings = settings_of(toy, tmp_path)
    results = earmark.evaluate(
        ["dasheng-tiny:semantic"], control=["permuted", "labels"], **settings
    )
    names = [result.encoder.name for result in results]
    assert names == [
        "dasheng-tiny:semantic", "dasheng-tiny:semantic:shuffled-labels",
        "dasheng-tiny:semantic:permuted",
    ]  # fmt: skip
    assert len({result.encoder.fingerprint for result in results}) == 3
    assert len({result.path for result in results}) == 3
    plain, shuffled, permuted = results
    assert "--control labels" in shuffled.command and "--control" not in permuted.command
    assert "--encoder dasheng-tiny:semantic:permuted" in permuted.command
    words = shlex.split(permuted.command)[2:]
    again = tmp_path / "again"
    assert main([*words, "--results", str(again)]) == 0
    (made,) = list(again.rglob("toy*.json"))
    assert (
        earmark.RunResult.from_json(made.read_text()).scores["linear"].value
        == permuted.scores["linear"].value
    )
    # the label control is scored from the embeddings that are there
    assert shuffled.run.encoded_audio_seconds == 0.0
    board, _ = Leaderboard.from_folder(tmp_path / "r", cache=tmp_path / "c")
    (row,) = board.tables[0].rows
    assert set(row.controls) == {"dasheng-tiny:semantic"}
    tests = row.controls["dasheng-tiny:semantic"]
    assert {test.control for test in tests.values()} == {"dasheng-tiny:semantic:permuted"}
    difference = tests["linear"].difference
    assert difference is not None
    gap = plain.scores["linear"].value - permuted.scores["linear"].value
    assert difference.value == pytest.approx(gap)
    assert any("permuted weights" in note for note in board.tables[0].footnotes)
    assert '"control"' in to_json(board)


def test_an_object_has_controls_and_stays_as_it_is(toy: Toy, tmp_path: Path) -> None:
    settings = settings_of(toy, tmp_path)
    encoder = load_encoder("dasheng-tiny:acoustic")
    print_ = encoder.fingerprint()
    plain, control = earmark.evaluate(encoder, control=["permuted"], **settings)
    assert (plain.encoder.name, control.encoder.name) == (
        "dasheng-tiny:acoustic", "dasheng-tiny:acoustic:permuted"
    )  # fmt: skip
    assert encoder.name == "dasheng-tiny:acoustic"
    assert encoder.fingerprint() == print_


def test_without_weights_it_is_said_and_nothing_is_lost(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = earmark.evaluate("logmel", control=["permuted"], **settings_of(toy, tmp_path))
    assert [result.encoder.name for result in results] == ["logmel"]
    assert "no control of permuted weights, as there are none: logmel" in capsys.readouterr().err


def test_readouts_are_added_to_what_is_there(toy: Toy, tmp_path: Path) -> None:
    settings = settings_of(toy, tmp_path)
    (first,) = earmark.evaluate("logmel", **settings)
    assert first.scores["linear"].readouts is None
    (second,) = earmark.evaluate("logmel", readouts=["all"], **settings)
    assert second.run == first.run  # not scored again, and its audio not encoded again
    assert second.scores["linear"].value == first.scores["linear"].value
    found = second.scores["linear"].readouts
    assert found is not None
    assert [one.readout for one in found] == [*READOUTS, BEST]
    assert found[0].value == first.scores["linear"].value
    assert second.command.endswith("--readout " + " ".join(READOUTS))
    (third,) = earmark.evaluate("logmel", **settings)
    assert third.scores["linear"].readouts == found
    board, _ = Leaderboard.from_folder(tmp_path / "r", cache=tmp_path / "c")
    text = to_markdown(board)
    assert "linear probe, best readout" in text
    assert any(note.startswith("best readout: in each fold") for note in board.tables[0].footnotes)
    assert '"readouts"' in to_json(board)


def test_two_encoders_have_an_order_by_either(toy: Toy, tmp_path: Path) -> None:
    earmark.evaluate(["logmel", "mfcc"], readouts=["all"], **settings_of(toy, tmp_path))
    board, _ = Leaderboard.from_folder(tmp_path / "r", cache=tmp_path / "c")
    notes = "\n".join(board.tables[0].footnotes)
    values = [board.tables[0].rows[0].cell(c, "linear").value for c in ("logmel", "mfcc")]
    if values[0] != values[1]:  # of equal ones there is no order
        assert re.search(r"Kendall's tau -?1\.00 \(2 encoders on 1 task\)", notes) or (
            "Kendall" not in notes
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--readout", "mean", "--protocol", "xares-0.1.3"], "--readout: of logistic regression"),
        (["--readout", "std"], "invalid choice: 'std'"),
        (["--control", "weights"], "invalid choice: 'weights'"),
        (["--encoder", "mfcc:permuted"], "encoder 'mfcc' has no parameters to permute"),
    ],
)
def test_what_cannot_be_asked_for(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    task, data = toy({"train": 6, "valid": 4, "test": 4})
    encoder = [] if "--encoder" in words else ["--encoder", "logmel"]
    folders = ["--data", str(data), "--results", str(tmp_path / "r")]
    try:
        status = main([*encoder, *words, "--tasks", str(task), *folders])
    except SystemExit as end:
        status = int(str(end.code))
    assert status == 2
    assert said in capsys.readouterr().err
