"""A short X-ARES protocol, and an encoder for it."""

from __future__ import annotations

import dataclasses

import torch

from earmark.benchmark.protocol import XARES
from earmark.encoders import AudioEncoder, Frames

QUICK = dataclasses.replace(XARES, bootstrap_resamples=200)


class Tones(AudioEncoder):
    """Loudness at a few pitches, every 100 ms; columns of different size."""

    name, sample_rate, embedding_dim, frame_rate = "tones", 16_000, 8, 10.0

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        blocks = torch.nn.functional.pad(waveforms, (0, 1600)).unfold(1, 1600, 1600)
        frames = (lengths // 1600).clamp(min=1)
        power = torch.fft.rfft(blocks[:, : int(frames.max())]).abs()[:, :, 1:321]
        bands = power.reshape(*power.shape[:2], 8, 40).mean(dim=3)
        return Frames(bands * 10.0 ** torch.linspace(-1, 1, 8), frames)
