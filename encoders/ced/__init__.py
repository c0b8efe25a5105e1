"""CED: vision transformers that tag AudioSet, taught by an ensemble (arXiv 2308.11957)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from earmark.encoders.ced.network import FFT, MEL_BANDS, CedConfig, CedPass
from earmark.encoders.dasheng.mel import hann_window, htk_filters
from earmark.encoders.encoder import AudioEncoder, EncoderError
from earmark.encoders.family import name_by_sizes
from earmark.encoders.grid import grid_encoders
from earmark.encoders.tensors import (
    State,
    count_numbered,
    filled,
    read_file,
    renamed,
    state_of,
    weights_file,
)

# Of the models that are published, by name: width of a token, and the file in Zenodo's record.
MODELS = {
    "ced-tiny": (192, "audiotransformer_tiny_mAP_4814.pt"),
    "ced-mini": (256, "audiotransformer_mini_mAP_4896.pt"),
    "ced-small": (384, "audiotransformer_small_mAP_4958.pt"),
    "ced-base": (768, "audiotransformer_base_mAP_4999.pt"),
}
HUB_FILE = "model.safetensors"  # of the same models in their layout for the hub
_NAMES = {"init_bn.1.": "band_norm.", "init_bn.": "band_norm.", "patch_embed.proj.": "patch_embed."}
# The classifier, and the spectrogram's window and filters, which are computed here.
_UNUSED = ("outputlayer.", "front_end.")


def load_tiny(outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    """CED-Tiny."""
    return _load("ced-tiny", outputs, weights)


def load_mini(outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    """CED-Mini."""
    return _load("ced-mini", outputs, weights)


def load_small(outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    """CED-Small."""
    return _load("ced-small", outputs, weights)


def load_base(outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    """CED-Base."""
    return _load("ced-base", outputs, weights)


def _load(name: str, outputs: Sequence[str], weights: Path | None) -> list[AudioEncoder]:
    width, file = MODELS[name]
    path = weights_file(name, weights, (file, HUB_FILE), "zenodo.org/records/8275347")
    state = own_state(state_of(read_file(path), path, "model"))
    config = sizes(state, path)
    network = filled(lambda: CedPass(config), state, str(path))
    shown = name_by_sizes(name, config.facts(), CedConfig(width).facts())
    return grid_encoders(network, shown, outputs)


def own_state(state: State) -> State:
    """What the network needs of a checkpoint, under its names."""
    inner = {key.removeprefix("encoder."): tensor for key, tensor in state.items()}
    found = renamed({k: one for k, one in inner.items() if not k.startswith(_UNUSED)}, _NAMES)
    found |= {"mel.window": hann_window(FFT), "mel.filters": htk_filters(FFT, MEL_BANDS)}
    found.setdefault("band_norm.num_batches_tracked", torch.tensor(0))
    return found


def sizes(state: State, path: Path) -> CedConfig:
    """The sizes that the tensors' shapes tell. Raises EncoderError."""
    try:
        width, _, rows, columns = state["patch_embed.weight"].shape
        places = state["time_pos_embed"].shape[3]
    except (KeyError, ValueError, IndexError) as error:
        raise EncoderError(f"{path} is no checkpoint of CED: it lacks {error}") from error
    if (rows, columns) != (16, 16) or width % 64:
        raise EncoderError(
            f"{path}: patches of {rows} x {columns} of width {width} are none of CED's, which are "
            "16 x 16 and of whole heads of 64"
        )
    return CedConfig(width, count_numbered(state, "blocks."), places)
