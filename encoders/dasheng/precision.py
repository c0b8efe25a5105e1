"""Half precision on GPUs, float32 elsewhere."""

from __future__ import annotations

import weakref
from typing import NamedTuple

import torch

from earmark.encoders.encoder import EncoderError

# auto: bf16 where the GPU computes in it, else fp16.
PRECISIONS = {"auto": None, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def check_precision(precision: str) -> None:
    """Raise EncoderError for a precision that is not known."""
    if precision not in PRECISIONS:
        raise EncoderError(f"precision {precision!r} is unknown; choose from {sorted(PRECISIONS)}")


def dtype_on(device: str, precision: str) -> torch.dtype:
    """What matrix products are computed in on `cpu` or `cuda`; float32 on anything but a GPU."""
    if device != "cuda":
        return torch.float32
    dtype = PRECISIONS[precision]
    if dtype is None:
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        dtype = torch.bfloat16 if native else torch.float16
    return dtype


def dtype_name(device: str, precision: str) -> str:
    """The same in a word: `float32`, `bfloat16` or `float16`."""
    return str(dtype_on(device, precision)).removeprefix("torch.")


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context for matrix products on this device."""
    dtype = dtype_on(device.type, precision)
    if dtype == torch.float32:
        return torch.autocast(device.type, enabled=False)
    return torch.autocast(device.type, dtype=dtype)


class _Cast(NamedTuple):
    """A layer's weight and bias in half precision, and of what they were made."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    source: weakref.ref[torch.Tensor]
    facts: tuple[object, ...]


class Linear(torch.nn.Linear):
    """`torch.nn.Linear` whose frozen weights are cast once, not by autocast at every call.

    On an H200 the casts took a sixth of a forward pass in bf16. The numbers are the same: autocast
    casts to the same type. What is kept is no part of the state or of the fingerprint.
    """

    _cast: _Cast | None = None

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        kind = values.device.type
        if self.weight.requires_grad or not torch.is_autocast_enabled(kind):
            return super().forward(values)
        cast = self._in(torch.get_autocast_dtype(kind))
        return torch.nn.functional.linear(values, cast.weight, cast.bias)

    def _in(self, dtype: torch.dtype) -> _Cast:
        weight, bias = self.weight, self.bias
        facts = tuple(
            # torch counts changes in place; `.to(device)` keeps the object and moves its data
            (one.data_ptr(), None if one.is_inference() else one._version, one.device, dtype)
            for one in (weight, bias)
            if one is not None
        )
        cast = self._cast
        if cast is None or cast.source() is not weight or cast.facts != facts:
            cast = self._cast = _Cast(
                weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype),
                weakref.ref(weight), facts,
            )  # fmt: skip
        return cast

    def __getstate__(self) -> dict[str, object]:
        """Without what is kept: a copy makes its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_cast"}
