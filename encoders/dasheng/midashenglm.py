"""The audio encoder inside a MiDashengLM checkpoint: Dasheng under other names."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors
import torch

from earmark.encoders.dasheng.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from earmark.encoders.dasheng.config import (
    SEMANTIC_BANDS,
    SEMANTIC_FFT,
    SemanticConfig,
    dasheng_config,
)
from earmark.encoders.dasheng.mel import hann_window, htk_filters
from earmark.encoders.encoder import EncoderError

INDEX_FILE = "model.safetensors.index.json"
PREFIX = "audio_encoder."
_SIZES = ("embed_dim", "depth", "num_heads")
# MiDashengLM 7B's audio encoder, where its configuration does not say: that of dasheng-0.6b.
DEFAULT = SemanticConfig(1280, 32, 16)


def midashenglm_semantic(folder: Path) -> tuple[dict[str, torch.Tensor], SemanticConfig]:
    """Weights, under the names of a Dasheng file, and sizes.

    folder: its `config.json` and `model.safetensors`, or that in pieces with its index; of the
    pieces only those are opened that hold the audio encoder. Window and filters, which it does not
    hold, are the ones that Dasheng has. Raises EncoderError.
    """
    try:
        values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{folder / CONFIG_FILE} cannot be read as JSON: {error}") from error
    settings = values.get("audio_encoder_config", {}) if isinstance(values, dict) else None
    if not isinstance(settings, dict):
        raise EncoderError(f"{folder / CONFIG_FILE} has no settings of an audio encoder")
    named = {key: settings[key] for key in _SIZES if key in settings}
    sizes = dasheng_config(named, DEFAULT, str(folder / CONFIG_FILE))
    state: dict[str, torch.Tensor] = {}
    for file in named_pieces(folder):
        try:
            with safetensors.safe_open(file, framework="pt", device="cpu") as opened:
                for name in filter(lambda name: name.startswith(PREFIX), opened.keys()):
                    state[_own(name)] = opened.get_tensor(name)
        except (OSError, safetensors.SafetensorError) as error:
            raise EncoderError(f"{file} cannot be read as safetensors: {error}") from error
    if not state:
        raise EncoderError(f"{folder} holds no tensor whose name begins with {PREFIX}")
    state = {name: one for name, one in state.items() if not name.startswith("front_end.")}
    state["front_end.0.spectrogram.window"] = hann_window(SEMANTIC_FFT)
    state["front_end.0.mel_scale.fb"] = htk_filters(SEMANTIC_FFT, SEMANTIC_BANDS)
    state.setdefault("init_bn.1.num_batches_tracked", torch.tensor(0))
    return state, sizes


def _own(name: str) -> str:
    """Its name in a Dasheng file: there batch norm is the second of three modules."""
    name = name.removeprefix(PREFIX)
    return name.replace("init_bn.", "init_bn.1.", 1) if name.startswith("init_bn.") else name


def named_pieces(folder: Path) -> list[Path]:
    """The files of a folder that hold the audio encoder. Raises EncoderError."""
    index = folder / INDEX_FILE
    if not index.is_file():
        return [folder / WEIGHTS_FILE]
    try:
        places = dict(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EncoderError(f"{index} cannot be read: {error}") from error
    names = {str(file) for name, file in places.items() if name.startswith(PREFIX)}
    if any(Path(name).name != name or name == ".." for name in names):
        raise EncoderError(f"{index} names a file outside of its folder")
    return [folder / name for name in sorted(names)]
