"""One number is one text, whichever table shows it."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numbers_by_hand import by_hand
from paired_cells import class_predictions, write_cell
from pylatexenc.latex2text import LatexNodes2Text
from result_files import make_result
from rich.console import Console

from earmark.benchmark.cli.main import main
from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.formats import FORMATS
from earmark.benchmark.leaderboard.to_terminal import to_terminal
from earmark.benchmark.shots import ShotScore

# ties of three decimals, and what sums make of them
ties = st.builds(
    lambda number, off: number / 2000 + off,
    st.integers(0, 2000), st.sampled_from([0, 1e-16, -2e-16]),
)  # fmt: skip
shares = st.one_of(ties, st.floats(0, 1))


def test_ties_by_name() -> None:
    for value, text in {
        0.1315: "0.132", 0.13149999999999998: "0.132", 0.13150000000000003: "0.132",
        0.1325: "0.132", 0.1314999: "0.131", 0.0005: "0.000", 0.0015: "0.002",
        0.9995: "1.000", 1.0: "1.000",
    }.items():  # fmt: skip
        assert rounded(value) == text
    assert rounded(-0.0004) == rounded(-0.0004, sign=True) == rounded(0.0, sign=True) == "0.000"
    assert (rounded(0.25, sign=True), rounded(-0.25, sign=True)) == ("+0.250", "-0.250")
    assert (rounded(2.5, 0), rounded(3.5, 0), rounded(4.495, 2)) == ("2", "4", "4.50")
    assert (rounded(math.nan), rounded(math.inf)) == ("nan", "inf")
    assert rounded(1e300, 0) == f"{1e300:.0f}"


@given(st.one_of(shares, st.floats(-1e9, 1e9)), st.integers(0, 6))
def test_as_by_hand(value: float, digits: int) -> None:
    wanted = by_hand(value, digits)
    assert rounded(value, digits) == wanted
    assert rounded(np.float64(value), digits) == wanted


@settings(max_examples=25, deadline=None)
@given(shares, shares, shares)
@example(0.1315, 0.13149999999999998, 0.1325)
def test_every_table_shows_one_text(value: float, low: float, high: float) -> None:
    result = make_result("a", value, interval=[low, high])
    result.scores["linear"].shots = [ShotScore(8, value, [low, high])]
    board = Leaderboard([result])
    ends = [by_hand(bound).removeprefix("0").replace("1.000", "1.0") for bound in (low, high)]
    wanted = f"{by_hand(value)} [{' '.join(ends)}]"
    console = Console(width=100)
    with console.capture() as shown:
        to_terminal(board, console)
    # the score, and below it label efficiency, whose interval has a line of its own
    scores, few = shown.get().split("label efficiency", 1)
    assert wanted in scores
    assert all(part in few for part in wanted.split(" ", 1))
    markdown = FORMATS["markdown"](board).replace("\\", "").replace("**", "")
    assert markdown.count(wanted) == 2
    latex = LatexNodes2Text().latex_to_text(FORMATS["latex"](board))
    assert re.sub(r"\s+", " ", latex).count(wanted) == 2


def test_leaderboard_compare_and_check_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """263 and 265 of 2000 right, both ties: 0.1315 and 0.1325."""
    for count, encoder in ((263, "A"), (265, "B")):
        right = np.arange(2000) < count
        write_cell(tmp_path / "r", class_predictions(right, np.arange(2000) % 50), encoder)
    results, cache = str(tmp_path / "r"), ["--cache", str(tmp_path / "c")]
    printed = []
    for words in (
        ["leaderboard", "--results", results, *cache],
        ["compare", "A", "B", "--results", results, *cache],
        ["check", "--results", results, "--against", results],
    ):
        main(words)
        printed.append(capsys.readouterr().out)
        assert re.findall(r"\b0\.13\d+", printed[-1])[:2] == ["0.132", "0.132"], printed[-1]
        assert not re.search(r"\b0\.13[13]\b", printed[-1])
    assert "-0.001" in printed[1]
