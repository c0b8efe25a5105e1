"""Half precision on GPUs, float32 elsewhere."""

from __future__ import annotations

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
