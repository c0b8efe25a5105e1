"""Neural codecs through `transformers`: EnCodec, DAC, Mimi and X-Codec.

Sources: Défossez et al. 2022 (arXiv 2210.13438), Kumar et al. 2023 (2306.06546), Défossez et al.
2024 (2410.00037), Ye et al. 2024 (2408.17175).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from earmark.encoders.baselines.checkpoint import (
    Checkpoint,
    UnfitError,
    check_loaded,
    forget_place,
    load_checkpoint,
    plain_config,
    shown_name,
)
from earmark.encoders.baselines.codec import CodecPass, codec_encoders
from earmark.encoders.encoder import AudioEncoder


class EncodecPass(CodecPass):
    """A causal codec; the 48 kHz model, which is stereo and scales its input, is refused."""

    def __init__(self, model: Any) -> None:
        config = model.config
        if config.audio_channels != 1 or config.normalize or config.chunk_length_s:
            raise UnfitError("it is not the mono model without scaling (encodec_24khz)")
        super().__init__(
            sample_rate=config.sampling_rate,
            hop=config.hop_length,
            embedding_dim=config.hidden_size,
            facts=plain_config(config),
        )
        self.model = model

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.encoder(audio[:, None])
        return found

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        # without a bandwidth: every codebook
        codes = self.model.quantizer.encode(latents)
        found: torch.Tensor = self.model.quantizer.decode(codes)
        return found

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.decoder(latents)
        return found[:, 0]


class DacPass(CodecPass):
    """A codec of symmetric convolutions, for audio of whole hops (zeros fill the last)."""

    def __init__(self, model: Any) -> None:
        config = model.config
        super().__init__(
            sample_rate=config.sampling_rate,
            hop=config.hop_length,
            embedding_dim=config.hidden_size,
            facts=plain_config(config),
            block=1,
        )
        self.model = model

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.encoder(audio[:, None])
        return found

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.quantizer(latents)[0]
        return found

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.decoder(latents)
        return found[:, 0]


class MimiPass(CodecPass):
    """A causal codec with transformers around its quantiser; its attention looks back 20 s."""

    def __init__(self, model: Any) -> None:
        config = model.config
        super().__init__(
            sample_rate=config.sampling_rate,
            hop=config.frame_size,
            embedding_dim=config.latent_dim,
            facts=plain_config(config),
        )
        self.model = model
        for module in model.modules():
            if isinstance(getattr(module, "padding_left", None), torch.Tensor):
                # left without values by the way transformers loads; these are what they stand for
                module.padding_right = int(module.padding_total) // 2
                module.padding_left = int(module.padding_total) - module.padding_right

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.encoder(audio[:, None]).latents
        return found

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        try:
            codes = self.model.quantizer.encode(latents)
            found: torch.Tensor = self.model.quantizer.decode(codes.transpose(0, 1))
        finally:
            # what a codebook keeps of its first use would stay behind as the model is moved
            for module in self.model.quantizer.modules():
                if hasattr(module, "_embed"):
                    module._embed = None
        return found

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.decoder(latents).audio_values
        return found[:, 0]


class XcodecPass(CodecPass):
    """An acoustic codec joined with HuBERT's hidden states, quantised together.

    The latent is what is quantised: both parts after the layer that mixes them.
    """

    def __init__(self, model: Any) -> None:
        from transformers.utils.output_capturing import maybe_install_capturing_hooks

        config = model.config
        super().__init__(
            sample_rate=config.sample_rate,
            hop=config.hop_length,
            embedding_dim=config.hidden_size,
            facts=plain_config(config),
            block=1,
        )
        self.model = model
        # else its first use would, and change the fingerprint
        maybe_install_capturing_hooks(model.semantic_model)

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        model, pad = self.model, (self.hop // 2, self.hop // 2)
        around = torch.nn.functional.pad(audio, pad)
        layers = model.semantic_model(around, output_hidden_states=True).hidden_states
        semantic = model.encoder_semantic(torch.stack(layers).mean(dim=0).transpose(1, 2))
        acoustic = model.acoustic_encoder(audio[:, None])
        if acoustic.shape[2] != semantic.shape[2]:
            acoustic = model.acoustic_encoder(around[:, None])
        joined = torch.cat([acoustic, semantic], dim=1).transpose(1, 2)
        found: torch.Tensor = model.fc(joined).transpose(1, 2)
        return found

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        bandwidth = self.model.config.target_bandwidths[-1]
        codes = self.model.quantizer.encode(latents, bandwidth)
        found: torch.Tensor = self.model.quantizer.decode(codes)
        return found

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        acoustic = self.model.fc2(latents.transpose(1, 2)).transpose(1, 2)
        found: torch.Tensor = self.model.acoustic_decoder(acoustic)
        return found[:, 0]


def _load(
    checkpoint: Checkpoint,
    made: type[Any],
    architecture: str,
    outputs: tuple[str, ...],
    weights: Path | None,
) -> list[AudioEncoder]:
    def load(source: str, **options: Any) -> CodecPass:
        import transformers

        model, info = getattr(transformers, architecture).from_pretrained(
            source, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
        )
        # stands for masked frames in the training of X-Codec's HuBERT
        check_loaded(info, checkpoint.name, unused=("masked_spec_embed",))
        for key, parameter in model.named_parameters():
            if key.endswith("masked_spec_embed"):
                torch.nn.init.zeros_(parameter)
        forget_place(model)
        shared: CodecPass = made(model)
        return shared

    shared = load_checkpoint(checkpoint, load, weights)
    name = shown_name(checkpoint, shared.facts["model"])
    return codec_encoders(shared, name, outputs, ("transformers",))


def load_encodec(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """EnCodec at 24 kHz, all 32 codebooks (24 kbit/s)."""
    commit = "c1dbe2ae3f1de713481a3b3e7c47f357092ee040"
    sizes = {
        "num_filters": 32, "hidden_size": 128, "codebook_size": 1024, "num_lstm_layers": 2,
        "upsampling_ratios": [8, 5, 4, 2], "sampling_rate": 24_000,
        "target_bandwidths": [1.5, 3.0, 6.0, 12.0, 24.0],
    }  # fmt: skip
    found = Checkpoint("encodec", "facebook/encodec_24khz", commit, "encodec", sizes)
    return _load(found, EncodecPass, "EncodecModel", outputs, weights)


def load_dac(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """DAC at 44.1 kHz, all 9 codebooks (8 kbit/s)."""
    sizes = {
        "encoder_hidden_size": 64, "decoder_hidden_size": 1536, "n_codebooks": 9,
        "codebook_size": 1024, "codebook_dim": 8, "downsampling_ratios": [2, 4, 8, 8],
        "sampling_rate": 44_100,
    }  # fmt: skip
    found = Checkpoint("dac", "descript/dac_44khz", None, "dac", sizes)
    return _load(found, DacPass, "DacModel", outputs, weights)


def load_mimi(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """Mimi at 24 kHz, all 32 codebooks (4.4 kbit/s)."""
    commit = "89091b3e466eb6a9d11e537bf26b144f194978f7"
    sizes = {
        "hidden_size": 512, "num_filters": 64, "num_hidden_layers": 8, "num_attention_heads": 8,
        "codebook_size": 2048, "codebook_dim": 256, "num_quantizers": 32, "sampling_rate": 24_000,
    }  # fmt: skip
    found = Checkpoint("mimi", "kyutai/mimi", commit, "mimi", sizes)
    return _load(found, MimiPass, "MimiModel", outputs, weights)


def load_xcodec(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """X-Codec at 16 kHz for general audio (HuBERT, balanced), all 8 codebooks (4 kbit/s)."""
    sizes = {
        "codebook_size": 1024, "sample_rate": 16_000, "semantic_model_config.hidden_size": 768,
        "semantic_model_config.num_hidden_layers": 12,
    }  # fmt: skip
    repo = "hf-audio/xcodec-hubert-general-balanced"
    found = Checkpoint("xcodec", repo, None, "xcodec", sizes)
    return _load(found, XcodecPass, "XcodecModel", outputs, weights)
