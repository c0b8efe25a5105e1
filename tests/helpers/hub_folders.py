"""Small models of transformers with their feature extractors, saved as on the hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as t
from tiny_models import LAYER_NORM, TRANSFORMER, build

SMALL: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
}  # fmt: skip
_TWO: dict[str, Any] = {
    "d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 16,
}  # fmt: skip
_SEQ: dict[str, Any] = _TWO | {
    "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16, "vocab_size": 64,
}  # fmt: skip
_SEW: dict[str, Any] = TRANSFORMER | {"conv_dim": [16] * 13}
_SEAMLESS: dict[str, Any] = {
    "hidden_size": 16, "vocab_size": 50, "t2u_vocab_size": 50, "unit_hifi_gan_vocab_size": 20,
    "upsample_initial_channel": 32, "unit_embed_dim": 8, "lang_embed_dim": 8, "spkr_embed_dim": 8,
    "speech_encoder_layers": 2, "speech_encoder_attention_heads": 2,
    "speech_encoder_intermediate_size": 16,
} | {
    f"{part}_{key}": value
    for part in ("encoder", "decoder", "t2u_encoder", "t2u_decoder")
    for key, value in (("layers", 1), ("ffn_dim", 8), ("attention_heads", 2))
}  # fmt: skip
_CLAP: dict[str, Any] = {
    "audio_config": {
        "hidden_size": 64, "patch_embeds_hidden_size": 8, "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 2, 2, 2], "enable_fusion": False,
    },
    "text_config": SMALL | {"vocab_size": 50}, "projection_dim": 12,
}  # fmt: skip
_ROBERTA: dict[str, Any] = {"model_type": "qwen2", "num_key_value_heads": 2, "vocab_size": 50}
_PARAKEET: dict[str, Any] = SMALL | {
    "num_attention_heads": 2, "subsampling_conv_channels": 8, "num_mel_bins": 80,
}  # fmt: skip
_MOONSHINE: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 24, "vocab_size": 40, "encoder_num_hidden_layers": 2,
    "decoder_num_hidden_layers": 1, "encoder_num_attention_heads": 2,
    "decoder_num_attention_heads": 2,
}  # fmt: skip


def _speech(kind: str, **other: Any) -> Callable[[], Any]:
    """A model over convolutions of samples."""
    sizes = TRANSFORMER | other
    return lambda: getattr(t, f"{kind}Model")(getattr(t, f"{kind}Config")(**sizes))


def _of(kind: str, config: str, sizes: dict[str, Any]) -> Callable[[], Any]:
    return lambda: getattr(t, kind)(getattr(t, config)(**sizes))


_WAVE, _MEL = t.Wav2Vec2FeatureExtractor, t.SeamlessM4TFeatureExtractor
# By a name of ours: what makes the model, and its feature extractor.
MODELS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "wav2vec2": (_speech("Wav2Vec2", **LAYER_NORM), _WAVE),
    "wav2vec2-group": (_speech("Wav2Vec2"), _WAVE),
    "wav2vec2-adapter": (_speech("Wav2Vec2", **LAYER_NORM, add_adapter=True), _WAVE),
    "hubert": (_speech("Hubert", **LAYER_NORM), _WAVE),
    "wavlm": (_speech("WavLM", **LAYER_NORM), _WAVE),
    "unispeech": (_speech("UniSpeech", **LAYER_NORM), _WAVE),
    "unispeech-sat": (_speech("UniSpeechSat", **LAYER_NORM), _WAVE),
    "conformer": (_speech("Wav2Vec2Conformer", **LAYER_NORM), _WAVE),
    "data2vec": (
        _speech("Data2VecAudio", num_conv_pos_embeddings=5, conv_pos_kernel_size=19), _WAVE
    ),
    "sew": (_of("SEWModel", "SEWConfig", _SEW), _WAVE),
    "sew-d": (_of("SEWDModel", "SEWDConfig", _SEW), _WAVE),
    "speech-to-text": (
        _of("Speech2TextModel", "Speech2TextConfig", _SEQ | {"conv_channels": 16}),
        t.Speech2TextFeatureExtractor,
    ),
    "seamless": (_of("SeamlessM4TModel", "SeamlessM4TConfig", _SEAMLESS), _MEL),
    "moonshine": (
        _of("MoonshineModel", "MoonshineConfig", _MOONSHINE), lambda: _WAVE(do_normalize=False)
    ),
    "parakeet": (
        _of("ParakeetEncoder", "ParakeetEncoderConfig", _PARAKEET),
        lambda: t.ParakeetFeatureExtractor(feature_size=80),
    ),
    "w2v-bert": (_of("Wav2Vec2BertModel", "Wav2Vec2BertConfig", SMALL), _MEL),
    "w2v-bert-adapter": (
        _of("Wav2Vec2BertModel", "Wav2Vec2BertConfig",
            SMALL | {"add_adapter": True, "output_hidden_size": 16}), _MEL,
    ),
    "qwen2-audio": (
        lambda: t.Qwen2AudioForConditionalGeneration(
            t.Qwen2AudioConfig(audio_config=_TWO, text_config=SMALL | _ROBERTA)
        ),
        lambda: t.WhisperFeatureExtractor(feature_size=128),
    ),
    "whisper": (
        _of("WhisperForConditionalGeneration", "WhisperConfig", _SEQ | {
            "num_mel_bins": 80, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
            "decoder_start_token_id": 3,
        }), t.WhisperFeatureExtractor,
    ),
    "ast": (_of("ASTForAudioClassification", "ASTConfig", SMALL), t.ASTFeatureExtractor),
    "clap": (
        _of("ClapModel", "ClapConfig", _CLAP),
        lambda: t.ClapFeatureExtractor(truncation="rand_trunc"),
    ),
    "encodec": (lambda: build("encodec"), t.EncodecFeatureExtractor),
    "dac": (
        lambda: build("dac"), lambda: t.DacFeatureExtractor(sampling_rate=44_100, hop_length=512)
    ),
    "mimi": (lambda: build("mimi"), t.EncodecFeatureExtractor),
    "xcodec": (
        lambda: build("xcodec"),
        lambda: t.DacFeatureExtractor(sampling_rate=16_000, hop_length=320),
    ),
}  # fmt: skip


def save_hub(name: str, folder: Path) -> Path:
    """Save the model called `name` with its feature extractor in `folder`; returns that."""
    make, extractor = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = make().eval()
        for parameter in model.parameters():
            parameter.data += 0.05 * torch.randn(parameter.shape)  # larger than before training
    model.save_pretrained(folder)
    extractor().save_pretrained(folder)
    return folder
