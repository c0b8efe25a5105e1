"""Oobleck, a convolutional autoencoder of waveforms (Stable Audio Open, arXiv 2407.14358).

Residual units of dilated convolutions with snake activations (arXiv 2006.08195) between strided
convolutions; weight norm is folded into the weights when they are read.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from earmark.encoders.baselines.codec import CodecPass

KERNEL = 7  # of the first, the last and the dilated convolutions
DILATIONS = (1, 3, 9)
# Of what other codecs take at once: 128 channels at the full rate are 0.4 to 0.7 GB for 30 s.
SHARE_OF_A_PASS = 4


@dataclass(frozen=True)
class OobleckConfig:
    """Sizes. channels: before the first and after each block of the encoder. strides: of its
    blocks, even. latent: dimensions of the mean. audio_channels: 1, or 2 for stereo. sample_rate:
    Hz.
    """

    channels: tuple[int, ...] = (128, 128, 256, 512, 1024)
    strides: tuple[int, ...] = (2, 4, 6, 10)
    latent: int = 128
    audio_channels: int = 1
    sample_rate: int = 24_000

    def facts(self) -> dict[str, object]:
        """The sizes by name."""
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items()}


class Snake(torch.nn.Module):
    """x + sin(alpha x)^2 / beta, with one alpha and one beta a channel, kept as logarithms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = torch.nn.Parameter(torch.empty(channels))
        self.beta = torch.nn.Parameter(torch.empty(channels))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(B, C, T) -> (B, C, T)."""
        alpha, beta = self.alpha.exp()[:, None], self.beta.exp()[:, None]
        return values + torch.sin(alpha * values).square() / (beta + 1e-9)


class ResidualUnit(torch.nn.Module):
    """x + two convolutions of it, the first dilated."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        edge = (KERNEL - 1) * dilation // 2
        self.layers = torch.nn.Sequential(
            Snake(channels),
            torch.nn.Conv1d(channels, channels, KERNEL, dilation=dilation, padding=edge),
            Snake(channels),
            torch.nn.Conv1d(channels, channels, 1),
        )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + self.layers(values)  # type: ignore[no-any-return]


class Block(torch.nn.Module):
    """Three residual units before a strided convolution, or after a transposed one."""

    def __init__(self, before: int, after: int, stride: int, *, up: bool) -> None:
        super().__init__()
        kind = torch.nn.ConvTranspose1d if up else torch.nn.Conv1d
        units = [ResidualUnit(after if up else before, dilation) for dilation in DILATIONS]
        step = [
            Snake(before),
            kind(before, after, 2 * stride, stride=stride, padding=math.ceil(stride / 2)),
        ]
        self.layers = torch.nn.Sequential(*([*step, *units] if up else [*units, *step]))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.layers(values)  # type: ignore[no-any-return]


class Half(torch.nn.Module):
    """The encoder, or with `up` the decoder: a convolution, blocks, a snake, a convolution."""

    def __init__(self, config: OobleckConfig, *, up: bool) -> None:
        super().__init__()
        widths, strides = config.channels, config.strides
        if up:
            widths, strides = widths[::-1], strides[::-1]
        blocks = [
            Block(before, after, stride, up=up)
            for before, after, stride in zip(widths, widths[1:], strides, strict=False)
        ]
        begin = config.latent if up else config.audio_channels
        # mean and deviation
        end = config.audio_channels if up else 2 * config.latent
        kernel = KERNEL if up else 3
        last = torch.nn.Conv1d(widths[-1], end, kernel, padding=kernel // 2, bias=not up)
        first = torch.nn.Conv1d(begin, widths[0], KERNEL, padding=KERNEL // 2)
        self.layers = torch.nn.Sequential(first, *blocks, Snake(widths[-1]), last)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.layers(values)  # type: ignore[no-any-return]


class OobleckPass(CodecPass):
    """The mean of the latent's Gaussian (training draws from it), and back to a waveform.

    Nothing is quantised. A stereo model gets the clip on both channels; what it decodes is the mean
    of both.
    """

    def __init__(self, config: OobleckConfig) -> None:
        super().__init__(
            sample_rate=config.sample_rate,
            hop=math.prod(config.strides),
            embedding_dim=config.latent,
            facts=config.facts(),
            block=1,
        )
        self.channels = config.audio_channels
        self.encoder = Half(config, up=False)
        self.decoder = Half(config, up=True)

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        gaussian: torch.Tensor = self.encoder(audio[:, None].expand(-1, self.channels, -1))
        return gaussian[:, : self.embedding_dim]

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        return latents

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        sound: torch.Tensor = self.decoder(latents)
        return sound.mean(dim=1)

    def _at_once(self, pieces: Sequence[torch.Tensor], step: int) -> int:
        return max(1, super()._at_once(pieces, step) // SHARE_OF_A_PASS)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
