"""Measuring processes: what they answer, and what happens when one of them ends."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reconstruction_files import voice

from earmark.benchmark.reconstruction.metric.pair import AudioPair, measure_pair
from earmark.benchmark.reconstruction.metric.registry import all_metrics
from earmark.benchmark.reconstruction.workers import Workers

NAMES = [metric.name for metric in all_metrics()]


def job(folder: Path, number: int, **changes: Any) -> dict[str, Any]:
    x = voice(1.0, number)
    y = (x + 0.01 * np.random.default_rng(number).standard_normal(len(x))).astype("f4")
    paths = [folder / f"{number}-{what}.npy" for what in "xy"]
    for path, samples in zip(paths, (x, y), strict=True):
        np.save(path, samples)
    facts: dict[str, Any] = {
        "reference": str(paths[0]), "decoded": str(paths[1]), "reference_rate": 16_000,
        "decoded_rate": 16_000, "heard": len(x), "metrics": NAMES, "rates": [16_000],
        "plot": None, "title": "",
    }  # fmt: skip
    return facts | changes


def here(asked: dict[str, Any]) -> dict[str, float]:
    pair = AudioPair(
        np.load(asked["reference"]), 16_000, np.load(asked["decoded"]), 16_000, asked["heard"]
    )
    return measure_pair(pair, all_metrics()).values


def test_they_answer_as_this_process_would_and_end_with_the_pool(tmp_path: Path) -> None:
    jobs = [job(tmp_path, number) for number in range(5)]
    with Workers(2) as workers:
        answers = [future.result() for future in [workers.submit(one) for one in jobs]]
        missing = workers.submit(job(tmp_path, 9, reference=str(tmp_path / "none.npy"))).result()
        processes = list(workers._processes)
        assert 1 <= len(processes) <= 2
        assert all(process.poll() is None for process in processes)
    assert all(process.returncode == 0 for process in processes)
    for asked, found in zip(jobs, answers, strict=True):
        assert found["values"] == pytest.approx(here(asked), rel=1e-12)
        assert found["reasons"] == {}
    assert "FileNotFoundError" in missing["error"]


# what stands in for the package: ends its process as PESQ's C code does with too many utterances
ENDING = """
import os, signal
class NoUtterancesError(Exception): pass
class BufferTooShortError(Exception): pass
def pesq(rate, reference, decoded, mode):
    print("something on standard output")
    if mode == "wb":
        os.kill(os.getpid(), signal.SIGSEGV)
    return 3.5
"""


def test_a_metric_that_ends_its_process_is_lost_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fake" / "pesq").mkdir(parents=True)
    (tmp_path / "fake" / "pesq" / "__init__.py").write_text(ENDING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
    asked = job(tmp_path, 0, metrics=["pesq_wb", "pesq_nb", "si_sdr"])
    with Workers(1) as workers:
        found = workers.submit(asked).result()
        after = workers.submit(asked | {"metrics": ["si_sdr"]}).result()
    assert found["values"]["pesq_wb"] is None
    assert found["reasons"] == {"pesq_wb": "the process that measured it ended with signal 11"}
    assert found["values"]["pesq_nb"] == 3.5
    wanted = here(asked)["si_sdr"]
    assert found["values"]["si_sdr"] == after["values"]["si_sdr"] == pytest.approx(wanted)
    assert not math.isnan(found["delay"])


def test_nobody_waits_for_them_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Workers(1) as workers:
        futures = [workers.submit(job(tmp_path, number)) for number in range(2)]
        while not workers._processes:
            os.sched_yield()
        (process,) = workers._processes
        raise KeyboardInterrupt
    assert process.returncode == -9
    assert all(future.done() for future in futures)
