"""Label efficiency in tables: every form shows it, and it fits the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from result_files import make_result, make_score

from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.formats import FORMATS
from earmark.benchmark.shots import ShotScore


def boards() -> Leaderboard:
    shots = [
        ShotScore(8, 0.5, [0.4, 0.6], [0.45, 0.55], 0.07, 80.0, 8.0, subsets="a"),
        ShotScore(128, 0.75, None, [0.7, 0.8], 0.07, 300.0, 30.0, short=4, subsets="b"),
        ShotScore("all", 0.8, [0.7, 0.875], clips=320.0, per_class=32.0),
    ]
    with_shots, without = make_result("esc50", 0.8, title="ESC-50"), make_result("esc50", 0.7)
    with_shots.scores["linear"] = make_score(0.8, [0.7, 0.875], shots=shots)
    without.encoder.name, without.encoder.fingerprint = "mfcc", "b" * 10
    without.task.title = "ESC-50"
    return Leaderboard([with_shots, without])


def test_every_form_of_the_leaderboard_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = boards()
    assert len(board.tables) == 1  # with and without stand together
    markdown = FORMATS["markdown"](board)
    assert "0.500 [.400 .600] | 0.750       | 0.800 [.700 .875] |" in markdown
    assert "esc50, 128 a class: 4 classes have fewer clips, and give all" in markdown
    assert r"8 a class & 128 a class & all" in FORMATS["latex"](board)
    line, values = FORMATS["csv"](board).splitlines()[:2]
    row = dict(zip(line.split(","), values.split(","), strict=True))
    assert row["logmel linear 8 shots"] == "0.5"
    assert row["logmel linear 8 shots high"] == "0.6"
    assert row["logmel linear 128 shots low"] == ""
    assert "mfcc linear 8 shots" not in row
    (cell, other) = json.loads(FORMATS["json"](board))["tables"][0]["rows"][0]["cells"][
        "linear"
    ].values()
    assert [one["value"] for one in cell["shots"]] == [0.5, 0.75, 0.8]
    assert cell["shots"][0]["per_draw"] == [0.45, 0.55]
    assert "shots" not in other


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_fits_the_terminal(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from earmark.benchmark.leaderboard.to_terminal import to_terminal

    to_terminal(boards(), Console(width=width))
    out = capsys.readouterr().out
    part = out[out.index("label efficiency") :]
    assert max(map(len, part.splitlines())) <= width
    for text in ("0.500", "[.400 .600]", "0.750", "0.800", "[.700 .875]"):
        assert text in part
