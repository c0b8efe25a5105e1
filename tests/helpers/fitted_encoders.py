"""Encoders of bounded lengths, of one vector a clip and of varying rates, simple enough by hand."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import torch

from earmark.encoders import AudioEncoder, Frames

RATE = 1000


class TenHertz(AudioEncoder):
    """Mean and loudness of every 100 ms; refuses what its attributes say that it cannot take."""

    name, sample_rate, embedding_dim, frame_rate = "ten", RATE, 2, 10.0

    def __init__(self, **attributes: object) -> None:
        super().__init__()
        self.seen: deque[list[int]] = deque()  # what is not plain is in no fingerprint
        for name, value in attributes.items():
            setattr(self, name, value)

    def taken(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> None:
        self.seen.append(lengths.tolist())
        least = self.fixed_seconds or self.min_seconds or 0
        most = self.fixed_seconds or self.max_seconds or 1e9
        if bool((lengths < least * RATE).any()) or bool((lengths > most * RATE).any()):
            raise RuntimeError(f"cannot take {lengths.tolist()}")
        if waveforms.shape[1] != int(lengths.max()):
            raise RuntimeError(f"{waveforms.shape[1]} samples for {lengths.tolist()}")

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        self.taken(waveforms, lengths)
        frames = (lengths // 100).clamp(min=1)
        missing = max(0, int(frames.max()) * 100 - waveforms.shape[1])
        padded = torch.nn.functional.pad(waveforms, (0, missing))
        blocks = padded[:, : int(frames.max()) * 100].reshape(len(waveforms), -1, 100)
        return Frames(torch.stack([blocks.mean(dim=2), blocks.abs().mean(dim=2)], dim=2), frames)


class OneVector(TenHertz):
    """Sum of squares over the number of samples that it is given, and the largest: (B, 1, 2)."""

    name, frame_rate = "one vector", None  # type: ignore[assignment]

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        self.taken(waveforms, lengths)
        squares = waveforms.square().sum(dim=1) / lengths
        values = torch.stack([squares, waveforms.amax(dim=1)], dim=1)[:, None]
        return Frames(values, torch.ones_like(lengths))


class Both(TenHertz):
    """A scene beside the frames: the first sample, the last that it is given, and seconds."""

    name, scene_dim = "both", 3

    def encode_scene(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        self.taken(waveforms, lengths)
        last = waveforms.gather(1, lengths[:, None] - 1)[:, 0]
        return torch.stack([waveforms[:, 0], last, lengths / RATE], dim=1)


class SevenFrames(TenHertz):
    """Seven frames of whatever it is given: the mean of each seventh of its samples."""

    name, frame_rate_varies = "seven", True

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        self.taken(waveforms, lengths)
        rows = []
        for wave, length in zip(waveforms, lengths.tolist(), strict=True):
            edges = [round(i * length / 7) for i in range(8)]
            rows.append([wave[a : max(b, a + 1)].mean() for a, b in pairwise(edges)])
        means = torch.tensor(rows)
        return Frames(torch.stack([means, means.abs()], dim=2), torch.full_like(lengths, 7))
