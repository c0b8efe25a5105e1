"""Telephone quantisation: what 8 bits a sample leave."""

from __future__ import annotations

import torch
import torchaudio

from earmark.encoders.anchors.blocks import from_blocks, to_blocks
from earmark.encoders.encoder import Codec, Frames

LEVELS = 256  # 8 bits


class MuLaw(Codec):
    """Mu-law companding (ITU-T G.711's curve, mu = 255, continuous) of every sample to 8 bits.

    16 kHz, 160 samples in a frame, 128 kbit/s. A frame holds the 256 levels as numbers from -1
    to 1; decoding takes the nearest level.
    """

    name = "mulaw"
    sample_rate = 16_000
    embedding_dim = 160
    frame_rate = 100.0
    honours_lengths = True
    libraries = ("torchaudio",)

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        blocks = to_blocks(waveforms, lengths, self.embedding_dim)
        codes = torchaudio.functional.mu_law_encoding(blocks.values.clamp(-1, 1), LEVELS)
        return Frames(codes.float() * (2 / (LEVELS - 1)) - 1, blocks.lengths)

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        codes = ((frames.values.float() + 1) * ((LEVELS - 1) / 2)).round().clamp(0, LEVELS - 1)
        samples = torchaudio.functional.mu_law_decoding(codes, LEVELS)
        return from_blocks(Frames(samples, frames.lengths))
