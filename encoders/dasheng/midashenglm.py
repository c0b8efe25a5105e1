"""The audio encoder inside a MiDashengLM checkpoint: Dasheng under other names."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from earmark.encoders.dasheng.checkpoint import CONFIG_FILE
from earmark.encoders.dasheng.config import (
    SEMANTIC_BANDS,
    SEMANTIC_FFT,
    SemanticConfig,
    dasheng_config,
)
from earmark.encoders.dasheng.mel import hann_window, htk_filters
from earmark.encoders.encoder import EncoderError
from earmark.encoders.tensors import read_part

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
    state = {_own(name): one for name, one in read_part(folder, PREFIX).items()}
    state = {name: one for name, one in state.items() if not name.startswith("front_end.")}
    state["front_end.0.spectrogram.window"] = hann_window(SEMANTIC_FFT)
    state["front_end.0.mel_scale.fb"] = htk_filters(SEMANTIC_FFT, SEMANTIC_BANDS)
    state.setdefault("init_bn.1.num_batches_tracked", torch.tensor(0))
    return state, sizes


def _own(name: str) -> str:
    """Its name in a Dasheng file: there batch norm is the second of three modules."""
    return name.replace("init_bn.", "init_bn.1.", 1) if name.startswith("init_bn.") else name
