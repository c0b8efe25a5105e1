"""A check as terminal text, CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from reference_files import Shell, write


def test_csv_and_files(shell: Shell, tmp_path: Path) -> None:
    write(shell.theirs, "one", 0.5, 0.25)
    write(shell.mine, "one", 0.6, 0.25)
    assert shell("--format", "csv") == 1
    first, second = csv.DictReader(io.StringIO(shell.out))
    assert (first["task"], first["probe"], first["verdict"]) == ("one", "linear", "breach")
    assert float(first["difference"]) == pytest.approx(0.1)
    assert float(first["tolerance"]) == 0.02
    assert second["verdict"] == "ok"
    assert shell("--format", "json", "--out", tmp_path / "check.json") == 1
    assert shell.out == ""
    assert "1 breach, 0 not checked, 1 ok" in shell.err
    assert json.loads((tmp_path / "check.json").read_text())["status"] == 1
    assert shell("--format", "markdown") == 1
    assert "| logmel | one | linear | 0.600 | 0.500 | +0.100 | 0.020 |" in shell.said


def test_eighty_columns_are_enough(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    write(shell.theirs, "speech_commands_v1", 0.5, encoder="small-dasheng")
    write(shell.mine, "speech_commands_v1", 0.6, encoder="small-dasheng")
    assert shell() == 1
    row = next(line for line in shell.out.splitlines() if line.startswith("small-dasheng"))
    assert row.split() == [
        "small-dasheng", "speech_commands_v1", "linear", "0.600", "0.500", "+0.100", "0.020",
    ]  # fmt: skip
    assert max(map(len, shell.out.splitlines())) <= 80
