"""The frozen semantic encoder: from a Dasheng file, a tokenizer or MiDashengLM."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from earmark.encoders.dasheng.checkpoint import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    fill_semantic,
    read_dasheng_file,
    read_safetensors,
    tokenizer_from,
    without_weights,
)
from earmark.encoders.dasheng.config import SemanticConfig, dasheng_config, read_tokenizer_config
from earmark.encoders.dasheng.midashenglm import midashenglm_semantic
from earmark.encoders.dasheng.semantic import SemanticPath
from earmark.encoders.dasheng.training.config import TrainingError

_WANTED = (
    f"give a Dasheng .pt file, a folder with one such file, or a folder with {CONFIG_FILE} and "
    "weights of DashengTokenizer or MiDashengLM, by --semantic or in the config"
)


def find_semantic(path: Path | None) -> Path:
    """The path, if it is one that is there. Raises TrainingError."""
    if path is None:
        raise TrainingError(
            "no semantic encoder is named; give its checkpoint by --semantic, or as `semantic` in "
            "the config"
        )
    if not path.exists():
        raise TrainingError(f"no semantic encoder at {path}: {_WANTED}")
    return path


def load_semantic(path: Path) -> tuple[SemanticPath, SemanticConfig]:
    """The semantic path of a checkpoint, frozen, with its sizes.

    path: a Dasheng `.pt` file (released, or from stage `semantic`), a folder with such a file, a
    folder with DashengTokenizer's `config.json` and `model.safetensors`, or one with MiDashengLM's
    files. Raises TrainingError where there is none of these, EncoderError where it does not fit.
    """
    if path.is_dir() and (path / CONFIG_FILE).is_file():
        kind = _model_type(path / CONFIG_FILE)
        if kind == "midashenglm":
            state, sizes = midashenglm_semantic(path)
            return _filled(state, sizes, str(path)), sizes
        config = read_tokenizer_config(path / CONFIG_FILE)
        weights = path / WEIGHTS_FILE
        tokenizer = tokenizer_from(config, read_safetensors(weights), str(weights))
        return _own(tokenizer.semantic), config.semantic
    files = sorted(path.glob("*.pt")) if path.is_dir() else [path]
    if len(files) != 1 or not files[0].is_file():
        found = f"{len(files)} .pt files" if path.is_dir() else "no file"
        raise TrainingError(f"no semantic encoder at {path}, but {found}: {_WANTED}")
    state, values = read_dasheng_file(files[0])
    sizes = dasheng_config(values, SemanticConfig(), str(files[0]))
    return _filled(state, sizes, str(files[0])), sizes


def _filled(state: dict[str, torch.Tensor], sizes: SemanticConfig, where: str) -> SemanticPath:
    path = without_weights(lambda: SemanticPath(sizes))
    fill_semantic(path, state, where)
    return _own(path)


def _own(path: SemanticPath) -> SemanticPath:
    """Out of the mapped file: training moves and saves it."""
    tensors = {name: tensor.clone() for name, tensor in path.state_dict().items()}
    path.load_state_dict(tensors, assign=True)
    return path.requires_grad_(False).eval()


def _model_type(path: Path) -> str:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read as JSON: {error}") from error
    return str(values.get("model_type", "")) if isinstance(values, dict) else ""
