"""An encoder with acoustic detail injected: three latents from one pass, and sound from each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from earmark.encoders.dasheng.tokenizer import ACOUSTIC, OUTPUTS, SEMANTIC, UNIFIED
from earmark.encoders.encoder import AudioEncoder, Codec, EncoderError, Frames
from earmark.encoders.injection.parts import Parts
from earmark.encoders.shared import OutputEncoder, SharedPass


class InjectedEncoder(SharedPass):
    """The frozen encoder and what was trained on it.

    Its outputs are "" (the sum), "semantic" (the encoder's own frames, scaled) and "acoustic". All
    have as many frames as the encoder gives.
    """

    def __init__(self, encoder: AudioEncoder, parts: Parts) -> None:
        super().__init__()
        self.encoder = encoder
        self.parts = parts

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        """One pass of the frozen encoder. Raises EncoderError for an output that is not there."""
        unknown = set(outputs) - set(OUTPUTS)
        if unknown:
            raise EncoderError(f"there is no output {min(unknown)!r}; there are {OUTPUTS}")
        frames = self.encoder.encode(waveforms, lengths)
        found: dict[str, torch.Tensor] = {}
        if UNIFIED in outputs or SEMANTIC in outputs:
            found[SEMANTIC] = self.parts.scaled(frames.values)
        if UNIFIED in outputs or ACOUSTIC in outputs:
            first = torch.zeros(len(waveforms), dtype=torch.long, device=waveforms.device)
            places = self.parts.geometry.places(frames.values.shape[1], first)
            found[ACOUSTIC] = self.parts.acoustic(waveforms, lengths, places)
        if UNIFIED in outputs:
            found[UNIFIED] = found[SEMANTIC] + found[ACOUSTIC]
        return {output: Frames(found[output], frames.lengths) for output in outputs}


class InjectedCodec(OutputEncoder, Codec):
    """One latent of an injected encoder, with the decoder that was trained for one of them."""

    def __init__(self, network: InjectedEncoder, output: str, name: str, facts: Any) -> None:
        super().__init__(network, output)
        encoder, geometry = network.encoder, network.parts.geometry
        self.name = f"{name}:{output}" if output else name
        self.sample_rate = geometry.sample_rate
        self.frame_rate = geometry.frame_rate
        self.embedding_dim = geometry.embed_dim
        self.honours_lengths = encoder.honours_lengths
        self.min_seconds, self.max_seconds = encoder.min_seconds, encoder.max_seconds
        self.fixed_seconds = encoder.fixed_seconds
        self.libraries = encoder.libraries  # type: ignore[misc]
        self.config = {"output": output, "injection": facts, "encoder": encoder.config}

    def compute_dtype(self, device: str) -> str:
        assert isinstance(self.shared, InjectedEncoder)
        return self.shared.encoder.compute_dtype(device)

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        assert isinstance(self.shared, InjectedEncoder)
        lengths = frames.lengths.to(frames.values.device)
        own = torch.arange(frames.values.shape[1], device=lengths.device) < lengths[:, None]
        # what lies beyond a clip's end may be NaN
        values = frames.values.float().masked_fill(~own[:, :, None], 0.0)
        return self.shared.parts.decode(values, lengths)
