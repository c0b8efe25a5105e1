"""Samples in frames: a clip cut into blocks of equal length, and put together again."""

from __future__ import annotations

import torch

from earmark.encoders.encoder import Frames


def to_blocks(waveforms: torch.Tensor, lengths: torch.Tensor, size: int) -> Frames:
    """(B, T) samples -> (B, F, size), zeros after a clip's end, its last block filled up."""
    own = torch.arange(waveforms.shape[1], device=waveforms.device) < lengths[:, None]
    audio = waveforms.float().where(own, 0.0)
    counts = -(-lengths // size)
    missing = int(counts.max()) * size - audio.shape[1]  # negative: the batch is wider, cut
    padded = torch.nn.functional.pad(audio, (0, missing))
    return Frames(padded.unflatten(1, (-1, size)), counts)


def from_blocks(frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, F, size) -> (B, F x size) samples and each clip's own number of them."""
    return frames.values.flatten(1), frames.lengths * frames.values.shape[2]
