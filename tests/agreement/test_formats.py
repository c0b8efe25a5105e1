"""A check as terminal text, CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from reference_files import Shell, write


def test_worst_first(shell: Shell) -> None:
    """By the difference over the tolerance: breaches, what was not checked, the rest."""
    for task, value, high in (
        ("fine", 0.501, 0.6), ("far", 0.9, 0.51), ("near", 0.6, 0.52), ("wide", 0.65, 0.7),
        ("half", 0.51, 0.51), ("gone", None, 0.6),
    ):  # fmt: skip
        write(shell.theirs, task, 0.5, interval=[0.4, high])
        if value is not None:
            write(shell.mine, task, value, interval=[0.4, high])
    assert [(c["task"], c["verdict"]) for c in shell.cells()] == [
        ("far", "breach"), ("near", "breach"), ("gone", "not checked"), ("wide", "ok"),
        ("half", "ok"), ("fine", "ok"),
    ]  # fmt: skip
    shell()
    places = [shell.out.index(f" {name} ") for name in ("far", "near", "gone", "wide", "half")]
    assert places == sorted(places)
    assert "2 breaches, 1 not checked, 3 ok: against" in shell.said[-len(str(shell.theirs)) - 60 :]


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
