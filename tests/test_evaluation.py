"""The Python face: what `evaluate` does with what it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark import evaluate
from encoders import AudioEncoder, Frames

Toy = Callable[..., tuple[Path, Path]]


class Lent(AudioEncoder):
    """A model in the middle of its training: a part in eval mode, one frozen, one with gradients.

    With `interrupted`, Ctrl-C comes while it encodes.
    """

    name, sample_rate, embedding_dim, frame_rate = "lent", 16_000, 4, 1.0

    def __init__(self, interrupted: bool = False) -> None:
        super().__init__()
        self.interrupted = interrupted
        self.first = torch.nn.Linear(1, 4)
        self.frozen = torch.nn.Linear(4, 4).requires_grad_(False)
        self.other = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
        self.modes: set[tuple[bool, ...]] = set()
        self.train()
        self.other[1].eval()
        self.other(self.first(torch.ones(2, 1))).sum().backward()

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        self.modes.add((self.training, self.other[0].training, torch.is_grad_enabled()))
        self.other.to("meta")  # in place of a GPU: what is there has no values
        if self.interrupted:
            raise KeyboardInterrupt
        frames = (lengths // 16_000).clamp(min=1)
        values = self.frozen(self.first(waveforms.square().mean(dim=1, keepdim=True)))
        return Frames(values[:, None].expand(-1, int(frames.max()), -1), frames)

    def state(self) -> list[Any]:
        tensors = dict(self.named_parameters()) | dict(self.named_buffers())
        return [
            [(name, module.training) for name, module in self.named_modules()],
            [(name, id(t), t.device.type, t.requires_grad) for name, t in tensors.items()],
            [t.tolist() for t in tensors.values() if t.device.type != "meta"],
            [t.grad.tolist() for t in tensors.values() if t.grad is not None],
        ]


@pytest.fixture
def settings(toy: Toy, tmp_path: Path) -> dict[str, Any]:
    """What a small run of the toy task takes."""
    task, data = toy({"train": 6, "valid": 4, "test": 4})
    return {
        "tasks": str(task), "data": data, "results": tmp_path / "results", "seeds": 1,
        "device": "cpu", "workers": 1,
    }  # fmt: skip


def test_a_callers_model_is_given_back_as_it_was(settings: dict[str, Any]) -> None:
    model = Lent()
    before = model.state()
    (result,) = evaluate(model, **settings)
    assert (result.status, model.modes) == ("done", {(False, False, False)})
    assert model.state() == before
    model.other(model.first(torch.ones(2, 1))).sum().backward()  # its training goes on


def test_it_is_given_back_after_an_interruption_too(settings: dict[str, Any]) -> None:
    model = Lent(interrupted=True)
    before = model.state()
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, **settings)
    assert model.state() == before
