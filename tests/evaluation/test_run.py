"""The Python face: what `evaluate` does with what it is given."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from earmark import RunSettings, evaluate
from earmark.benchmark.identity.behaviour import Behaviour
from earmark.encoders import AudioEncoder, Frames

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


def test_a_callers_model_is_given_back_as_it_was(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # what is on "meta" cannot be moved to the run's device once more
    monkeypatch.setattr(
        "earmark.benchmark.conformance.preflight.Preflight.check", lambda *_, **__: None
    )
    monkeypatch.setattr(
        "earmark.benchmark.identity.fingerprint.behaviours",
        lambda ones, *_, **__: {ones[0]: Behaviour({}, 0, {})},
    )
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


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("workers", 0, "workers must be a whole number above 0, not 0"),
        ("workers", 2.0, "workers must be a whole number above 0, not 2.0"),
        ("workers", True, "workers must be a whole number above 0, not True"),
        ("limit", 0, "limit must be a whole number above 0, not 0"),
        ("limit", -5, "limit must be a whole number above 0, not -5"),
        ("limit", "all", "limit must be a whole number above 0, not 'all'"),
        ("batch_seconds", 0, "batch_seconds must be a number above 0, not 0"),
        ("batch_seconds", float("nan"), "batch_seconds must be a number above 0, not nan"),
        ("batch_seconds", float("inf"), "batch_seconds must be a number above 0, not inf"),
        ("batch_seconds", "120", "batch_seconds must be a number above 0, not '120'"),
        ("device", "gpu", "device must be auto, cpu, cuda, cuda:N or mps, not 'gpu'"),
        ("seeds", 0, "seeds must be a whole number above 0, not 0"),
        ("seeds", 1.5, "seeds must be a whole number above 0, not 1.5"),
        ("failed_share", 1.01, "failed_share must be a share from 0 to 1, not 1.01"),
        ("failed_share", -0.01, "failed_share must be a share from 0 to 1, not -0.01"),
        ("failed_share", float("nan"), "failed_share must be a share from 0 to 1, not nan"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(
    settings: dict[str, Any], setting: str, value: object, said: str
) -> None:
    with pytest.raises(ValueError) as caught:
        evaluate("logmel", **settings | {setting: value})
    assert str(caught.value) == said
    assert not settings["results"].exists()


def test_the_least_that_can_be_set_runs(settings: dict[str, Any]) -> None:
    least = {"workers": 1, "limit": 2, "batch_seconds": 1, "seeds": 1, "failed_share": 0}
    (result,) = evaluate("logmel", **settings | least)
    assert (result.status, result.data.clips) == ("done", 6)


def test_a_folder_called_synthetic_is_a_folder(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder: Path = settings["data"]
    monkeypatch.chdir(folder.parent)
    folder.rename("synthetic")
    for data in (Path("synthetic"), Path("./synthetic"), "./synthetic", "synthetic/"):
        (result,) = evaluate("logmel", **settings | {"data": data})
        assert (result.status, result.synthetic) == ("done", False)
        words = shlex.split(result.command)
        assert words[words.index("--data") + 1] != "synthetic"  # it makes the same cell again


def test_the_word_synthetic_is_no_folder(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARMARK_DATA", "synthetic")
    assert RunSettings().is_synthetic
    assert RunSettings(data="synthetic").is_synthetic
    (result,) = evaluate("logmel", **settings | {"data": "synthetic"})
    assert (result.status, result.synthetic) == ("failed", True)
    assert "no synthetic twin" in str(result.error)
