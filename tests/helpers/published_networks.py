"""The networks of the built-in encoders in their published sizes, without memory for weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_LARGE: dict[str, Any] = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096, "feat_extract_norm": "layer", "do_stable_layer_norm": True,
}  # fmt: skip


def _whisper(width: int, layers: int, heads: int, bands: int) -> torch.nn.Module:
    import transformers as t

    config = t.WhisperConfig(
        d_model=width, encoder_layers=layers, encoder_attention_heads=heads,
        encoder_ffn_dim=4 * width, num_mel_bins=bands, decoder_layers=1,
        decoder_attention_heads=heads,
    )  # fmt: skip
    return t.WhisperModel(config).encoder


def _made(name: str, **sizes: Any) -> torch.nn.Module:
    """`Hubert` -> transformers' HubertModel of a HubertConfig."""
    import transformers

    config = getattr(transformers, f"{name}Config")(**sizes)
    model: torch.nn.Module = getattr(transformers, f"{name}Model")(config)
    return model


def _snac() -> torch.nn.Module:
    from snac import SNAC

    return SNAC(
        sampling_rate=24_000, encoder_dim=48, encoder_rates=[2, 4, 8, 8], decoder_dim=1024,
        decoder_rates=[8, 8, 4, 2], attn_window_size=None, codebook_size=4096, codebook_dim=8,
        vq_strides=[4, 2, 1],
    )  # fmt: skip


def _ced(width: int) -> torch.nn.Module:
    from earmark.encoders.ced.network import CedConfig, CedPass

    return CedPass(CedConfig(width))


def _beats() -> torch.nn.Module:
    from earmark.encoders.beats.network import BeatsConfig, BeatsPass

    return BeatsPass(BeatsConfig())


def _dasheng(name: str) -> torch.nn.Module:
    from earmark.encoders.dasheng import DASHENG_MODELS, DashengEncoder

    return DashengEncoder(name, DASHENG_MODELS[name].config, "fp32")


def _tokenizer() -> torch.nn.Module:
    from earmark.encoders.dasheng import TokenizerConfig
    from earmark.encoders.dasheng.tokenizer import DashengTokenizer

    return DashengTokenizer(TokenizerConfig(), "fp32")


def _clap() -> torch.nn.Module:
    import transformers

    return transformers.ClapAudioModelWithProjection(transformers.ClapAudioConfig())


def _oobleck(name: str) -> torch.nn.Module:
    from earmark.encoders.oobleck import MODELS, OobleckPass

    return OobleckPass(MODELS[name].config)


def _midashenglm() -> torch.nn.Module:
    from earmark.encoders.dasheng import SemanticConfig
    from earmark.encoders.dasheng.midashenglm_encoder import SemanticLayersPass

    return SemanticLayersPass(SemanticConfig(), "fp32")


def _losatok() -> torch.nn.Module:
    from earmark.encoders.losatok.network import LoSATokConfig, LoSATokPass

    return LoSATokPass(LoSATokConfig(), "fp32")


def _resemblyzer() -> torch.nn.Module:
    from earmark.encoders.inwheel.resemblyzer import ResemblyzerPass

    return ResemblyzerPass()


def _musicnn() -> torch.nn.Module:
    from earmark.encoders.inwheel.musicnn import MusicnnPass

    return MusicnnPass()


def _crepe(name: str) -> torch.nn.Module:
    from earmark.encoders.inwheel.crepe import CHANNELS, CrepePass

    return CrepePass(CHANNELS[name])


# By family, those whose weights are not always at hand.
NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "dasheng": _tokenizer,
    "dasheng-base": lambda: _dasheng("dasheng-base"),
    "dasheng-0.6b": lambda: _dasheng("dasheng-0.6b"),
    "dasheng-1.2b": lambda: _dasheng("dasheng-1.2b"),
    "beats": _beats,
    "ced-tiny": lambda: _ced(192),
    "ced-mini": lambda: _ced(256),
    "ced-small": lambda: _ced(384),
    "ced-base": lambda: _ced(768),
    "midashenglm": _midashenglm,
    "losatok": _losatok,
    "losatok-kl1e-3": _losatok,
    "whisper-base": lambda: _whisper(512, 6, 8, 80),
    "whisper-large-v3": lambda: _whisper(1280, 32, 20, 128),
    "wav2vec2": lambda: _made("Wav2Vec2", conv_bias=True, **_LARGE),
    "hubert-large": lambda: _made("Hubert", conv_bias=True, **_LARGE),
    "wavlm-large": lambda: _made("WavLM", conv_bias=False, **_LARGE),
    "data2vec": lambda: _made("Data2VecAudio"),
    "mert-95m": lambda: _made("Hubert"),
    "mert-330m": lambda: _made("Hubert", conv_bias=True, **_LARGE),
    "w2v-bert": lambda: _made("Wav2Vec2Bert"),
    "ast": lambda: _made("AST"),
    "clap": _clap,
    "resemblyzer": _resemblyzer,
    "musicnn": _musicnn,
    "crepe-tiny": lambda: _crepe("crepe-tiny"),
    "crepe-full": lambda: _crepe("crepe-full"),
    "encodec": lambda: _made("Encodec"),
    "dac": lambda: _made(
        "Dac", encoder_hidden_size=64, downsampling_ratios=[2, 4, 8, 8], decoder_hidden_size=1536,
        n_codebooks=9, codebook_size=1024, codebook_dim=8, sampling_rate=44_100,
    ),
    "mimi": lambda: _made("Mimi", num_quantizers=32),
    "xcodec": lambda: _made("Xcodec"),
    "snac": _snac,
    "wavtokenizer": lambda: _made("WavTokenizer"),
    "xcodec2": lambda: _made("Xcodec2"),
    "neucodec": lambda: _made("NeuCodec"),
    "vibevoice": lambda: _made("VibeVoiceAcousticTokenizer"),
    "pocket-tts": lambda: _made("PocketTTSAudioTokenizer"),
    "uniflow-vae": lambda: _oobleck("uniflow-vae"),
    "ezaudio-vae": lambda: _oobleck("ezaudio-vae"),
    "stable-audio-vae": lambda: _oobleck("stable-audio-vae"),
}  # fmt: skip


def parameters_of(name: str) -> int:
    """Number of weights of a family's network in its published sizes."""
    with torch.device("meta"):
        network = NETWORKS[name]()
    return sum(parameter.numel() for parameter in network.parameters())
