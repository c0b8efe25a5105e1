"""Small models with random weights, saved as their publishers save the large ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from snac import SNAC

TRANSFORMER: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
LAYER_NORM: dict[str, Any] = {
    "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True,
}  # fmt: skip
DAC: dict[str, Any] = {
    "encoder_hidden_size": 8, "decoder_hidden_size": 32, "n_codebooks": 3, "codebook_size": 16,
    "codebook_dim": 4, "downsampling_ratios": [2, 4, 8, 8], "sampling_rate": 44_100,
}  # fmt: skip
SNAC_CONFIG: dict[str, Any] = {
    "sampling_rate": 24_000, "encoder_dim": 8, "encoder_rates": [2, 4, 8, 8], "decoder_dim": 32,
    "decoder_rates": [8, 8, 4, 2], "attn_window_size": None, "codebook_size": 16,
    "codebook_dim": 4, "vq_strides": [4, 2, 1], "noise": True, "depthwise": True,
}  # fmt: skip


def build(name: str) -> Any:
    """A model of the family called `name`, in eval mode; `NAME-group` is one with group norm."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformer(name) or codec(name)
        for key, tensor in model.named_buffers():
            # codebooks start at zero, at which every code is the same
            if key.endswith(("codebook.embed", "embed_sum")):
                tensor.copy_(torch.randn(tensor.shape))
    return model.eval()


def transformer(name: str) -> Any:
    """The encoder called `name`, or None."""
    t = transformers
    if name == "whisper-base":
        config = t.WhisperConfig(
            d_model=32, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=48,
            decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=48, vocab_size=64,
            num_mel_bins=80, pad_token_id=0, bos_token_id=1, eos_token_id=2,
            decoder_start_token_id=3,
        )  # fmt: skip
        return t.WhisperModel(config)
    if name == "wav2vec2":
        return t.Wav2Vec2Model(t.Wav2Vec2Config(**TRANSFORMER, **LAYER_NORM))
    if name == "wav2vec2-group":
        return t.Wav2Vec2Model(t.Wav2Vec2Config(**TRANSFORMER))
    if name == "hubert-large":
        return t.HubertModel(t.HubertConfig(**TRANSFORMER, **LAYER_NORM))
    if name == "wavlm-large":
        return t.WavLMModel(t.WavLMConfig(**TRANSFORMER, **LAYER_NORM))
    if name == "data2vec":
        sizes = TRANSFORMER | {"num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 19}
        return t.Data2VecAudioModel(t.Data2VecAudioConfig(**sizes))
    return None


def codec(name: str) -> Any:
    """The codec called `name`; SNAC where it is none of the others."""
    t = transformers
    if name == "encodec":
        return t.EncodecModel(
            t.EncodecConfig(
                num_filters=4, hidden_size=16, codebook_size=16, target_bandwidths=[0.3, 0.9]
            )
        )
    if name == "dac":
        return t.DacModel(t.DacConfig(**DAC))
    if name == "mimi":
        config = t.MimiConfig(
            hidden_size=32, num_filters=4, codebook_size=16, codebook_dim=16,
            vector_quantization_hidden_dimension=16, num_quantizers=4, num_hidden_layers=2,
            intermediate_size=48, num_attention_heads=4, num_key_value_heads=4,
            sliding_window=20, upsample_groups=32,
        )  # fmt: skip
        return t.MimiModel(config)
    if name == "xcodec":
        acoustic = DAC | {"downsampling_ratios": [8, 5, 4, 2], "sampling_rate": 16_000}
        semantic = t.HubertConfig(**TRANSFORMER)
        return t.XcodecModel(
            t.XcodecConfig(
                acoustic_model_config=t.DacConfig(**acoustic),
                semantic_model_config=semantic,
                codebook_size=16,
                target_bandwidths=[0.2, 0.8],
            )
        )
    return SNAC(**SNAC_CONFIG)


def save(name: str, folder: Path) -> Any:
    """Build a model and save it in `folder`; returns it."""
    model = build(name)
    if name == "snac":
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(SNAC_CONFIG))
        save_file(model.state_dict(), folder / "model.safetensors")
        return model
    model.save_pretrained(folder)
    if name == "whisper-base":
        transformers.WhisperFeatureExtractor().save_pretrained(folder)
    elif name not in ("encodec", "dac", "mimi", "xcodec"):
        transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return model
