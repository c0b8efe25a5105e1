"""A comparison on the terminal, as Markdown, CSV and JSON."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from comparison_runs import cell, only, run

from earmark.benchmark.comparison.run import compare


def test_the_terminal_shows_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    assert "A (A) against B (B)" in out
    table = only(compare("A", "B", folder))
    for row, verdict in zip(table.tasks, ("better", "unclear", "worse"), strict=True):
        (line,) = [line for line in out.splitlines() if line.startswith(f"Task {row.task}")]
        cells = line.removeprefix(f"Task {row.task}").split()
        assert cells[:3] == [
            f"{row.first:.3f}", f"{row.second:.3f}", f"{row.difference.value:+.3f}",
        ]  # fmt: skip
        assert re.search(r"\[[+-]\.\d{3} [+-]\.\d{3}\]", line)
        assert cells[-1] == verdict
    assert " ".join(out.split()).count("paired test over sources (jackknife and Student's t)") == 1


def test_markdown_csv_and_json_hold_the_same(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = only(compare("A", "B", folder))
    texts = {}
    for form in ("markdown", "csv", "json"):
        assert run(folder, "--format", form) == 0
        texts[form] = capsys.readouterr().out
        out = tmp_path / f"new.{form}"
        assert run(folder, "--format", form, "--out", str(out)) == 0
        assert out.read_text() == texts[form]
    (whole,) = json.loads(texts["json"])
    assert whole == json.loads(json.dumps(dataclasses.asdict(table)))
    lines = pd.read_csv(io.StringIO(texts["csv"])).set_index("task")
    markdown = [line for line in texts["markdown"].splitlines() if line.startswith("| Task")]
    for row, line in zip(table.tasks, markdown, strict=True):
        cells = [part.strip() for part in line.split("|")[1:-1]]
        assert (cells[0], cells[1], cells[-1]) == (row.title, row.metric, row.verdict)
        found = lines.loc[row.task]
        assert found["difference"] == row.difference.value
        assert (found["low"], found["holm_p"]) == (row.difference.low, row.holm_p)
        assert (found["verdict"], found["items"]) == (row.verdict, 120)
        assert (found["first score"], found["second score"]) == (row.first, row.second)
    assert table.mean is not None
    assert lines.loc["mean", "difference"] == table.mean.value


def test_what_was_not_compared_is_shown_and_is_exit_status_3(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell(folder, 0.5, "A", "four")
    for form in ("terminal", "markdown"):
        assert run(folder, "--format", form) == 3
        assert "not compared: four: B has no result" in capsys.readouterr().out
    assert run(folder, "--format", "csv") == 3
    lines = pd.read_csv(io.StringIO(capsys.readouterr().out)).set_index("task")
    assert lines.loc["four", ["verdict", "reason"]].tolist() == ["not compared", "B has no result"]
    assert run(folder, "--format", "json") == 3
    (whole,) = json.loads(capsys.readouterr().out)
    assert whole["left_out"] == [{"task": "four", "reason": "B has no result"}]
    assert run(folder, "--tasks", "one", "two") == 0  # `four` was not asked for
