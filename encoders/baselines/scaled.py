"""Codecs whose own feature extraction brings every clip to one loudness first."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from earmark.encoders.baselines.codec import CodecPass
from earmark.encoders.encoder import Frames


class ScaledCodecPass(CodecPass):
    """A codec that hears each clip, as a whole, at a level of its own; what it decodes has that."""

    def scaled(self, clip: torch.Tensor) -> torch.Tensor:
        """(n,) samples at the codec's level."""
        raise NotImplementedError

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        levelled = torch.zeros_like(waveforms)
        for row, clip, length in zip(levelled, waveforms, lengths.tolist(), strict=True):
            row[:length] = self.scaled(clip[:length])
        return super().encode_outputs(levelled, lengths, outputs)
