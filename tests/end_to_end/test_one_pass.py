"""Encoders of one model in one run: loaded once, one forward pass, the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dasheng_reference import SMALL

from earmark import evaluate
from earmark.benchmark.identity.behaviour import SIGNALS
from earmark.benchmark.result.schema import Predictions, RunResult
from earmark.encoders import Frames
from earmark.encoders.dasheng import random_weights, save_checkpoint
from earmark.encoders.dasheng.tokenizer import DashengTokenizer

Toy = Callable[..., tuple[Path, Path]]
NAMES = ("dasheng", "dasheng:semantic", "dasheng:acoustic")


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[str, ...]]]:
    """Clips and outputs of each forward pass, as they happen."""
    seen: list[tuple[int, tuple[str, ...]]] = []
    real = DashengTokenizer.encode_outputs

    def encode_outputs(
        self: DashengTokenizer, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Any
    ) -> dict[str, Frames]:
        seen.append((len(lengths), tuple(sorted(outputs))))
        return real(self, waveforms, lengths, outputs)

    monkeypatch.setattr(DashengTokenizer, "encode_outputs", encode_outputs)
    return seen


def predictions(results: Path, result: RunResult) -> Predictions:
    assert result.predictions is not None
    name = result.encoder.name.replace(":", "-").replace("@", "-")
    folder = f"{name}-{result.encoder.fingerprint[:8]}"
    return Predictions.load(results / folder / "strict" / result.predictions.file)


def test_three_outputs_are_one_pass_and_the_same_as_alone(
    toy: Toy, tmp_path: Path, passes: list[tuple[int, tuple[str, ...]]]
) -> None:
    task, data = toy()
    weights = save_checkpoint(tmp_path / "weights", SMALL, random_weights(SMALL, seed=1))
    options: dict[str, Any] = {"data": data, "weights": weights, "seeds": 1}
    together = evaluate(
        NAMES, str(task), results=tmp_path / "r", cache=tmp_path / "c", **options
    )  # fmt: skip
    shown = together[0].encoder.name  # with its sizes, which are not the released ones
    assert [result.encoder.name for result in together] == [
        name.replace("dasheng", shown) for name in NAMES
    ]
    assert [result.error for result in together] == [None] * 3
    everything = [count for count, outputs in passes if outputs == ("", "acoustic", "semantic")]
    assert sum(everything) >= 70  # the toy's clips, and those of the check before
    single = sum(count for count, outputs in passes if len(outputs) == 1)
    assert single < 70  # no second round for any of the three
    for name, result in zip(NAMES, together, strict=True):
        (alone,) = evaluate(
            name, str(task), results=tmp_path / "r1", cache=tmp_path / name, **options
        )  # fmt: skip
        assert alone.encoder.fingerprint == result.encoder.fingerprint
        one, other = (
            predictions(tmp_path / folder, result) for folder in ("r", "r1")
        )  # fmt: skip
        assert np.array_equal(one.linear, other.linear) and np.array_equal(one.knn, other.knn)
    # and a run for one of them finds what another run encoded for it
    passes.clear()
    evaluate(NAMES[1], str(task), results=tmp_path / "r2", cache=tmp_path / "c", **options)
    # by which it is told, and its weights are counted
    assert sum(count for count, _ in passes) == len(SIGNALS) + 1
