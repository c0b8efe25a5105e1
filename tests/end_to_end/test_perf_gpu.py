"""The script that measures a GPU, on a CPU: it runs, keeps its schema, and sees what is wrong."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clips import REPOSITORY

from earmark.encoders.dasheng.acoustic import AcousticPath

SCRIPT = REPOSITORY / "tests" / "perf" / "gpu.py"
FIGURE = {"name", "value", "unit", "bound", "relation", "note", "met"}


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports the script's own modules by name."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return importlib.import_module


def run(out: Path, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """Exit status, what was printed, and the file."""
    command = [sys.executable, str(SCRIPT), "--out", str(out), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    values = json.loads(out.read_text()) if out.is_file() else {}
    return done.returncode, done.stdout + done.stderr, values


def figures(modules: Any, part: str) -> dict[str, Any]:
    """What a part measures in small, in this process."""
    record = modules("gpu_record")
    measured = modules(f"gpu_{part}").measure(record.Settings("cpu", tiny=True))
    return {one.name: one for one in measured if isinstance(one, record.Figure)}


def test_it_runs_in_small_and_writes_every_figure_with_its_bound(tmp_path):
    """Two of the six parts; `equal` and `probe`, in this process, are below."""
    out = tmp_path / "new" / "gpu.json"
    code, printed, values = run(out, "--device", "cpu", "--tiny", "--part", "machine", "memory")
    assert code == 0, printed
    assert list(values) == ["schema", "started", "device", "machine", "all_met", "parts"]
    assert values["schema"] == 1 and values["all_met"] is True
    assert values["device"].startswith("CPU ") and values["machine"]["versions"]["torch"]
    assert list(values["parts"]) == ["machine", "memory"]
    for part in values["parts"].values():
        assert part["error"] is None and part["seconds"] > 0
        for figure in part["figures"]:
            assert set(figure) == FIGURE and math.isfinite(figure["value"])
            assert (figure["met"] is None) == (figure["bound"] is None)
            assert figure["name"] in printed
    names = [figure["name"] for figure in values["parts"]["memory"]["figures"]]
    assert "fp32: clips lost" in names and "peak memory of the process" in names


def every_second(work: Callable[..., Any], spoil: Callable[[Any], None]) -> Callable[..., Any]:
    """work, its result spoilt where it is the device's: the CPU comes first, then the device."""
    calls = itertools.count()

    def wrapped(*arguments: Any, **more: Any) -> Any:
        found = work(*arguments, **more)
        if next(calls) % 2:
            spoil(found)
        return found

    return wrapped


def test_a_wrong_number_is_caught(modules, monkeypatch):
    """One class of 120, scores a tenth too large, one NaN, a path a ten-thousandth off."""
    equal = modules("gpu_equal")

    def one_class(found: Any) -> None:
        found[0] = (found[0] + 1) % 5

    def too_large(found: Any) -> None:
        for scores in found:
            scores *= 1.1

    def not_a_number(found: Any) -> None:
        found.similarities[0][0, 0] = np.nan

    for name, spoil in (
        ("knn_predict", one_class), ("fit_clips", too_large), ("train_towers", not_a_number),
    ):  # fmt: skip
        monkeypatch.setattr(equal, name, every_second(getattr(equal, name), spoil))
    forward = AcousticPath.forward
    monkeypatch.setattr(AcousticPath, "forward", lambda *of: 1.0001 * forward(*of))
    found = figures(modules, "equal")
    assert {name for name, figure in found.items() if figure.met is False} == {
        "dasheng, small, float32 beside float64",
        "dasheng:acoustic, small, float32 beside float64",
        "kNN, 600 x 1280: predictions that differ",
        "probe of clips, one class: test scores",
        "probe of clips, several labels: test scores",
        "towers: similarities",
    }
    assert found["dasheng:acoustic, small, float32 beside float64"].value == pytest.approx(
        1e-4, 0.01
    )
    assert found["probe of clips, one class: test scores"].value == pytest.approx(0.1, 1e-3)
    assert found["kNN, 600 x 1280: predictions that differ"].value == pytest.approx(1 / 120)
    assert math.isnan(found["towers: similarities"].value)


def test_speed_and_probe_are_measured_in_small(modules):
    speed = figures(modules, "speed")
    for name in ("clips in memory", "from a shard"):
        assert speed[f"fp32, batch 3: {name} beside bare"].value > 0
    width, depth, tokens = 64, 2, 252
    by_hand = depth * (12 * width**2 + 2 * tokens * width) + (64 + 128) * 4 * width
    assert speed["operations for a second of audio"].value == pytest.approx(2 * 25 * by_hand / 1e9)
    probe = figures(modules, "probe")
    assert probe["its accuracy"].met is True


def test_nan_and_infinity_are_written_as_missed(modules, tmp_path):
    record = modules("gpu_record")
    for value in (math.nan, math.inf, 2.0):
        for relation, bound in ((record.AT_MOST, 1.0), (record.AT_LEAST, 3.0)):
            if value == math.inf and relation == record.AT_LEAST:
                continue
            figure = record.Figure("x", value, "s", bound, relation)
            part = record.Part("p", figures=[figure.facts()])
            values = record.report([part], {}, "now")
            record.write_report(tmp_path / "r.json", values)
            assert json.loads((tmp_path / "r.json").read_text())["all_met"] is False
            assert "MISSED" in record.table(values) and "missed: p: x" in record.table(values)
    assert record.relative_error([3.0, 4.0], [3.0, 5.0]) == pytest.approx(1 / math.sqrt(34))
    assert record.relative_error([1.0], [1.0, 1.0]) == math.inf


def test_a_part_that_fails_or_gets_no_time_is_missed_and_the_rest_is_kept(
    modules, monkeypatch, tmp_path
):
    gpu = modules("gpu")
    settings = modules("gpu_record").Settings("cpu", tiny=True)
    values = gpu.measure(settings, ["probe", "machine"], 0.1, tmp_path / "gpu.json")
    assert values["all_met"] is False
    assert [part["error"].partition(":")[0] for part in values["parts"].values()] == ["not run"] * 2
    monkeypatch.setitem(gpu.PARTS, "machine", 0.01)
    monkeypatch.setattr(gpu, "WORTH_STARTING", 0)
    values = gpu.measure(settings, ["machine"], 1, tmp_path / "gpu.json")
    assert values["parts"]["machine"]["error"].startswith("stopped at its limit")
    lines = tmp_path / "lines.jsonl"
    broken = modules("gpu_probe")
    monkeypatch.setattr(broken, "knn_predict", lambda *_, **__: 1 / 0)
    assert gpu.in_this_process("probe", settings, lines) == 1
    part = modules("gpu_record").Part("probe")
    modules("gpu_record").read_lines(lines, part, {})
    assert len(part.figures) == 2  # what was measured before
    assert (tmp_path / "error.txt").read_text().startswith("ZeroDivisionError")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_what_cannot_start_says_why_in_a_line(tmp_path):
    code, printed, values = run(tmp_path / "gpu.json")
    assert (code, values) == (2, {}) and "finds no GPU" in printed and printed.count("\n") == 1
    code, printed, _ = run(tmp_path / "gpu.json", "--device", "cpu")
    assert code == 2 and "give --tiny too" in printed and printed.count("\n") == 1
