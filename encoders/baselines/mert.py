"""MERT (Li et al. 2023, arXiv 2306.00107): HuBERT for music, at 24 kHz.

Its published repositories hold code of their own and a `.bin`. Without its CQT input and without
deep norm that code computes what HuBERT does (the "relaxed" softmax of its attention is the
softmax: what is taken off before is the same for all keys), so its tensors are put into
transformers' HubertModel and none of that code is run. A checkpoint of other settings is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.baselines.checkpoint import (
    Checkpoint,
    UnfitError,
    load_checkpoint,
    shown_name,
    source_file,
)
from earmark.encoders.baselines.layers import layer_encoders
from earmark.encoders.baselines.speech import SpeechPass
from earmark.encoders.encoder import AudioEncoder
from earmark.encoders.tensors import filled, read_file, renamed, state_of

# What must hold for its network to be HuBERT's.
_HUBERT: dict[str, Any] = {
    "feature_extractor_cqt": False, "deepnorm": False, "feat_proj_layer_norm": True,
}  # fmt: skip
# The weight norm of the positional convolution, in torch's former and present way.
_POSITIONAL = "encoder.pos_conv_embed.conv."
_NAMES = {
    f"{_POSITIONAL}weight_g": f"{_POSITIONAL}parametrizations.weight.original0",
    f"{_POSITIONAL}weight_v": f"{_POSITIONAL}parametrizations.weight.original1",
}
_SIZES: dict[str, Any] = {
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2],
}  # fmt: skip
_BASE: dict[str, Any] = _SIZES | {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072,
}  # fmt: skip
_LARGE: dict[str, Any] = _SIZES | {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096,
}  # fmt: skip


def load_95m(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """MERT-v1-95M."""
    return _load(Checkpoint("mert-95m", "m-a-p/MERT-v1-95M", None, "mert_model", _BASE),
                 outputs, weights)  # fmt: skip


def load_330m(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """MERT-v1-330M."""
    return _load(Checkpoint("mert-330m", "m-a-p/MERT-v1-330M", None, "mert_model", _LARGE),
                 outputs, weights)  # fmt: skip


def _load(
    checkpoint: Checkpoint, outputs: tuple[str, ...], weights: Path | None
) -> list[AudioEncoder]:
    shared = load_checkpoint(checkpoint, _pass, weights)
    return layer_encoders(shared, shown_name(checkpoint, shared.facts["model"]), outputs)


def _pass(source: str, **options: Any) -> SpeechPass:
    import transformers

    facts = json.loads(source_file(source, "config.json", **options).read_bytes())
    extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(source, **options)
    if facts.get("sample_rate", extractor.sampling_rate) != extractor.sampling_rate:
        raise UnfitError(
            f"its config.json says {facts['sample_rate']} Hz, its preprocessor_config.json "
            f"{extractor.sampling_rate} Hz"
        )
    path = source_file(source, "pytorch_model.bin", **options)
    state = renamed(state_of(read_file(path), path), _NAMES)
    config = _config(facts)
    # stands for masked frames in training; no frame is masked here
    state["masked_spec_embed"] = torch.zeros(config.hidden_size)
    return SpeechPass(filled(lambda: transformers.HubertModel(config), state, str(path)), extractor)


def _config(facts: dict[str, Any]) -> Any:
    """HuBERT's configuration of the same sizes. Raises UnfitError."""
    import transformers

    other = {key: facts[key] for key, value in _HUBERT.items() if facts.get(key, value) != value}
    if other:
        raise UnfitError(
            f"its config.json has {', '.join(f'{key} {value}' for key, value in other.items())}: "
            "with that it is not HuBERT's network, and its own code is not run here"
        )
    known = set(transformers.HubertConfig().to_dict()) - {
        "model_type", "architectures", "dtype", "transformers_version",
    }  # fmt: skip
    return transformers.HubertConfig(**{key: facts[key] for key in facts if key in known})
