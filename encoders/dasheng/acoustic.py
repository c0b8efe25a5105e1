"""The acoustic path: one linear layer on a mel spectrogram (arXiv 2602.23765)."""

from __future__ import annotations

import torch

from earmark.encoders.dasheng.config import ACOUSTIC_FFT, PATCH_FRAMES, TokenizerConfig
from earmark.encoders.dasheng.mel import MelSpectrogram

MAGNITUDE_FLOOR = 1e-7
NORM_EPS = 1e-5


class AcousticPath(torch.nn.Module):
    """(B, T) samples at 16 kHz -> (B, F, D) at 25 Hz."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        bands, width = config.n_mels_patch, config.embed_dim
        self.mel = MelSpectrogram(ACOUSTIC_FFT, bands, power=1)
        self.patch_embed = torch.nn.Conv2d(1, width, (bands, PATCH_FRAMES))
        self.norm = torch.nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor, count: int) -> torch.Tensor:
        """Encode clips of at least 513 samples.

        waveforms: (B, T); lengths: (B,) samples; count: tokens of the longest clip. Returns
        (B, count, D); what lies beyond a clip's own tokens is finite and without meaning.
        """
        log_mel = self.log_mel(waveforms, lengths)[:, : count * PATCH_FRAMES]
        patches = log_mel.unflatten(1, (count, PATCH_FRAMES)).transpose(2, 3).flatten(2)
        kernel = self.patch_embed.weight.flatten(1)  # (D, bands x 4)
        return self.norm(torch.nn.functional.linear(patches, kernel, self.patch_embed.bias))  # type: ignore[no-any-return]

    def log_mel(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, T) samples -> (B, N, bands) natural logarithm, always in float32."""
        mel: torch.Tensor = self.mel(waveforms, lengths)
        return mel.clamp(min=MAGNITUDE_FLOOR).log()
