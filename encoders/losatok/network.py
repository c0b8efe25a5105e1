"""LoSATok's network (arXiv 2605.27840), made of DashengTokenizer's parts.

A frozen semantic encoder, that of MiDashengLM, is brought from 1280 dimensions to 128 by two
layers; the acoustic path, one linear layer on a mel spectrogram, by one. Their sum gives mean and
variance of a Gaussian, from which training draws; here the mean is the latent. It is decoded by
DashengTokenizer's decoder, whose upsampler starts from 128 dimensions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from earmark.encoders.dasheng.acoustic import AcousticPath
from earmark.encoders.dasheng.config import FRAME_RATE, SAMPLE_RATE, TokenizerConfig
from earmark.encoders.dasheng.decoder import Decoder
from earmark.encoders.dasheng.mel import own_samples, token_counts
from earmark.encoders.dasheng.precision import autocast, dtype_name
from earmark.encoders.dasheng.semantic import SemanticPath
from earmark.encoders.dasheng.tokenizer import SHORTEST
from earmark.encoders.encoder import AudioEncoder, Codec, Frames
from earmark.encoders.family import full_name
from earmark.encoders.shared import OutputEncoder, SharedPass

MEAN, SEMANTIC, ACOUSTIC = "", "semantic", "acoustic"


@dataclass(frozen=True)
class LoSATokConfig:
    """Sizes. tokenizer: of the parts that are DashengTokenizer's; latent: dimensions of the latent;
    inner: width between the two layers that lead there from the semantic encoder.
    """

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    latent: int = 128
    inner: int = 512

    def facts(self) -> dict[str, int]:
        """The sizes by name."""
        return dataclasses.asdict(self.tokenizer) | {"latent": self.latent, "inner": self.inner}


class LatentDecoder(Decoder):
    """DashengTokenizer's decoder; its first layer takes a narrower latent."""

    def __init__(self, config: LoSATokConfig) -> None:
        super().__init__(config.tokenizer)
        self.upsampler = torch.nn.ConvTranspose1d(
            config.latent, config.tokenizer.embed_dim, self.step, stride=self.step
        )


class LoSATokPass(SharedPass):
    """Outputs "" (the mean), "semantic" and "acoustic" (the two whose sum the mean is made of).

    All at 25 Hz with as many frames as the acoustic path, at least one; every clip's frames are its
    own, whatever else is in the batch.
    """

    def __init__(self, config: LoSATokConfig, precision: str = "auto") -> None:
        super().__init__()
        self.precision = precision
        width, latent = config.tokenizer.embed_dim, config.latent
        self.semantic = SemanticPath(config.tokenizer.semantic)
        self.bottleneck = torch.nn.Sequential(
            torch.nn.Linear(width, config.inner),
            torch.nn.GELU(),
            torch.nn.Linear(config.inner, latent),
        )
        self.acoustic = AcousticPath(config.tokenizer)
        self.fc_a = torch.nn.Linear(width, latent)
        self.fc_mu = torch.nn.Linear(latent, latent)
        self.decoder = LatentDecoder(config)
        self.frame_samples = config.tokenizer.frame_samples

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        waveforms, lengths = own_samples(waveforms, lengths, SHORTEST)
        frames = token_counts(lengths)
        counts = frames.tolist()
        values: dict[str, torch.Tensor] = {}
        with autocast(waveforms.device, self.precision):
            if MEAN in outputs or ACOUSTIC in outputs:
                values[ACOUSTIC] = self.fc_a(self.acoustic(waveforms, lengths, max(counts)))
            if MEAN in outputs or SEMANTIC in outputs:
                values[SEMANTIC] = self.bottleneck(self.semantic(waveforms, lengths, counts))
            if MEAN in outputs:
                values[MEAN] = self.fc_mu(values[SEMANTIC] + values[ACOUSTIC])
        return {output: Frames(values[output].float(), frames) for output in outputs}

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents -> waveforms (B, T) float32 at 16 kHz, and lengths (B,), 640 samples a frame."""
        lengths = frames.lengths.to(frames.values.device)
        with autocast(frames.values.device, self.precision):
            waveforms = self.decoder(frames.values.float(), lengths)
        return waveforms, lengths * self.frame_samples


class LoSATokPart(OutputEncoder):
    """`losatok:semantic` (the paper's SemBo) or `losatok:acoustic`; at 25 Hz.

    No decoder was trained on either.
    """

    sample_rate = SAMPLE_RATE
    frame_rate = FRAME_RATE
    honours_lengths = True

    def __init__(self, shared: LoSATokPass, output: str, config: LoSATokConfig, name: str) -> None:
        super().__init__(shared, output)
        self.network = shared
        self.name = full_name(name, output)
        self.embedding_dim = config.latent
        self.config = config.facts()

    def compute_dtype(self, device: str) -> str:
        return dtype_name(device, self.network.precision)


class LoSATokCodec(LoSATokPart, Codec):
    """`losatok`: the mean of the latent, and back to a waveform."""

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        return self.network.decode(frames)


def encoder_of(shared: LoSATokPass, output: str, config: LoSATokConfig, name: str) -> AudioEncoder:
    """The encoder of one output, in eval mode."""
    made = LoSATokPart if output else LoSATokCodec
    return made(shared, output, config, name).eval()
