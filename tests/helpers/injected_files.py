"""Small encoders to inject into, of any rates, and sizes that go with them."""

from __future__ import annotations

from typing import Any

import torch

from earmark import AudioEncoder, Frames
from earmark.encoders.injection.geometry import Geometry


class Spectra(AudioEncoder):
    """Log magnitudes of blocks that are centred where frames lie, by a weight for each bin."""

    name = "spectra"
    honours_lengths = True

    def __init__(
        self, sample_rate: int = 16_000, frame_rate: float = 62.5, scale: float = 30.0
    ) -> None:
        super().__init__()
        self.sample_rate, self.frame_rate, self.embedding_dim = sample_rate, frame_rate, 9
        weights = torch.linspace(0.5, 2.0, 9) * scale
        self.weights = torch.nn.Parameter(weights, requires_grad=False)

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        apart = self.sample_rate / self.frame_rate
        counts = (lengths / apart).round().long().clamp(min=1)
        centres = ((torch.arange(int(counts.max())) + 0.5) * apart).long()
        padded = torch.nn.functional.pad(waveforms, (8, int(centres[-1]) + 8))
        blocks = padded[:, centres[:, None] + torch.arange(16)]
        return Frames(self.weights * torch.fft.rfft(blocks).abs().add(1e-3).log() + 5, counts)


def sizes(**others: Any) -> Geometry:
    """A small geometry; others replace its fields."""
    values: dict[str, Any] = {
        "sample_rate": 16_000, "frame_rate": 62.5, "embed_dim": 9, "n_mels_patch": 12,
        "mel_fft": 512, "patch_frames": 2, "decoder_embed_dim": 8, "decoder_depth": 1,
        "decoder_intermediate_size": 12, "istft_n_fft": 1024, "istft_hop": 256,
        "upsample_tokens": 1,
    }  # fmt: skip
    return Geometry(**(values | others))
