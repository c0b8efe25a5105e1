"""Results with predictions, written by hand into folders, for tests of `check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from result_files import make_result

from earmark.benchmark.cli.main import main
from earmark.benchmark.result.facts import RunFacts
from earmark.benchmark.result.files import write_result
from earmark.benchmark.result.schema import Predictions, RunResult

MACHINE = {
    "device": "cpu x86_64", "system": "Linux", "processor": "A", "instructions": "wide",
    "threads": 1,
}  # fmt: skip
VERSIONS = dict.fromkeys(
    ("torch", "torchaudio", "numpy", "soxr", "soundfile", "libsndfile", "scikit-learn"), "1"
)


def class_predictions(linear: Any = None, knn: Any = None) -> Predictions:
    """Four items of classes 0, 1, 2, 3, two seeds, all right unless said otherwise."""
    labels = np.arange(4)
    return Predictions(
        keys=np.array(["a", "b", "c", "d"]),
        crops=np.array([0, 0, 0, 1]),
        sources=np.array(["s", "s", "t", "t"]),
        splits=np.array(["test"] * 4),
        labels=labels,
        linear=np.stack([labels, labels], axis=1) if linear is None else np.array(linear),
        knn=labels if knn is None else np.array(knn),
    )


def write(
    folder: Path,
    task: str = "one",
    linear: float | None = 0.5,
    knn: float | None = None,
    *,
    predictions: Predictions | None = None,
    machine: dict[str, Any] | None = None,
    **facts: Any,
) -> tuple[Path, RunResult]:
    """Write a result, and its predictions; returns its file (of a failed one: `.failed.json`)."""
    result = make_result(task, linear, knn, **facts)
    result.run = RunFacts(**MACHINE | (machine or {}))
    result.versions = dict(VERSIONS)
    return put(folder, result, predictions)


def put(
    folder: Path, result: RunResult, predictions: Predictions | None = None
) -> tuple[Path, RunResult]:
    """Write a result under a name that tells all apart that may stand beside each other."""
    where = folder / f"{result.encoder.name}-{result.encoder.fingerprint}"
    name = f"{result.task.name}.{result.synthetic}.{result.data.limit}"
    path = where / f"{result.protocol['name']}.{result.protocol['seeds']}.{name}.json"
    write_result(path, result, predictions or class_predictions())
    return path, result


class Shell:
    """`check` of tmp/mine against tmp/theirs."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.mine, self.theirs, self.capsys = folder / "mine", folder / "theirs", capsys

    def __call__(self, *words: object) -> int:
        folders = ["--results", str(self.mine), "--against", str(self.theirs)]
        self.capsys.readouterr()
        status = main(["check", *folders, *map(str, words)])
        self.out, self.err = self.capsys.readouterr()
        self.said = " ".join(self.out.split())  # long lines are broken where the terminal ends
        return status

    def cells(self, *words: object) -> list[dict[str, Any]]:
        self(*words, "--format", "json")
        return list(json.loads(self.out)["cells"])
