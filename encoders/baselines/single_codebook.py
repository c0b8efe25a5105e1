"""Codecs of one codebook: WavTokenizer, X-Codec 2 and NeuCodec, through transformers.

Sources: Ji et al. 2024 (WavTokenizer, arXiv 2408.16532), Ye et al. 2025 (X-Codec 2 of Llasa, arXiv
2502.04128); NeuCodec is X-Codec 2's network with a decoder for 24 kHz.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.baselines.checkpoint import (
    Checkpoint,
    load_checkpoint,
    plain_config,
    pretrained,
    shown_name,
)
from earmark.encoders.baselines.codec import QUANTISED, CodecEncoder, CodecPass
from earmark.encoders.baselines.pieces import Outputs
from earmark.encoders.baselines.scaled import ScaledCodecPass
from earmark.encoders.encoder import AudioEncoder
from earmark.encoders.kaldi import KaldiFbank, fbank_constants

WAVTOKENIZER = Checkpoint(
    "wavtokenizer", "swiss-ai/wavtokenizer-large-unify-40token", None, "wavtokenizer",
    {
        "hidden_size": 512, "codebook_size": 4096, "num_filters": 32,
        "upsampling_ratios": [6, 5, 5, 4], "decoder_hidden_size": 768, "decoder_num_layers": 12,
        "sampling_rate": 24_000,
    },
)  # fmt: skip
_XCODEC2: dict[str, Any] = {
    "hidden_size": 1024, "num_hidden_layers": 12, "encoder_hidden_size": 48,
    "downsampling_ratios": [2, 2, 4, 4, 5], "quantization_dim": 2048,
    "quantization_levels": [4] * 8, "semantic_model_config.hidden_size": 1024,
    "semantic_model_config.num_hidden_layers": 16,
}  # fmt: skip
XCODEC2 = Checkpoint(
    "xcodec2", "HKUSTAudio/xcodec2-hf", None, "xcodec2", _XCODEC2 | {"sampling_rate": 16_000}
)
NEUCODEC = Checkpoint(
    "neucodec", "neuphonic/neucodec", None, "neucodec",
    _XCODEC2 | {"input_sampling_rate": 16_000, "output_sampling_rate": 24_000},
)  # fmt: skip
BANDS, STACK = 80, 2  # of the spectrogram that the semantic encoder hears
SCALE = 2**15  # of samples, before it
VARIANCE_FLOOR = 1e-7  # as transformers' Xcodec2FeatureExtractor


class WavTokenizerPass(ScaledCodecPass):
    """Convolutions and an LSTM, one codebook; back by convolutions, attention and inverse STFT.

    Where the settings of its feature extraction say so, each clip is scaled to a peak of so many dB
    of full scale first, and decoded at that level.

    peak: that, or None where clips are not scaled.
    """

    def __init__(self, model: Any, extractor: Any) -> None:
        config = model.config
        peak = float(extractor.target_peak_dB_FS) if extractor.normalize_audio else None
        super().__init__(
            sample_rate=config.sampling_rate,
            hop=config.hop_length,
            embedding_dim=config.hidden_size,
            facts=plain_config(config) | {"peak": peak},
        )
        self.model, self.peak = model, peak
        self.entries, self.output_rate = int(config.codebook_size), self.sample_rate

    def scaled(self, clip: torch.Tensor) -> torch.Tensor:
        if self.peak is None:
            return clip
        return clip * (10 ** (self.peak / 20) / clip.abs().max().clamp(min=1e-10))

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.encoder_model.encoder(audio[:, None])
        return found

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        quantizer = self.model.encoder_model.quantizer
        found: torch.Tensor = quantizer.decode(quantizer.encode(latents))
        return found

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        # the first of its settings by bandwidth, which is the one for inference
        setting = torch.zeros(1, dtype=torch.long, device=latents.device)
        found: torch.Tensor = self.model.head(self.model.backbone(latents, setting))
        return found[:, 0]


class Xcodec2Pass(CodecPass):
    """An acoustic encoder joined with w2v-BERT's sixteenth layer; 8 scalars of 4 levels each.

    The latent is both parts after the layer that mixes them, which are projected to the scalars;
    quantised, what the scalars are projected back to. The semantic part hears Kaldi's filter bank,
    each band scaled over the clip. One zero is put at the clip's end before it is filled up to
    whole frames, as its own feature extraction does.

    NeuCodec's spectrogram has no margins: it has a frame less, and an unfinished last frame of the
    clip is dropped.
    """

    def __init__(self, model: Any, *, rate: int, output_rate: int, margins: bool) -> None:
        from transformers.utils.output_capturing import maybe_install_capturing_hooks

        config = model.config
        hop = math.prod(config.downsampling_ratios)
        super().__init__(
            sample_rate=rate,
            hop=hop,
            embedding_dim=config.quantization_dim,
            facts=plain_config(config),
        )
        self.model = model
        self.output_rate, self.entries = output_rate, math.prod(config.quantization_levels)
        self.step = hop * output_rate // rate  # samples decoded of a frame
        self.margin = hop // 2 if margins else 0
        self.fbank = KaldiFbank(BANDS)
        self.fbank.load_state_dict(fbank_constants(BANDS))
        # else its first use would, and change the fingerprint
        maybe_install_capturing_hooks(model.semantic_encoder)

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        model = self.model
        # without margins two frames are the fewest of which a spectrogram has one
        shortest = audio.shape[1] + 1 if self.margin else max(audio.shape[1] + 1, 2 * self.hop)
        whole = -(-shortest // self.hop) * self.hop
        audio = torch.nn.functional.pad(audio, (0, whole - audio.shape[1]))
        semantic = model.semantic_encoder(self._features(audio)).last_hidden_state
        semantic = model.semantic_adapter(semantic.transpose(1, 2))
        acoustic = model.acoustic_encoder(audio[:, None])
        count = min(semantic.shape[2], acoustic.shape[2])
        joined = torch.cat([semantic[:, :, :count], acoustic[:, :, :count]], dim=1)
        found: torch.Tensor = model.fc_encoder(joined.transpose(1, 2)).transpose(1, 2)
        return found

    def _features(self, audio: torch.Tensor) -> torch.Tensor:
        """(B, T) -> (B, F, 160): bands of zero mean and unit variance, two frames side by side."""
        margins = torch.nn.functional.pad(audio, (self.margin, self.margin))
        logs = self.fbank(SCALE * margins)
        scaled = (logs - logs.mean(1, keepdim=True)) / (
            logs.var(1, keepdim=True) + VARIANCE_FLOOR
        ).sqrt()
        whole = scaled.shape[1] // STACK
        stacked: torch.Tensor = scaled[:, : whole * STACK].reshape(len(audio), whole, -1)
        return stacked

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.quantizer(latents.transpose(1, 2))[0]
        return found.transpose(1, 2)

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.acoustic_decoder(latents.transpose(1, 2))
        return found[:, 0]

    def _decode(self, values: torch.Tensor, *, quantise: bool) -> Outputs:
        latents = values.float().transpose(1, 2)
        if quantise:
            latents = self.quantise(latents)
        return {"audio": self.synthesise(latents)[:, : values.shape[1] * self.step]}


class SingleCodebookEncoder(CodecEncoder):
    """A latent of a codec of one codebook; what it decodes may have a rate of its own."""

    def __init__(self, shared: WavTokenizerPass | Xcodec2Pass, family: str, output: str) -> None:
        super().__init__(shared, family, output, ("transformers",))
        if output == QUANTISED:
            self.bits_per_second = math.log2(shared.entries) * shared.sample_rate / shared.hop
        if shared.output_rate != shared.sample_rate:
            self.decoded_rate = shared.output_rate


def load_wavtokenizer(
    outputs: tuple[str, ...], *, weights: Path | None = None
) -> list[AudioEncoder]:
    """WavTokenizer, large, for speech, sound and music: 40 tokens a second."""

    def load(source: str, **options: Any) -> WavTokenizerPass:
        import transformers

        extractor = transformers.WavTokenizerFeatureExtractor.from_pretrained(source, **options)
        model = pretrained(WAVTOKENIZER, "WavTokenizerModel", source, **options)
        return WavTokenizerPass(model, extractor)

    shared = load_checkpoint(WAVTOKENIZER, load, weights)
    name = shown_name(WAVTOKENIZER, shared.facts["model"])
    return [SingleCodebookEncoder(shared, name, output) for output in dict.fromkeys(outputs)]


def load_xcodec2(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """X-Codec 2: 16 kHz, 50 tokens a second."""

    def load(source: str, **options: Any) -> Xcodec2Pass:
        model = pretrained(XCODEC2, "Xcodec2Model", source, **options)
        rate = int(model.config.sampling_rate)
        return Xcodec2Pass(model, rate=rate, output_rate=rate, margins=True)

    return _joined(XCODEC2, load, outputs, weights)


def load_neucodec(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """NeuCodec: hears 16 kHz, decodes to 24 kHz, 50 tokens a second."""

    def load(source: str, **options: Any) -> Xcodec2Pass:
        model = pretrained(NEUCODEC, "NeuCodecModel", source, **options)
        rate, output_rate = model.config.input_sampling_rate, model.config.output_sampling_rate
        return Xcodec2Pass(model, rate=rate, output_rate=output_rate, margins=False)

    return _joined(NEUCODEC, load, outputs, weights)


def _joined(
    checkpoint: Checkpoint, load: Any, outputs: Sequence[str], weights: Path | None
) -> list[AudioEncoder]:
    shared = load_checkpoint(checkpoint, load, weights)
    name = shown_name(checkpoint, shared.facts["model"])
    return [SingleCodebookEncoder(shared, name, output) for output in dict.fromkeys(outputs)]
