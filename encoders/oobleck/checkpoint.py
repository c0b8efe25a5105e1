"""Oobleck's weights as they are published: in stable-audio-tools' layout and in diffusers'."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from earmark.encoders.encoder import EncoderError
from earmark.encoders.oobleck.network import OobleckConfig
from earmark.encoders.tensors import State, count_numbered

# What names begin with where the autoencoder is part of a training's or a whole model's state.
_PREFIXES = ("autoencoder.", "pretransform.model.")
# The direction and the length of a weight that is normalised, in torch's present and former way.
_NORMED = (
    (".parametrizations.weight.original1", ".parametrizations.weight.original0"),
    (".weight_v", ".weight_g"),
)
_UNIT = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}  # of diffusers: our number


def own_state(state: State) -> State:
    """A checkpoint's tensors of encoder and decoder, with folded weights and under our names."""
    for prefix in _PREFIXES:
        if any(key.startswith(prefix) for key in state):
            kept = {k.removeprefix(prefix): one for k, one in state.items() if k.startswith(prefix)}
            state = kept
            break
    halves = {k: one for k, one in state.items() if k.startswith(("encoder.", "decoder."))}
    found = folded(halves)
    if any(key.startswith("encoder.conv1.") for key in found):
        found = {_renamed(key, found): tensor for key, tensor in found.items()}
    return {
        key: tensor.flatten() if key.endswith((".alpha", ".beta")) else tensor
        for key, tensor in found.items()
    }


def folded(state: State) -> State:
    """Weight norm undone: weight = length x direction / |direction|, of each first index."""
    found = dict(state)
    for direction, length in _NORMED:
        for key in [key for key in state if key.endswith(direction)]:
            name = key.removesuffix(direction)
            if (scale := found.pop(name + length, None)) is None:
                raise EncoderError(f"the checkpoint has {key}, but not {name + length}")
            values = found.pop(key).float()
            norm = values.flatten(1).norm(dim=1).view(-1, 1, 1)
            found[f"{name}.weight"] = scale.float().view(-1, 1, 1) * values / norm
    return found


def _renamed(key: str, state: State) -> str:
    """diffusers' name -> stable-audio-tools', and so ours."""
    half, rest = key.split(".", 1)
    last = count_numbered(state, f"{half}.block.") + 1
    ends = {"conv1": 0, "snake1": last, "conv2": last + 1}
    if not rest.startswith("block."):
        part, leaf = rest.split(".", 1)
        return f"{half}.layers.{ends.get(part, part)}.{leaf}"
    number, inner = rest.removeprefix("block.").split(".", 1)
    block = f"{half}.layers.{int(number) + 1}.layers"
    if unit := re.fullmatch(r"res_unit(\d)\.(\w+)\.(\w+)", inner):
        place = int(unit[1]) - 1 + (2 if half == "decoder" else 0)
        return f"{block}.{place}.layers.{_UNIT.get(unit[2], unit[2])}.{unit[3]}"
    part, leaf = inner.split(".", 1)
    places = {"snake1": 0, "conv_t1": 1} if half == "decoder" else {"snake1": 3, "conv1": 4}
    return f"{block}.{places.get(part, part)}.{leaf}"


def sizes(state: State, path: Path, sample_rate: int) -> OobleckConfig:
    """The sizes that the tensors' shapes tell. Raises EncoderError.

    sample_rate: in Hz, which no shape tells; where a `config.json` beside the file has one, that.
    """
    blocks = count_numbered(state, "encoder.layers.") - 3
    try:
        first = state["encoder.layers.0.weight"]
        steps = [state[f"encoder.layers.{i + 1}.layers.4.weight"] for i in range(blocks)]
        latent = len(state[f"encoder.layers.{blocks + 2}.weight"]) // 2
    except KeyError as error:
        raise EncoderError(f"{path} is no Oobleck autoencoder: it lacks {error}") from error
    strides = tuple(one.shape[2] // 2 for one in steps)
    if not strides or any(stride % 2 for stride in strides):
        raise EncoderError(f"{path}: strides {list(strides)}; only even ones are known")
    return OobleckConfig(
        (len(first), *(len(one) for one in steps)), strides, latent, first.shape[1],
        _rate(path) or sample_rate,
    )  # fmt: skip


def _rate(path: Path) -> int | None:
    """The sample rate that a `config.json` beside a file says; None: there is none."""
    try:
        facts: Any = json.loads((path.parent / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    rate = facts.get("sampling_rate", facts.get("sample_rate")) if isinstance(facts, dict) else None
    return rate if isinstance(rate, int) and rate > 0 else None
