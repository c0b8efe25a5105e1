"""LoSATok's published files: read as tensors alone, with every key accounted for."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.dasheng.checkpoint import fill_network, without_weights
from earmark.encoders.dasheng.config import (
    SEMANTIC_BANDS,
    SEMANTIC_FFT,
    TokenizerConfig,
)
from earmark.encoders.dasheng.mel import hann_window, htk_filters
from earmark.encoders.dasheng.precision import check_precision
from earmark.encoders.encoder import AudioEncoder, EncoderError
from earmark.encoders.family import name_by_sizes
from earmark.encoders.losatok.network import LoSATokConfig, LoSATokPass, encoder_of

REPOSITORY = "wxzyd123/LoSATok"
# By how much its latent was held to a standard Gaussian: weight of the KL divergence in training.
FILES = {"losatok": "losatok_kl1e-2.pth", "losatok-kl1e-3": "losatok_kl1e-3.pth"}
SEMANTIC_FILE = "semantic_encoder.pth"  # the frozen part by itself
HEADS = 16  # of attention; no shape tells

_FROZEN = "semantic_encoder."
_TOKENIZER = "dasheng_tokenizer."
# Our modules' names, and the checkpoint's for the same.
NAMES = {
    "semantic.mel.window": f"{_FROZEN}encoder.front_end.0.spectrogram.window",
    "semantic.mel.filters": f"{_FROZEN}encoder.front_end.0.mel_scale.fb",
    "semantic.band_norm.": f"{_FROZEN}encoder.init_bn.",
    "semantic.patch_embed.": f"{_FROZEN}encoder.patch_embed.proj.",
    "semantic.": f"{_FROZEN}encoder.",
    "bottleneck.": f"{_FROZEN}bottleneck.downsample.",
    "acoustic.mel.window": f"{_TOKENIZER}encoder.front_end.mel_spec.spectrogram.window",
    "acoustic.mel.filters": f"{_TOKENIZER}encoder.front_end.mel_spec.mel_scale.fb",
    "acoustic.": f"{_TOKENIZER}encoder.",
    "decoder.upsampler.": f"{_TOKENIZER}upsampler.",
    "decoder.head.window": f"{_TOKENIZER}decoder.head.istft.window",
    "decoder.": f"{_TOKENIZER}decoder.",
}
# What only training used: the way back from the bottleneck, and the Gaussian's variance.
_UNUSED = (f"{_FROZEN}bottleneck.upsample.", "fc_logvar.")


def load(
    outputs: Sequence[str], *, weights: Path | None = None, precision: str = "auto"
) -> list[AudioEncoder]:
    """`losatok`, `losatok:semantic` and `losatok:acoustic`: the checkpoint with KL weight 1e-2.

    weights: its `.pth` file, or a folder that holds it under its published name. Raises
    EncoderError without it (how to get the file), and for a file that cannot be read or does not
    fit.
    """
    return _load("losatok", outputs, weights, precision)


def load_kl3(
    outputs: Sequence[str], *, weights: Path | None = None, precision: str = "auto"
) -> list[AudioEncoder]:
    """The same of the checkpoint with KL weight 1e-3."""
    return _load("losatok-kl1e-3", outputs, weights, precision)


def _load(
    name: str, outputs: Sequence[str], weights: Path | None, precision: str
) -> list[AudioEncoder]:
    check_precision(precision)
    path = _file(name, weights)
    state = _with_frozen(name, _read(path), path)
    config = _sizes(state, path)
    network = without_weights(lambda: LoSATokPass(config, precision))
    fill_network(network, state, NAMES, str(path))
    shown = name_by_sizes(name, config.facts(), LoSATokConfig().facts())
    return [encoder_of(network, output, config, shown) for output in dict.fromkeys(outputs)]


def _file(name: str, weights: Path | None) -> Path:
    wanted = FILES[name]
    if weights is None:
        raise EncoderError(
            f"encoder {name!r}: {wanted} is not downloaded, as its checksum is not known here; get "
            f"it from {REPOSITORY} on the Hugging Face hub and give it by --weights {wanted}"
        )
    if weights.is_file():
        return weights
    for path in (weights / wanted, weights / "ckpts" / wanted):
        if path.is_file():
            return path
    raise EncoderError(f"encoder {name!r}: no {wanted} in {weights}; get it from {REPOSITORY}")


def _read(path: Path) -> dict[str, torch.Tensor]:
    """A file's tensors; nothing in it is run. Raises EncoderError."""
    try:
        mapped = zipfile.is_zipfile(path)  # torch maps only files in its present format
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise EncoderError(f"{path} cannot be read as a .pth file: {said}") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(one, torch.Tensor) for one in state.values()
    ):
        raise EncoderError(f"{path} must hold tensors by name, alone or as `state_dict`")
    return state


def _with_frozen(name: str, state: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """What the network needs of a checkpoint, the frozen part from its own file where it lacks."""
    if not any(key.startswith(f"{_FROZEN}encoder.") for key in state):
        beside = path.parent / SEMANTIC_FILE
        if not beside.is_file():
            raise EncoderError(
                f"encoder {name!r}: {path} lacks the semantic encoder; put {SEMANTIC_FILE} of "
                f"{REPOSITORY} beside it"
            )
        state = state | {f"{_FROZEN}{key}": tensor for key, tensor in _read(beside).items()}
    mel = f"{_FROZEN}encoder.front_end."
    kept = {key: one for key, one in state.items() if not key.startswith((*_UNUSED, mel))}
    # its own window and filters are no weights, and not in every release of the encoder
    kept[f"{mel}0.spectrogram.window"] = hann_window(SEMANTIC_FFT)
    kept[f"{mel}0.mel_scale.fb"] = htk_filters(SEMANTIC_FFT, SEMANTIC_BANDS)
    kept.setdefault(f"{_FROZEN}encoder.init_bn.num_batches_tracked", torch.tensor(0))
    return kept


def _sizes(state: dict[str, torch.Tensor], path: Path) -> LoSATokConfig:
    """The sizes that the tensors' shapes tell. Raises EncoderError."""
    blocks = f"{_FROZEN}encoder.blocks."
    convnext = f"{_TOKENIZER}decoder.backbone.convnext."
    try:
        inner, width = state[f"{_FROZEN}bottleneck.downsample.0.weight"].shape
        latent, _, step = state[f"{_TOKENIZER}upsampler.weight"].shape
        decoder_inner, decoder_width = state[f"{convnext}0.pwconv1.weight"].shape
        bands = state[f"{_TOKENIZER}encoder.patch_embed.weight"].shape[2]
        n_fft = len(state[f"{_TOKENIZER}decoder.head.istft.window"])
    except (KeyError, ValueError, IndexError) as error:
        raise EncoderError(f"{path} is no checkpoint of LoSATok: {error} is missing") from error
    tokenizer = TokenizerConfig(
        embed_dim=width, depth=_count(state, blocks), num_heads=HEADS, n_mels_patch=bands,
        decoder_embed_dim=decoder_width, decoder_depth=_count(state, convnext),
        decoder_intermediate_size=decoder_inner, istft_n_fft=n_fft, upsample_tokens=step,
        istft_hop=TokenizerConfig().frame_samples // step,
    )  # fmt: skip
    return LoSATokConfig(tokenizer, latent, inner)


def _count(state: dict[str, torch.Tensor], prefix: str) -> int:
    """How many numbered modules there are under a prefix."""
    return len(
        {key.removeprefix(prefix).partition(".")[0] for key in state if key.startswith(prefix)}
    )
