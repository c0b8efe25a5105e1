"""`results/README.md` names every field of a result, and no other; its page is what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import golden
import pytest
from clips import REPOSITORY

from earmark import evaluate
from earmark.benchmark.reconstruction.result import MetricScore, ReconstructionResult
from earmark.benchmark.result.files import read_results
from earmark.benchmark.result.schema import Predictions, RunResult, Score

TEXT = (REPOSITORY / "results" / "README.md").read_text(encoding="utf-8")


def rows_after(start: str) -> dict[str, str]:
    """Rows of the first table of fields after some words: first column -> second, with ticks."""
    lines = TEXT[TEXT.index(start) :].splitlines()
    first = lines.index("| field | what it holds |") + 2
    rows = {}
    for line in lines[first:]:
        if not line.startswith("| "):
            break
        _, head, text, _ = line.split("|")
        rows[head] = text
    return rows


def named(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)


def names_in(rows: dict[str, str]) -> list[str]:
    return sorted(name for head in rows for name in named(head))


def names_of(cls: type) -> list[str]:
    return sorted(field.name for field in fields(cls) if field.name != "path")  # type: ignore[arg-type]


def test_every_field_is_named_and_no_other() -> None:
    assert names_in(rows_after("## The result file")) == names_of(RunResult)
    assert names_in(rows_after("\nA score:")) == names_of(Score)
    assert names_in(rows_after("## Reconstruction")) == names_of(ReconstructionResult)
    (scores,) = [text for head, text in rows_after("## Reconstruction").items() if "scores" in head]
    assert sorted(named(scores)) == names_of(MetricScore)


def test_every_array_of_the_predictions_is_named() -> None:
    part = TEXT[TEXT.index("## The predictions") : TEXT.index("## Audits")]
    assert sorted(set(named(part))) == names_of(Predictions)


def test_what_a_run_writes_is_named(toy: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    """Key by key, of a real result; `audit` is there once shards were audited, and of encoders that
    do not take every clip what is done about it."""
    task, data = toy()
    (result,) = evaluate("logmel", str(task), data=data, results=tmp_path / "r")
    written = json.loads(Path(str(result.path)).read_text())
    rows = {named(head)[0]: text for head, text in rows_after("## The result file").items()}
    some = {"bits_per_second", "frame_rate_varies", "scene_dim", "arguments", "contents"}
    seconds = {"min_seconds", "max_seconds", "fixed_seconds"}
    for part, more in (
        ("task", set()), ("encoder", some | seconds),
        ("data", {"audit", "padded_clips", "cut_clips"}), ("run", set()),
    ):  # fmt: skip
        assert set(named(rows[part])) == written[part].keys() | more, part


def test_the_page_of_the_golden_results_is_what_the_command_prints(tmp_path: Path) -> None:
    for folder in ("golden", "controls"):
        assert (
            f"\npython run_bench.py leaderboard --results results/{folder} --format markdown\n"
            in TEXT
        )
    golden.write_page(tmp_path / "page.md", tmp_path / "cache")
    assert (tmp_path / "page.md").read_text() == golden.PAGE.read_text(), (
        f"run `{golden.COMMAND} --page`"
    )


def test_the_controls_on_real_data_are_whole_and_are_what_their_page_says() -> None:
    """Each encoder beside itself with permuted weights; `results/controls.md` has their values."""
    text = (golden.REPOSITORY / "results" / "controls.md").read_text(encoding="utf-8")
    stored, unreadable = read_results(golden.CONTROLS)
    assert unreadable == []
    names = ("dasheng-tiny", "dasheng-tiny:semantic", "dasheng-tiny:acoustic")
    assert sorted({result.encoder.name for result in stored}) == sorted(
        [*names, *(f"{name}:permuted" for name in names)]
    )
    assert len(stored) == 6 * 3
    rows = {"fsdd": "| spoken digits (FSDD) |", "esc50": "| ESC-10 |"}
    for result in stored:
        assert result.status == "done" and not result.synthetic
        assert result.run.started is None and str(golden.REPOSITORY) not in result.to_json()
        if result.task.name in rows:
            table = text[text.index(rows[result.task.name]) :]
            (line,) = re.findall(rf"^\| {result.encoder.name} \|.*$", table, re.MULTILINE)[:1]
            shown = [float(cell) for cell in line.strip("| ").split(" | ")[1:]]
            assert shown[0] == pytest.approx(result.scores["linear"].value, abs=6e-4)
            assert shown[-1] == pytest.approx(result.scores["knn"].value, abs=6e-4)
