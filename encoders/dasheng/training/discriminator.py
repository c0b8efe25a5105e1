"""Multi-frequency discriminator: convolutions over bands of complex STFTs.

Source: the multi-band multi-scale STFT discriminator of arXiv 2306.06546, section 3.3. Which
discriminator DashengTokenizer was trained with is known second-hand only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import cast

import torch
from torch.nn.utils.parametrizations import weight_norm

from earmark.encoders.dasheng.training.config import DiscriminatorConfig
from earmark.encoders.dasheng.training.losses import Features

SLOPE = 0.1
STRIDES = (1, 2, 2, 2, 1)  # over frequency, of the layers of one band


class MultiFrequencyDiscriminator(torch.nn.Module):
    """One `BandDiscriminator` for each window."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(
            BandDiscriminator(window, config) for window in config.windows
        )

    def forward(self, waveforms: torch.Tensor) -> list[Features]:
        """(B, T) -> for each window its layers' outputs, the verdict last."""
        return [part(waveforms) for part in self.parts]


class BandDiscriminator(torch.nn.Module):
    """Real and imaginary part of an STFT, cut into bands with a stack of convolutions each."""

    window: torch.Tensor

    def __init__(self, window: int, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        self.edges = list(itertools.pairwise(config.edges(window)))
        self.bands = torch.nn.ModuleList(_band(config.channels) for _ in self.edges)
        self.verdict = weight_norm(torch.nn.Conv2d(config.channels, 1, (3, 3), padding=(1, 1)))

    def forward(self, waveforms: torch.Tensor) -> Features:
        with torch.autocast(waveforms.device.type, enabled=False):
            size = len(self.window)
            spectrum = torch.stft(
                waveforms.float(), size, size // 4, window=self.window, return_complex=True,
                normalized=True,
            )  # fmt: skip
            parts = torch.view_as_real(spectrum).permute(0, 3, 2, 1)  # (B, 2, frames, bins)
        layers: Features = []
        last = []
        for (low, high), band in zip(self.edges, self.bands, strict=True):
            hidden = parts[..., low:high]
            for layer in cast(Iterable[torch.nn.Module], band):
                hidden = torch.nn.functional.leaky_relu(layer(hidden), SLOPE)
                layers.append(hidden)
            last.append(hidden)
        return [*layers, self.verdict(torch.cat(last, dim=3))]


def _band(channels: int) -> torch.nn.ModuleList:
    layers = []
    for number, stride in enumerate(STRIDES):
        wide = number < len(STRIDES) - 1
        kernel = (3, 9) if wide else (3, 3)
        layers.append(
            weight_norm(
                torch.nn.Conv2d(
                    2 if number == 0 else channels, channels, kernel, stride=(1, stride),
                    padding=(1, kernel[1] // 2),
                )
            )
        )  # fmt: skip
    return torch.nn.ModuleList(layers)
