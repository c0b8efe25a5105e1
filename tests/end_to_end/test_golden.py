"""Golden results: encoders score on every synthetic twin as they did, item by item.

Exact on the kind of machine that made them, within `golden.RULE` elsewhere.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from golden import COMMAND, ENCODERS, EVERY_TASK, GOLDEN, LIMIT, LONG, PARTS, RULE, measure
from rich.console import Console

from earmark import check
from earmark.benchmark.agreement.formats import to_terminal
from earmark.benchmark.agreement.loading import read_folder
from earmark.benchmark.agreement.run import Agreement
from earmark.benchmark.cli.main import main
from earmark.benchmark.protocol import PROTOCOLS
from earmark.tasks import builtin_tasks


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that an encoder is looked over once, not once for each task."""
    return tmp_path_factory.mktemp("golden")


@pytest.fixture
def emptied(cache: Path) -> Iterator[Path]:
    """The twins of all tasks are 400 MB: none outlives its test."""
    yield cache
    for folder in cache.iterdir():
        if folder.name != "conformance":
            shutil.rmtree(folder)


def shown(found: Agreement) -> str:
    stream = io.StringIO()
    to_terminal(found, Console(file=stream, width=100))
    return stream.getvalue()


def hold(task: str, encoders: Collection[str], results: Path, cache: Path) -> None:
    """Measure a task anew; fail where an encoder does not score as it did."""
    measured = measure([task], results, cache, encoders)
    assert {result.encoder.name for result in measured} == set(encoders)
    assert {result.error for result in measured} == {None}
    found = check(results, against=GOLDEN, encoders=encoders, tasks=[task], rule=RULE)
    if found.status or found.beyond:
        pytest.fail(
            f"{task} does not score as in {GOLDEN}:\n\n{shown(found)}\n"
            f"Where that is meant: `{COMMAND}`, read `git diff --stat`, and commit it.",
            pytrace=False,
        )


@pytest.mark.whole_training
@pytest.mark.parametrize("task", EVERY_TASK)
def test_scores_and_predictions_are_as_they_were(task: str, emptied: Path, tmp_path: Path) -> None:
    hold(task, ENCODERS[:1] if task in LONG else ENCODERS, tmp_path, emptied)


@pytest.mark.golden_all
@pytest.mark.whole_training
@pytest.mark.parametrize("task", LONG)
def test_so_are_those_of_the_other_encoders_where_that_takes_long(
    task: str, emptied: Path, tmp_path: Path
) -> None:
    hold(task, ENCODERS[1:], tmp_path, emptied)


def test_every_task_encoder_and_protocol_is_there() -> None:
    stored, unreadable = read_folder(GOLDEN)
    assert unreadable == []
    assert sorted((s.encoder, s.task, *s.conditions) for s in stored) == sorted(
        (encoder, task, part.protocol, part.seeds, LIMIT, True)
        for part in PARTS
        for encoder in part.encoders
        for task in part.tasks
    )
    assert set(PARTS[0].tasks) == set(builtin_tasks())
    assert {part.protocol for part in PARTS} == set(PROTOCOLS)


def test_elsewhere_one_prediction_of_the_smallest_cell_may_change() -> None:
    totals = [cell.changes.total for cell in check(GOLDEN, against=GOLDEN).cells if cell.changes]
    assert min(totals) == 20
    assert 1 <= min(totals) * RULE.floor < 2 and 1 <= min(totals) * (RULE.changed or 0) < 2


def test_they_are_small_and_say_nothing_of_when_and_where() -> None:
    files = [path for path in GOLDEN.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 750_000
    for path in GOLDEN.rglob("*.json"):
        result = json.loads(path.read_text())
        assert result["run"].keys().isdisjoint({"started", "seconds"})
        assert str(GOLDEN.parents[1]) not in path.read_text()


def test_one_encoders_results_are_not_anothers(capsys: pytest.CaptureFixture[str]) -> None:
    """All three tell tasks apart in their own way: a check that passed here would see nothing."""
    for mine, theirs in (("mfcc", "logmel"), ("logmel", "dasheng-tiny")):
        words = ["--results", str(GOLDEN), "--against", str(GOLDEN), "--tasks", "esc50"]
        assert main(["check", *words, "--encoder", f"{mine}={theirs}", "--exact"]) == 1
        out = capsys.readouterr().out
        assert "2 breaches" in out
        assert "predictions changed" in out
        classes = builtin_tasks()["esc50"].classes
        item = next(line for line in out.splitlines() if ", seed 0 (" in line)
        was, now = item.partition("): ")[2].split(" -> ")
        assert was in classes and now in classes
