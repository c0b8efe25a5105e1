"""Checkpoints: their names, reading them with every key accounted for, and writing small ones."""

from __future__ import annotations

import dataclasses
import math
import pickle
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors
import safetensors.torch
import torch

from earmark.encoders.dasheng.config import SemanticConfig, TokenizerConfig, config_json
from earmark.encoders.dasheng.mel import hann_window, htk_filters
from earmark.encoders.dasheng.semantic import SemanticPath
from earmark.encoders.dasheng.tokenizer import DashengTokenizer
from earmark.encoders.encoder import EncoderError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
SEMANTIC_FILE = "dasheng.pt"

State = Mapping[str, torch.Tensor]
Network = TypeVar("Network", bound=torch.nn.Module)

# Our modules' names, and the checkpoint's for the same: the first prefix that fits is replaced.
SEMANTIC_NAMES = {
    "mel.window": "front_end.0.spectrogram.window",
    "mel.filters": "front_end.0.mel_scale.fb",
    "band_norm.": "init_bn.1.",
    "patch_embed.": "patch_embed.proj.",
}
_TOKENIZER_NAMES = {
    **{f"semantic.{ours}": f"encoder.model.{theirs}" for ours, theirs in SEMANTIC_NAMES.items()},
    "semantic.": "encoder.model.",
    "acoustic.mel.window": "encoder.front_end.mel_spec.spectrogram.window",
    "acoustic.mel.filters": "encoder.front_end.mel_spec.mel_scale.fb",
    "acoustic.": "encoder.",
    "decoder.upsampler.": "upsampler.",
    "decoder.head.window": "decoder.head.istft.window",
}


def tokenizer_from(
    config: TokenizerConfig, state: State, where: str, precision: str = "auto"
) -> DashengTokenizer:
    """DashengTokenizer with these weights, held where `state` holds them (a mapped file, say).

    Raises EncoderError, naming `where` and the keys, unless the keys and shapes are exactly those
    of the configuration.
    """
    network = without_weights(lambda: DashengTokenizer(config, precision))
    fill_network(network, state, _TOKENIZER_NAMES, where)
    return network


def without_weights(build: Callable[[], Network]) -> Network:
    """A network whose tensors have shapes but no memory: nothing is drawn that is replaced."""
    with torch.device("meta"):
        network = build()
    network.eval().requires_grad_(False)
    return network


def fill_semantic(network: SemanticPath, state: State, where: str) -> None:
    """Give a semantic path a Dasheng file's weights; errors as in `tokenizer_from`."""
    fill_network(network, state, SEMANTIC_NAMES, where)


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """A file's tensors, mapped: read when they are used. Raises EncoderError."""
    try:
        return safetensors.torch.load_file(path, device="cpu")
    except (OSError, safetensors.SafetensorError) as error:
        raise EncoderError(f"{path} cannot be read as safetensors: {_line(error)}") from error


def read_dasheng_file(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and settings of a Dasheng `.pt` file; nothing in it is run. Raises EncoderError."""
    try:
        mapped = zipfile.is_zipfile(path)  # torch maps only files in its present format
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise EncoderError(f"{path} cannot be read as a .pt file: {_line(error)}") from error
    for key in ("model", "config"):
        if not isinstance(content, dict) or not isinstance(content.get(key), dict):
            raise EncoderError(f"{path} must hold a dictionary with `model` and `config`")
    return content["model"], content["config"]


def random_weights(
    config: TokenizerConfig | SemanticConfig, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Weights drawn at random in the checkpoint's layout: what tests and trials of speed need.

    A TokenizerConfig gives the keys of DashengTokenizer, a SemanticConfig those of a Dasheng file.
    Scales are such that no layer's output vanishes or explodes; windows and filters are the true
    ones. The same seed gives the same weights on every machine: numpy draws them, whose streams do
    not depend on the instruction set as torch's do.
    """
    if isinstance(config, TokenizerConfig):
        return draw_weights(
            without_weights(lambda: DashengTokenizer(config)), _TOKENIZER_NAMES, seed
        )
    return draw_weights(without_weights(lambda: SemanticPath(config)), SEMANTIC_NAMES, seed)


def draw_weights(
    network: torch.nn.Module, names: Mapping[str, str], seed: int
) -> dict[str, torch.Tensor]:
    """The same of any network made of these parts; names as in `fill_network`."""
    generator = np.random.default_rng(seed)
    return {
        checkpoint_name(name, names): _random_tensor(name, tensor, generator)
        for name, tensor in network.state_dict().items()
    }


def save_checkpoint(folder: Path, config: TokenizerConfig, state: State) -> Path:
    """Write DashengTokenizer's `config.json` and `model.safetensors`; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(config_json(config), encoding="utf-8")
    tensors = {name: tensor.contiguous() for name, tensor in state.items()}
    safetensors.torch.save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    return folder


def save_dasheng_file(path: Path, config: SemanticConfig, state: State) -> Path:
    """Write a Dasheng encoder's `.pt` file; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": dict(state), "config": dataclasses.asdict(config)}, path)
    return path


def export_tokenizer(
    folder: Path, config: TokenizerConfig, network: DashengTokenizer, export: str
) -> Path:
    """Write a trained network in the released layout; returns the folder.

    export: number format of its tensors, `fp16` or `fp32`.
    """
    dtype = torch.float16 if export == "fp16" else torch.float32
    state = {
        checkpoint_name(name): tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    return save_checkpoint(folder, config, {name: one.cpu() for name, one in state.items()})


def export_semantic(folder: Path, config: SemanticConfig, network: SemanticPath) -> Path:
    """Write a trained semantic encoder as a Dasheng file; returns its path."""
    state = {
        checkpoint_name(name, SEMANTIC_NAMES): tensor.detach().cpu()
        for name, tensor in network.state_dict().items()
    }
    return save_dasheng_file(folder / SEMANTIC_FILE, config, state)


def checkpoint_name(name: str, names: Mapping[str, str] = _TOKENIZER_NAMES) -> str:
    """What a checkpoint calls the tensor that our module calls `name`."""
    for ours, theirs in names.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def fill_network(
    network: torch.nn.Module, state: State, names: Mapping[str, str], where: str
) -> None:
    """Put a checkpoint's tensors in place of the network's own, without copying them.

    names: beginnings of our tensors' names -> what the checkpoint has in their place. Raises
    EncoderError, naming `where`, unless keys and shapes are exactly the network's.
    """
    wanted = {checkpoint_name(name, names): name for name in network.state_dict()}
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    faults = []
    if missing := [key for key in wanted if key not in state]:
        faults.append(f"missing {_listed(missing)}")
    if unexpected := [key for key in state if key not in wanted]:
        faults.append(f"unexpected {_listed(unexpected)}")
    if misshapen := [
        f"{key} {_shape(state[key])} for {shapes[name]}"
        for key, name in wanted.items()
        if key in state and _shape(state[key]) != shapes[name]
    ]:
        faults.append(f"misshapen {_listed(misshapen)}")
    if faults:
        raise EncoderError(f"{where} does not fit its configuration: {'; '.join(faults)}")
    tensors = {
        name: state[key].float() if state[key].is_floating_point() else state[key]
        for key, name in wanted.items()
    }
    network.load_state_dict(tensors, assign=True)
    network.requires_grad_(False)


def _shape(tensor: Any) -> tuple[int, ...] | str:
    return tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else type(tensor).__name__


def _listed(keys: Iterable[str], most: int = 5) -> str:
    """The keys in one line; of many the first few, with how many more there are."""
    keys = list(keys)
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more


def _random_tensor(name: str, like: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    """What a tensor of this name and shape may look like after training, roughly."""
    shape, kind = like.shape, name.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return torch.tensor(1)
    if kind == "window":
        return hann_window(shape[0])
    if kind == "filters":
        return htk_filters(2 * (shape[0] - 1), shape[1])
    noise = torch.from_numpy(generator.standard_normal(tuple(shape), np.float32))
    if kind == "running_mean":  # dB of mel bands
        return 5 * noise - 20
    if kind == "running_var":
        return 200 + 50 * noise.abs()
    if kind.endswith("pos_embed"):
        return 0.1 * noise
    if kind == "bias":
        return 0.1 * noise
    if len(shape) == 1:  # weights of norms, gamma
        return 1 + 0.1 * noise
    fan_in = shape[0] if "upsampler" in name else math.prod(shape[1:])
    return noise / math.sqrt(fan_in)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
