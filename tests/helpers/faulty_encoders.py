"""An encoder that keeps its word, and ways to break it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from earmark.encoders import AudioEncoder, Frames

HOP = 160


class Honest(AudioEncoder):
    """Means and extremes of each 10 ms through a layer; what the faulty ones are made from."""

    name, sample_rate, embedding_dim, frame_rate = "honest", 16_000, 8, 100.0
    honours_lengths = True

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 8)

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        frames = (lengths // HOP).clamp(min=1)
        wanted = int(frames.max()) * HOP
        short = max(0, wanted - waveforms.shape[1])
        audio = torch.nn.functional.pad(waveforms, (0, short))[:, :wanted]
        blocks = audio.reshape(len(audio), -1, HOP)
        facts = torch.stack([blocks.square().mean(2), blocks.amax(2), blocks.amin(2)], dim=2)
        return Frames(self.layer(facts), frames)


class Faulty(Honest):
    """Spoils what Honest makes; fault: how."""

    name = "faulty"

    def __init__(self, fault: Callable[..., Any], **claims: Any) -> None:
        super().__init__()
        self.fault = fault
        for claim, value in claims.items():
            setattr(self, claim, value)

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        made = super().encode(waveforms, lengths)
        found = self.fault(made.values, waveforms, lengths)
        return Frames(*found) if isinstance(found, tuple) else Frames(found, made.lengths)


def as_is(values: torch.Tensor, *_: Any) -> torch.Tensor:
    return values


def normalise(values: torch.Tensor, *_: Any) -> torch.Tensor:
    """Batch norm in train mode."""
    running = torch.zeros(8), torch.ones(8)
    found = torch.nn.functional.batch_norm(values.transpose(1, 2), *running, training=True)
    return found.transpose(1, 2)


def raising_where(wrong: Callable[[torch.Tensor], Any]) -> Callable[..., torch.Tensor]:
    """A fault that raises where the waveforms' lengths are so."""

    def fault(values: torch.Tensor, _: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        if wrong(lengths):
            raise RuntimeError(f"cannot do\n{lengths.tolist()}")
        return values

    return fault


FILE = """\
import torch
from earmark import AudioEncoder, Frames


class Mine(AudioEncoder):
    name, sample_rate, embedding_dim, frame_rate = "mine", 16_000, 2, {rate}

    def encode(self, waveforms, lengths):
        frames = (lengths // 160).clamp(min=1)
        values = waveforms[:, : int(frames.max()) * 160 : 160, None]
        {body}
        return Frames(torch.cat([values, values.square()], 2)[:, : int(frames.max())], frames)
"""


def write_encoder(folder: Path, rate: float = 100.0, body: str = "pass") -> str:
    """A file with an encoder of 100 frames a second; how to ask for it."""
    (folder / "mine.py").write_text(FILE.format(rate=rate, body=body))
    return f"{folder / 'mine.py'}:Mine"
