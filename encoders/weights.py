"""Whether an encoder's weights are numbers that can be computed with, and told from others."""

from __future__ import annotations

import torch
from torch.nn.parameter import is_lazy

from earmark.encoders.encoder import AudioEncoder, EncoderError


def check_weights(encoder: AudioEncoder, name: str) -> None:
    """Raise EncoderError, one line, for a weight that holds no numbers, or not in a plain tensor.

    name: how the encoder was asked for.
    """
    for where, tensor in (*encoder.named_parameters(), *encoder.named_buffers()):
        said = _fault(tensor)
        if said:
            raise EncoderError(f"encoder {name!r}: its weight {where} {said}")


def _fault(tensor: torch.Tensor) -> str:
    if is_lazy(tensor):
        return "has no size yet: give its layer all sizes, or run it once in __init__"
    if tensor.is_meta:
        return "is on meta, where nothing is: load the weights onto the CPU in __init__"
    if tensor.is_nested or tensor.layout != torch.strided:
        kind = "nested" if tensor.is_nested else "sparse"
        return f"is {kind}, which no fingerprint covers: keep it as a plain tensor"
    return ""
