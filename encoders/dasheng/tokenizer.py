"""DashengTokenizer: z = z_semantic + z_acoustic, and back to a waveform (arXiv 2602.23765)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from earmark.encoders.dasheng.acoustic import AcousticPath
from earmark.encoders.dasheng.config import TokenizerConfig
from earmark.encoders.dasheng.decoder import Decoder
from earmark.encoders.dasheng.mel import own_samples, token_counts
from earmark.encoders.dasheng.precision import autocast
from earmark.encoders.dasheng.semantic import SemanticPath
from earmark.encoders.encoder import EncoderError, Frames
from earmark.encoders.shared import SharedPass

UNIFIED, SEMANTIC, ACOUSTIC = "", "semantic", "acoustic"
OUTPUTS = (UNIFIED, SEMANTIC, ACOUSTIC)
# The acoustic path's reflection of 512 samples needs one more than that; 480 would make a token.
SHORTEST = 513  # samples


class DashengTokenizer(SharedPass):
    """The network. Its outputs are "" (z, the sum), "semantic" and "acoustic".

    All three have as many frames as the acoustic path: 25 a second, at least one. Every clip's
    frames are its own, whatever else is in the batch.

    precision: of the matrix products on a GPU, see `precision.PRECISIONS`.
    """

    def __init__(self, config: TokenizerConfig, precision: str = "auto") -> None:
        super().__init__()
        self.precision = precision
        self.frame_samples = config.frame_samples
        self.semantic = SemanticPath(config.semantic)
        self.acoustic = AcousticPath(config)
        self.decoder = Decoder(config)

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        """Run each path that the wanted outputs need, once. Raises EncoderError for others."""
        unknown = set(outputs) - set(OUTPUTS)
        if unknown:
            raise EncoderError(f"DashengTokenizer has no output {min(unknown)!r}; it has {OUTPUTS}")
        waveforms, lengths = own_samples(waveforms, lengths, SHORTEST)
        frames = token_counts(lengths)
        counts = frames.tolist()
        values: dict[str, torch.Tensor] = {}
        with autocast(waveforms.device, self.precision):
            if UNIFIED in outputs or ACOUSTIC in outputs:
                values[ACOUSTIC] = self.acoustic(waveforms, lengths, max(counts))
            if UNIFIED in outputs or SEMANTIC in outputs:
                values[SEMANTIC] = self.semantic(waveforms, lengths, counts)
        if UNIFIED in outputs:
            values[UNIFIED] = values[SEMANTIC] + values[ACOUSTIC]
        return {output: Frames(values[output], frames) for output in outputs}

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        """z -> waveforms (B, T) float32 at 16 kHz, and lengths (B,), 640 samples a frame."""
        lengths = frames.lengths.to(frames.values.device)
        with autocast(frames.values.device, self.precision):
            waveforms = self.decoder(frames.values.float(), lengths)
        return waveforms, lengths * self.frame_samples
