"""CED's network: log-mel patches of 16 x 16 through a pre-norm vision transformer.

Source: Dinkel et al., Consistent ensemble distillation for audio tagging (arXiv 2308.11957); sizes
and settings from its code (RicherMans/CED, models/audiotransformer.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from earmark.encoders.dasheng.mel import MelSpectrogram, frame_counts, own_samples
from earmark.encoders.dasheng.transformer import NORM_EPS, Block
from earmark.encoders.grid import GridPass

SAMPLE_RATE = 16_000  # Hz
HOP = 160  # samples between mel frames: 10 ms
FFT = 512  # samples of window and FFT
MEL_BANDS = 64
PATCH = 16  # mel frames, and mel bands
HEAD_WIDTH = 64  # of each head of attention, in all four models
POWER_FLOOR = 1e-10
DYNAMIC_RANGE = 120.0  # dB below a clip's maximum
SHORTEST = (PATCH - 1) * HOP  # samples: one column, as the spectrogram is centred


@dataclass(frozen=True)
class CedConfig:
    """Sizes. width: of a token. depth: blocks. columns: places in time that are learned."""

    width: int
    depth: int = 12
    columns: int = 63

    def facts(self) -> dict[str, int]:
        """The sizes by name."""
        return dataclasses.asdict(self)


class CedPass(GridPass):
    """16 kHz -> 6.25 columns a second of 4 bands.

    Longer clips are cut into pieces of as many columns as places in time are learned, 63: 10.08 s.
    (The released code cuts after 10.12 s, of which 4 mel frames are lost; it is made for tagging.)
    """

    sample_rate = SAMPLE_RATE
    hop = HOP
    patch = PATCH
    bands = MEL_BANDS // PATCH

    def __init__(self, config: CedConfig) -> None:
        super().__init__()
        self.width, self.layers = config.width, config.depth
        self.piece_columns = config.columns
        self.facts = config.facts()
        self.mel = MelSpectrogram(FFT, MEL_BANDS, power=2)
        self.band_norm = torch.nn.BatchNorm1d(MEL_BANDS)
        self.patch_embed = torch.nn.Conv2d(1, config.width, PATCH, stride=PATCH)
        self.time_pos_embed = torch.nn.Parameter(torch.empty(1, config.width, 1, config.columns))
        self.freq_pos_embed = torch.nn.Parameter(torch.empty(1, config.width, self.bands, 1))
        self.blocks = torch.nn.ModuleList(
            Block(config.width, config.width // HEAD_WIDTH) for _ in range(config.depth)
        )
        self.norm = torch.nn.LayerNorm(config.width, eps=NORM_EPS)

    def spectrograms(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
        """Each clip's (N, 64) normalised dB: 10 log10 of the power (floor 1e-10), clamped to 120 dB
        below the clip's maximum, then the affine map that batch norm is at inference.
        """
        waveforms, lengths = own_samples(waveforms, lengths, SHORTEST)
        mel = self.mel(waveforms, lengths)
        found = []
        for clip, count in zip(mel, frame_counts(lengths).tolist(), strict=True):
            decibels = 10 * clip[:count].clamp(min=POWER_FLOOR).log10()
            decibels = decibels.clamp(min=decibels.max() - DYNAMIC_RANGE)
            found.append(self.band_norm(decibels))
        return found

    def states(
        self, frames: torch.Tensor, layers: Sequence[int]
    ) -> tuple[torch.Tensor, Mapping[int, torch.Tensor]]:
        patches = self.patch_embed(frames.transpose(1, 2)[:, None])  # (B, D, bands, columns)
        columns = patches.shape[3]
        patches = patches + self.time_pos_embed[..., :columns] + self.freq_pos_embed
        tokens = patches.flatten(2).transpose(1, 2)  # band after band
        hidden = {0: tokens}
        for number, block in enumerate(self.blocks, 1):
            tokens = block(tokens, None)
            hidden[number] = tokens
        wanted = {number: self._grid(hidden[number]) for number in layers}
        return self._grid(self.norm(tokens)), wanted

    def _grid(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, bands x columns, D) -> (B, columns, bands, D)."""
        grid: torch.Tensor = tokens.unflatten(1, (self.bands, -1)).transpose(1, 2)
        return grid
