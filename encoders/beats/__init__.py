"""BEATs: masked prediction of acoustic tokens on AudioSet (arXiv 2212.09058)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earmark.encoders.beats.network import MEL_BANDS, BeatsConfig, BeatsPass
from earmark.encoders.encoder import AudioEncoder, EncoderError
from earmark.encoders.family import name_by_sizes
from earmark.encoders.grid import grid_encoders
from earmark.encoders.kaldi import fbank_constants
from earmark.encoders.tensors import State, filled, read_file, renamed, state_of, weights_file

FILE = "BEATs_iter3_plus_AS2M.pt"
WHERE = "github.com/microsoft/unilm/tree/master/beats"
_BIAS = "self_attn.relative_attention_bias."
_POSITIONAL = "encoder.pos_conv.0."
_NAMES = {
    f"encoder.layers.0.{_BIAS}": "position_bias.",
    "encoder.layers.": "blocks.",
    "encoder.layer_norm.": "norm.",
    _POSITIONAL: "pos_conv.",
    "layer_norm.": "patch_norm.",
    "post_extract_proj.": "proj.",
    "patch_embedding.": "patch_embed.",
}
# What must hold of a checkpoint's settings for its network to be this one.
_FIXED: dict[str, Any] = {
    "layer_norm_first": False, "relative_position_embedding": True, "gru_rel_pos": True,
    "activation_fn": "gelu",
}  # fmt: skip
# Of the published models alike; some of the rest differs or is stated only in their files.
_SIZES = (
    "input_patch_size", "embed_dim", "encoder_layers", "encoder_embed_dim",
    "encoder_ffn_embed_dim",
)  # fmt: skip


def load(outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    """BEATs of any iteration, pre-trained or fine-tuned (without its classifier).

    weights: a published `.pt` file, or a folder with BEATs_iter3_plus_AS2M.pt. Raises EncoderError
    without it, and for a file that cannot be read or does not fit.
    """
    path = weights_file("beats", weights, (FILE,), WHERE)
    content = read_file(path)
    config = config_of(content, path)
    state = own_state(state_of(content, path, "model"))
    network = filled(lambda: BeatsPass(config), state, str(path))
    published = dataclasses.asdict(BeatsConfig())
    shown = name_by_sizes(
        "beats",
        {key: network.facts[key] for key in _SIZES},
        {key: published[key] for key in _SIZES},
    )
    return grid_encoders(network, shown, outputs)


def config_of(content: Any, path: Path) -> BeatsConfig:
    """The settings in a file. Raises EncoderError."""
    facts = content.get("cfg") if isinstance(content, Mapping) else None
    if not isinstance(facts, Mapping):
        raise EncoderError(
            f"{path} must hold a dictionary with `cfg` and `model`: it is none of BEATs' files"
        )
    if other := {key: facts.get(key) for key, value in _FIXED.items() if facts.get(key) != value}:
        raise EncoderError(
            f"{path}: its settings {', '.join(f'{key} {other[key]}' for key in other)} are of "
            "another network than the published ones of BEATs"
        )
    wanted = {field.name: field for field in dataclasses.fields(BeatsConfig)}
    if missing := [key for key in wanted if key not in facts]:
        raise EncoderError(f"{path}: its `cfg` lacks {', '.join(missing)}")
    for key, field in wanted.items():
        kind = bool if isinstance(field.default, bool) else int
        if type(facts[key]) is not kind or facts[key] < (kind is int):
            raise EncoderError(f"{path}: {key} of its `cfg` cannot be {facts[key]!r}")
    config = BeatsConfig(**{key: facts[key] for key in wanted})
    if (
        config.encoder_embed_dim % config.encoder_attention_heads
        or MEL_BANDS % config.input_patch_size
        or config.num_buckets < 4
        or config.max_distance <= config.num_buckets // 4
    ):
        raise EncoderError(f"{path}: the sizes in its `cfg` do not go together")
    return config


def own_state(state: State) -> State:
    """What the network needs of a checkpoint, under its names."""
    found = {
        key: tensor
        for key, tensor in state.items()
        # the classifier; and each layer names the one table of biases that all share
        if not key.startswith("predictor.")
        and (_BIAS not in key or key.startswith("encoder.layers.0."))
    }
    strength, direction = (found.pop(f"{_POSITIONAL}weight_{part}", None) for part in "gv")
    if strength is not None and direction is not None:
        norm = direction.float().pow(2).sum((0, 1), keepdim=True).sqrt()
        found[f"{_POSITIONAL}weight"] = strength.float() * direction.float() / norm
    constants = fbank_constants(MEL_BANDS)
    return renamed(found, _NAMES) | {f"fbank.{key}": value for key, value in constants.items()}
