"""The encoders that are measured: DashengTokenizer's three outputs, and the Dasheng family."""

from __future__ import annotations

import dataclasses

import torch

from earmark.encoders.dasheng.config import FRAME_RATE, SAMPLE_RATE, SemanticConfig, TokenizerConfig
from earmark.encoders.dasheng.mel import own_samples, token_counts
from earmark.encoders.dasheng.precision import autocast, dtype_name
from earmark.encoders.dasheng.semantic import SemanticPath
from earmark.encoders.dasheng.tokenizer import DashengTokenizer
from earmark.encoders.encoder import AudioEncoder, Codec, Frames
from earmark.encoders.shared import OutputEncoder

# One token, 4 mel frames; the spectrogram itself could do with 257.
SHORTEST = 480  # samples


class TokenizerCodec(OutputEncoder, Codec):
    """`dasheng`, `dasheng:semantic` or `dasheng:acoustic`: DashengTokenizer at 25 Hz, and back.

    Or the same of a model of another name.

    There is one decoder, trained on the sum of both paths. Decoding `dasheng:semantic` or
    `dasheng:acoustic` gives it one path alone: what that path holds of the sound for this decoder.
    """

    sample_rate = SAMPLE_RATE
    frame_rate = FRAME_RATE
    honours_lengths = True

    def __init__(
        self,
        tokenizer: DashengTokenizer,
        output: str,
        config: TokenizerConfig,
        name: str = "dasheng",
    ) -> None:
        super().__init__(tokenizer, output)
        self.name = f"{name}:{output}" if output else name
        self.embedding_dim = config.embed_dim
        self.config = dataclasses.asdict(config)

    def compute_dtype(self, device: str) -> str:
        assert isinstance(self.shared, DashengTokenizer)
        return dtype_name(device, self.shared.precision)

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        assert isinstance(self.shared, DashengTokenizer)
        return self.shared.decode(frames)


class DashengEncoder(AudioEncoder):
    """`dasheng-base`, `dasheng-0.6b`, `dasheng-1.2b` (arXiv 2406.06992), at 25 Hz."""

    sample_rate = SAMPLE_RATE
    frame_rate = FRAME_RATE
    honours_lengths = True

    def __init__(self, name: str, config: SemanticConfig, precision: str = "auto") -> None:
        super().__init__()
        self.name = name
        self.precision = precision
        self.embedding_dim = config.embed_dim
        self.config = dataclasses.asdict(config)
        self.semantic = SemanticPath(config)

    def compute_dtype(self, device: str) -> str:
        return dtype_name(device, self.precision)

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        waveforms, lengths = own_samples(waveforms, lengths, SHORTEST)
        frames = token_counts(lengths)
        with autocast(waveforms.device, self.precision):
            values = self.semantic(waveforms, lengths, frames.tolist())
        return Frames(values, frames)
