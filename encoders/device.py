"""Where an encoder runs, and how large it is."""

from __future__ import annotations

import torch

from earmark.encoders import AudioEncoder, EncoderError


def parameter_count(encoder: AudioEncoder) -> int:
    """Number of the encoder's weights."""
    return sum(parameter.numel() for parameter in encoder.parameters())


def choose_device(wanted: str) -> str:
    """`auto` -> `cuda` where there is a GPU, else `cpu`; others as they are."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise EncoderError("device cuda: torch finds no GPU here; use --device cpu")
    return wanted
