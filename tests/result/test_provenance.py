"""The command of a result that label efficiency is added to, whoever asks for it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earmark import evaluate
from earmark.benchmark.conformance.preflight import Preflight
from earmark.benchmark.result.provenance import with_additions
from earmark.benchmark.result.schema import RunResult
from earmark.encoders import load_encoder

Score = Callable[..., RunResult]


@pytest.fixture
def score(toy: Callable[..., tuple[Path, Path]], tmp_path: Path) -> Score:
    """score(encoder, shots) -> the result in one and the same folder."""
    task, data = toy({"train": 12, "valid": 4, "test": 8})

    def make(encoder: Any, shots: list[int]) -> RunResult:
        (result,) = evaluate(
            encoder, str(task), data=data, seeds=1, device="cpu", shots=shots,
            results=tmp_path / "r", cache=tmp_path / "c",
        )  # fmt: skip
        assert result.status == "done", result.error
        return result

    return make


def held(result: RunResult) -> list[Any]:
    return [one.shots for one in result.scores["linear"].shots or ()]


def test_added_by_a_program_it_joins_the_command_that_is_known(score: Score) -> None:
    named = score("logmel", []).command
    added = score(load_encoder("logmel"), [2])
    assert held(added) == [2]
    assert shlex.split(added.command) == [*shlex.split(named), "--shots", "2"]
    both = score("logmel", [3])
    assert held(both) == [2, 3]
    assert shlex.split(both.command) == [*shlex.split(named), "--shots", "2,3"]


def test_a_command_that_is_found_later_asks_for_what_the_result_holds(score: Score) -> None:
    handed = score(load_encoder("logmel"), [2])
    assert handed.command.startswith("no command: logmel was a Python object")
    assert "--shots" not in handed.command
    named = score("logmel", [])
    assert held(named) == [2]
    assert named.command.startswith("python run_bench.py --encoder logmel ")
    assert named.command.endswith(" --shots 2")


def test_an_encoder_is_checked_before_label_efficiency_is_added(
    score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bool] = []
    score("logmel", [])
    monkeypatch.setattr(
        Preflight, "check", lambda gate, encoder, by_frame: checked.append(by_frame)
    )
    score("logmel", [])
    assert checked == []
    score("logmel", [2])
    assert checked == [False]


def test_only_the_numbers_of_a_command_are_replaced() -> None:
    asked = "python run_bench.py --encoder 'my enc' --shots 2,all"
    assert with_additions(asked, [2, 4, "all"], ()).endswith("--encoder 'my enc' --shots 2,4,all")
    assert with_additions(asked, [], ()) == asked
    assert with_additions("no command: it was made", [2], ()) == "no command: it was made"
