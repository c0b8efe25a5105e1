"""Nothing that runs on a GPU mixes it with the CPU; a pretended GPU tells, where there is none."""

from __future__ import annotations

import contextlib
import csv
import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from platform import machine
from typing import Any

import numpy as np
import pytest
import torch
from clips import REPOSITORY
from faulty_encoders import Honest
from pretend_gpu import pretended_gpu
from training_files import INJECTION, SEMANTIC, corpus, dasheng_file

from earmark import evaluate
from earmark.benchmark.embedding.batches import encode_batches
from earmark.encoders.dasheng.training import train

WITHOUT_ADVERSARY = replace(INJECTION.losses, adversarial=0.0, feature_matching=0.0)
STAGES = {
    "semantic": replace(SEMANTIC, steps=3, checkpoint_every=2),
    "injection": replace(INJECTION, steps=3, checkpoint_every=2),
    "injection without adversary": replace(
        INJECTION, steps=3, checkpoint_every=2, losses=WITHOUT_ADVERSARY
    ),
    "acoustic": replace(INJECTION, steps=1, latent="acoustic", crops_per_context=1),
}


class Killed(BaseException):
    pass


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with pretended_gpu(monkeypatch):
        yield


def losses(out: Path, file: str = "losses.csv") -> list[list[float]]:
    """Every number of a training's steps but the speed; NaN where there is none."""
    with (out / "training" / file).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [
        [float(value or "nan") for name, value in row.items() if name != "clips_per_second"]
        for row in rows
    ]


@pytest.mark.parametrize("name", list(STAGES))
def test_training_and_going_on_with_it(name, tmp_path, monkeypatch):
    """The CPU's losses, with what is held out, and the same bits after a kill."""
    config = replace(STAGES[name], precision="fp32")
    audio, aside, semantic = corpus(1.0, 0.8), corpus(0.5, seed=6), dasheng_file(tmp_path)

    def run(out: str, device: str, until: int = 0) -> Path:
        def on_step(step: int, found: dict[str, float]) -> None:
            if step == until:
                raise Killed

        given = None if name == "semantic" else semantic
        train(
            config, audio, tmp_path / out, semantic=given, held_out=aside, device=device,
            on_step=on_step,
        )  # fmt: skip
        return tmp_path / out

    on_cpu = run("cpu", "cpu")
    with pretended_gpu(monkeypatch):
        whole = run("whole", "cuda")
        if config.steps > 2:
            with pytest.raises(Killed):
                run("killed", "cuda", until=3)
        killed = run("killed", "cuda")
    for file in ("losses.csv", "held_out.csv"):
        found = losses(whole, file)
        assert found
        # attention is written out here, a kernel of its own on the CPU
        np.testing.assert_allclose(found, losses(on_cpu, file), rtol=1e-3, atol=1e-6)
        np.testing.assert_array_equal(losses(killed, file), found)


def test_encoders_probes_and_neighbours(gpu, monkeypatch):
    """All that the script `perf/gpu.py` computes twice: the CPU's numbers."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "tests" / "perf"))
    equal, record = (importlib.import_module(name) for name in ("gpu_equal", "gpu_record"))
    figures = list(equal.measure(record.Settings("cuda", tiny=True)))
    assert len(figures) > 15
    assert [one.name for one in figures if not one.met] == []


def test_what_meets_on_two_devices_is_told(gpu):
    there, here = torch.arange(6.0, device="cuda").view(2, 3), torch.arange(6.0).view(2, 3)
    assert there.device.type == "cuda" and here.device.type == "cpu"
    mixed: dict[str, Any] = {
        "product": lambda: there @ here.T,
        "sum": lambda: here + there,
        "joined": lambda: torch.cat([there, here]),
        "masked": lambda: torch.where(here > 2, there, 0.0),
        "an index that a CPU cannot read": lambda: here[torch.tensor([0], device="cuda")],
        "weights": lambda: torch.nn.Linear(3, 2)(there),
    }
    for name, work in mixed.items():
        with pytest.raises(RuntimeError, match="on the same device"):
            work()
            pytest.fail(name)
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    # as CUDA allows it
    assert (there * torch.tensor(2.0)).tolist() == [[0, 2, 4], [6, 8, 10]]
    assert there[torch.tensor([1])].tolist() == [[3, 4, 5]]
    assert here.copy_(there + 1).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert (there.cpu() + here).device.type == "cpu"


@pytest.mark.parametrize("device", ["cuda:1", "mps"])
def test_scores_on_a_device_with_a_number_or_without_float64(device, tmp_path, monkeypatch, toy):
    """The CPU's scores; an encoder's weights and audio nowhere but on the device that was meant."""
    task, data = toy({"train": 12, "valid": 4, "test": 6})
    on_cpu = evaluate(Honest(), str(task), data=data, results=tmp_path / "cpu", device="cpu",
                      cache=tmp_path / "c1", readouts=["max"])  # fmt: skip
    seen, asked = set(), set()

    class Watched(Honest):
        def encode(self, waveforms, lengths):
            seen.update(str(one.device) for one in (waveforms, lengths, self.layer.weight))
            return super().encode(waveforms, lengths)

        def compute_dtype(self, device):
            asked.add(device)
            return "float32"

    whole = f"{device}:0" if device == "mps" else device
    monkeypatch.setattr("torch.cuda.is_available", lambda: device != "mps")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device=None: f"Fast {device}")
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: device == "mps")
    for name in ("torch.cuda.synchronize", "torch.mps.synchronize"):
        monkeypatch.setattr(name, lambda *_: None)
    monkeypatch.setattr("torch.cuda.device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr("torch.random.fork_rng", lambda **_: contextlib.nullcontext())
    monkeypatch.setattr("earmark.encoders.surroundings._has_mps", lambda: False)
    # and so would one that pads
    monkeypatch.setattr(
        "earmark.benchmark.embedding.collectors.encode_batches",
        lambda wants, batches, device, ahead: encode_batches(wants, batches, device, ahead=False),
    )
    with pretended_gpu(monkeypatch, whole):
        (made,) = evaluate(
            Watched(), str(task), data=data, results=tmp_path / "gpu", device=device,
            cache=tmp_path / "c2", readouts=["max"],
            shots=[2] if device == "mps" else (),  # threads would be outside of the pretence
        )  # fmt: skip
    assert made.error is None, made.run.traceback
    assert seen == {whole}
    assert asked == {device.partition(":")[0]}  # encoders know `cuda`, whatever its number
    assert made.run.device == ("Fast cuda:1" if device == "cuda:1" else f"mps {machine()}")
    for probe, score in on_cpu[0].scores.items():
        assert made.scores[probe].value == pytest.approx(score.value, abs=1e-6)
