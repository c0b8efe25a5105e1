"""Continuous latents that speech generators were trained on: VibeVoice's and Pocket TTS's.

Sources: Peng et al. 2025 (VibeVoice, arXiv 2508.19205); for Pocket TTS the code and settings in
transformers. Nothing is quantised.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.baselines.checkpoint import (
    Checkpoint,
    UnfitError,
    forget_place,
    load_checkpoint,
    plain_config,
    pretrained,
    shown_name,
    source_file,
)
from earmark.encoders.baselines.codec import CodecPass, codec_encoders
from earmark.encoders.baselines.scaled import ScaledCodecPass
from earmark.encoders.encoder import AudioEncoder
from earmark.encoders.tensors import fetch_part, filled, read_part

_WHOLE, _ALONE = "vibevoice", "vibevoice_acoustic_tokenizer"
_TOWER = "model.audio_tower."  # the tokenizer in the whole model
VIBEVOICE = Checkpoint(
    "vibevoice", "vibevoice/VibeVoice-1.5B-hf", None, _WHOLE,
    {
        "hidden_size": 64, "num_filters": 32, "downsampling_ratios": [2, 2, 4, 5, 5, 8],
        "depths": [3, 3, 3, 3, 3, 3, 8], "kernel_size": 7, "ffn_expansion": 4,
    },
)  # fmt: skip
POCKET = Checkpoint(
    "pocket-tts", "eustlb/pocket-tts-audio-tokenizer", None, "pocket_tts_audio_tokenizer",
    {
        "latent_dim": 32, "hidden_size": 512, "num_filters": 64, "upsampling_ratios": [6, 5, 4],
        "latent_stride": 16, "num_hidden_layers": 2, "sampling_rate": 24_000,
    },
)  # fmt: skip


class VibeVoicePass(ScaledCodecPass):
    """VibeVoice's acoustic tokenizer: 64 values, 7.5 times a second.

    The latent is what the encoder gives; training, and the model itself unless it is told not to,
    adds noise of a random size. Before it is encoded a clip is scaled to -25 dB of full scale (root
    mean square), as its own feature extraction does where its settings say so: what is decoded has
    that level, not the clip's.

    level: dB, or None where clips are not scaled.
    """

    def __init__(self, model: Any, extractor: Any) -> None:
        config = model.config
        level = float(extractor.target_dB_FS) if extractor.normalize_audio else None
        super().__init__(
            sample_rate=extractor.sampling_rate,
            hop=config.hop_length,
            embedding_dim=config.hidden_size,
            facts=plain_config(config) | {"level": level},
            block=1,
        )
        self.model, self.level, self.eps = model, level, float(extractor.eps)

    def scaled(self, clip: torch.Tensor) -> torch.Tensor:
        """(n,) samples at the level; where that leaves [-1, 1], at the highest that does not."""
        if self.level is None:
            return clip
        clip = clip * (10 ** (self.level / 20) / (clip.square().mean().sqrt() + self.eps))
        peak = clip.abs().max()
        return torch.where(peak > 1, clip / (peak + self.eps), clip)

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.encode(audio[:, None], sample=False).latents
        return found.transpose(1, 2)

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        return latents

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.decode(latents.transpose(1, 2)).audio
        return found[:, 0]


class PocketPass(CodecPass):
    """Pocket TTS's audio tokenizer, which is Mimi's network with 32 values in place of codebooks.

    Causal; its attention looks back 1.25 s.
    """

    def __init__(self, model: Any) -> None:
        from transformers.utils.output_capturing import maybe_install_capturing_hooks

        config = model.config
        super().__init__(
            sample_rate=config.sampling_rate,
            hop=config.frame_size,
            embedding_dim=config.latent_dim,
            facts=plain_config(config),
        )
        self.model = model
        # else their first use would, and change the fingerprint
        maybe_install_capturing_hooks(model.encoder)
        maybe_install_capturing_hooks(model.decoder)
        for module in model.modules():
            if isinstance(getattr(module, "padding_left", None), torch.Tensor):
                # left without values by the way transformers loads; these are what they stand for
                module.padding_right = int(module.padding_total) // 2
                module.padding_left = int(module.padding_total) - module.padding_right

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.encode(audio[:, None]).latents
        return found.transpose(1, 2)

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        return latents

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.decode(latents.transpose(1, 2)).audio_values
        return found[:, 0]


def load_vibevoice(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """VibeVoice's acoustic tokenizer.

    weights: a folder with a copy of the whole model in transformers' layout, of which only the
    tokenizer is read, or of the tokenizer alone. Without: only those pieces of the whole model are
    fetched that hold it.
    """
    checkpoint = VIBEVOICE
    if weights is not None and _model_type(weights) == _ALONE:
        checkpoint = replace(checkpoint, model_type=_ALONE)
    shared = load_checkpoint(checkpoint, _vibevoice, weights)
    name = shown_name(checkpoint, shared.facts["model"])
    return codec_encoders(shared, name, outputs, ("transformers",))


def load_pocket_tts(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """Pocket TTS's audio tokenizer."""

    def load(source: str, **options: Any) -> PocketPass:
        model = pretrained(POCKET, "PocketTTSAudioTokenizerModel", source, **options)
        if model.encoder is None or model.decoder is None:
            raise UnfitError("it has an encoder or a decoder alone; both are needed")
        return PocketPass(model)

    shared = load_checkpoint(POCKET, load, weights)
    name = shown_name(POCKET, shared.facts["model"])
    return codec_encoders(shared, name, outputs, ("transformers",))


def _model_type(folder: Path) -> str:
    try:
        facts = json.loads((folder / "config.json").read_bytes())
        return str(facts.get("model_type", ""))
    except (OSError, ValueError, AttributeError):  # said where the folder is read
        return ""


def _vibevoice(source: str, **options: Any) -> VibeVoicePass:
    import transformers

    facts = json.loads(source_file(source, "config.json", **options).read_bytes())
    whole = facts.get("model_type") == _WHOLE
    if whole and not isinstance(facts.get("audio_config"), dict):
        raise UnfitError("its config.json has no audio_config: it is not in transformers' layout")
    kind = transformers.VibeVoiceAcousticTokenizerConfig
    known = set(kind().to_dict()) - {"model_type", "architectures", "transformers_version", "dtype"}
    own = facts["audio_config"] if whole else facts
    config = kind(**{key: value for key, value in own.items() if key in known})
    try:
        extractor = transformers.VibeVoiceAcousticTokenizerFeatureExtractor.from_pretrained(
            source, **options
        )
    except OSError:  # the whole model may keep it elsewhere; these are its settings
        extractor = transformers.VibeVoiceAcousticTokenizerFeatureExtractor()
    prefix = _TOWER if whole else ""
    folder = Path(source) if Path(source).is_dir() else fetch_part(source, prefix, **options)
    model = filled(
        lambda: transformers.VibeVoiceAcousticTokenizerModel(config),
        read_part(folder, prefix), str(folder),
    )  # fmt: skip
    forget_place(model)
    return VibeVoicePass(model, extractor)
