"""What encoders cost, in every form of the leaderboard, on request."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from result_files import make_result
from rich.console import Console

from earmark.benchmark.cli.main import main
from earmark.benchmark.costs import COSTS
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.cost import Cost, amount_text, cost_of, grid_of
from earmark.benchmark.leaderboard.formats import FORMATS
from earmark.benchmark.leaderboard.to_terminal import to_terminal
from earmark.benchmark.result.facts import EmbeddingSpeed, RunFacts
from earmark.benchmark.result.files import write_result
from earmark.benchmark.result.schema import RunResult


def measured(task: str, value: float, audio: float, seconds: float, **more: Any) -> RunResult:
    """A result that says what it cost."""
    result = make_result(task, value, **more)
    facts = result.encoder
    facts.sample_rate, facts.embedding_dim, facts.frame_rate = 24_000, 128, 75.0
    facts.parameters, facts.encode_parameters = 14_851_810, 7_425_472
    facts.bits_per_second = 24_000.0
    result.run = RunFacts(
        embedding=EmbeddingSpeed(audio_seconds=audio, seconds=seconds, device="NVIDIA H200"),
        embed_seconds=1e4, encoded_audio_seconds=audio, device="NVIDIA H200",
    )  # fmt: skip
    return result


def old(task: str = "a", **more: Any) -> RunResult:
    """One of before anything but embedding and reading together was measured."""
    return make_result(task, 0.5, encoder="older", fingerprint="b" * 10, **more)


def board(names: tuple[str, ...] = ()) -> Leaderboard:
    results = [measured("a", 0.5, 900.0, 3.0), measured("b", 0.75, 100.0, 1.0), old()]
    return Leaderboard(results).with_cost(names)


def test_speed_is_the_audio_of_all_tasks_over_their_time() -> None:
    cost = cost_of([measured("a", 0.5, 900.0, 3.0), measured("b", 0.75, 100.0, 1.0)])
    assert cost == Cost(
        parameters=7_425_472, all_parameters=14_851_810, values_per_second=9600.0,
        bits_per_second=24_000.0, speed=250.0, device="NVIDIA H200",
    )  # fmt: skip


def test_results_of_older_versions_say_what_they_can() -> None:
    result = old()
    assert cost_of([result]) == Cost()
    result.encoder.parameters = 5
    result.run = RunFacts(embed_seconds=4.0, encoded_audio_seconds=100.0, device="cpu x86_64")
    assert cost_of([result]) == Cost(
        parameters=5, all_parameters=5, speed=25.0, device="cpu x86_64, with reading"
    )
    # the two are never added
    mixed = measured("b", 0.5, 60.0, 1.0)
    assert cost_of([result, mixed]).speed == 60.0


def test_one_vector_a_clip_has_no_rate() -> None:
    result = measured("a", 0.5, 1.0, 1.0)
    result.encoder.frame_rate = None
    cost = cost_of([result])
    assert (cost.values_per_second, cost.values_per_clip) == (None, 128)
    (table,) = Leaderboard([result]).with_cost(["values"]).tables
    assert grid_of(table)[1] == ["logmel", "0.500", "128 a clip"]


def test_amounts_beyond_all_numbers_are_unknown() -> None:
    result = measured("a", 0.5, 1e308, 1e-300)
    result.encoder.embedding_dim, result.encoder.frame_rate = 10**6, 1e307
    cost = cost_of([result])
    assert (cost.speed, cost.values_per_second) == (None, None)
    json.loads(FORMATS["json"](Leaderboard([result]).with_cost([])))


def test_every_form_shows_what_was_asked_for() -> None:
    heads = (
        "| encoder | mean of all    | parameters | values/s | bits/s | x real time | on          |"
    )
    markdown = FORMATS["markdown"](board())
    assert heads in markdown
    assert (
        "| logmel  | 0.625          | 7.43 M     | 9.6 k    | 24 k   | 250         | NVIDIA H200 |"
        in markdown
    )
    assert (
        "| older   | 0.500 (1 of 2) | -          | -        | -      | -           | -           |"
        in markdown
    )
    assert "parameters in all, a decoder's among them: logmel 14.9 M" in markdown
    latex = FORMATS["latex"](board(("parameters", "speed")))
    assert r"encoder & mean of all & parameters & x real time & on \\" in latex
    assert r"logmel & 0.625 & 7.43 M & 250 & NVIDIA H200 \\" in latex
    assert "bits/s" not in latex
    rows = {row["title"]: row for row in csv.DictReader(io.StringIO(FORMATS["csv"](board())))}
    assert {name: rows[f"cost: {name}"]["logmel cost"] for name in COSTS} == {
        "parameters": "7425472", "values": "9600.0", "bits": "24000.0", "speed": "250.0",
    }  # fmt: skip
    assert {rows[f"cost: {name}"]["older cost"] for name in COSTS} == {""}
    assert rows["cost: device of the speed"]["logmel cost"] == "NVIDIA H200"
    first, second = json.loads(FORMATS["json"](board()))["tables"][0]["columns"]
    assert first["cost"]["all_parameters"] == 14_851_810 and first["cost"]["speed"] == 250.0
    assert second["cost"]["speed"] is None and second["cost"]["device"] == ""


@pytest.mark.parametrize("name", list(FORMATS))
def test_nothing_of_it_is_there_where_it_was_not_asked_for(name: str) -> None:
    text = FORMATS[name](Leaderboard([measured("a", 0.5, 900.0, 3.0)]))
    assert "cost" not in text.replace("cost_of", "")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_fits_the_terminal(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    to_terminal(board(), Console(width=width))
    out = capsys.readouterr().out
    part = out[out.index("cost: real") :]
    assert max(map(len, part.splitlines())) <= width
    for text in ("7.43 M", "9.6 k", "24 k", "250", "NVIDIA H200", "14.9 M"):
        assert text in part


@given(st.floats(0, 1e15))
def test_an_amount_is_right_to_three_digits(amount: float) -> None:
    number, _, unit = amount_text(amount).partition(" ")
    size = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}[unit]
    assert float(number) * size == pytest.approx(amount, rel=5.1e-3, abs=1e-12)
    assert unit or amount < 1000
    assert float(number) < 1000 or unit == "G"


def test_the_command_line_takes_names_of_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_result(tmp_path / "a.json", measured("a", 0.5, 900.0, 3.0), None)
    words = ["leaderboard", "--results", str(tmp_path), "--format", "markdown"]
    assert main([*words, "--cost", "speed"]) == 0
    out = capsys.readouterr().out
    assert "| logmel  | 0.500       | 300         | NVIDIA H200 |" in out
    assert main([*words, "--cost"]) == 0
    assert "bits/s" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*words, "--cost", "money"])
    assert "choose from" in capsys.readouterr().err
    assert main(["leaderboard", "--results", str(tmp_path), "--reconstruction", "--cost"]) == 2
    assert capsys.readouterr().err.endswith(
        "values/s and speed are in the reconstruction leaderboard in any case\n"
    )
