"""Terminals narrower than a table: every name and number is still there."""

from __future__ import annotations

from pathlib import Path

import pytest
from paired_cells import class_predictions, write_cell
from reference_files import write

from earmark.benchmark.cli.main import main

LONG = "hubert-large-of-mine:layer-12"


@pytest.fixture(params=[20, 36, 60, 80])
def narrow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


@pytest.mark.usefixtures("narrow")
def test_a_check_names_every_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two names that begin alike, which `librispe...` would not tell apart."""
    for folder in ("mine", "theirs"):
        for task, value in (("librispeech_100h", 0.123), ("librispeech_mf", 0.987)):
            write(tmp_path / folder, task, value, encoder=LONG)
    words = ["--results", str(tmp_path / "mine"), "--against", str(tmp_path / "theirs")]
    assert main(["check", *words]) == 0
    out = capsys.readouterr().out
    assert "\u2026" not in out
    table = out[: out.index("tolerance: ")].splitlines()
    first = next(n for n, line in enumerate(table) if "0.123" in line)
    second = next(n for n, line in enumerate(table) if "0.987" in line)
    assert second != first
    for line, end in ((first, "100h"), (second, "_mf")):
        some = " ".join(table[line : line + 3])
        assert "librispeec" in some
        assert end in some
        assert table[line].split()[-2] == "0.000"


@pytest.mark.usefixtures("narrow")
def test_a_comparison_names_every_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [number // 2 for number in range(40)]
    for encoder, wrong in (("A", 1), ("B", 4)):
        right = [[number % 10 >= wrong] * 2 for number in range(40)]
        write_cell(tmp_path, class_predictions(right, sources), encoder, title="Spoken Digits")
    assert main(["compare", "A", "B", "--results", str(tmp_path)]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "0.900" in line)
    assert row.startswith("Spoken")
    assert "0.600" in row
    assert "+0.300 [" in row


@pytest.mark.usefixtures("narrow")
def test_a_leaderboard_holds_every_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "one", 0.512, encoder=LONG, interval=[0.4, 0.6], title="Spoken Digits of All")
    assert main(["leaderboard", "--results", str(tmp_path)]) == 0
    assert "  Spoken Digits of All  accuracy  0.512 [.400 .600]" in capsys.readouterr().out
