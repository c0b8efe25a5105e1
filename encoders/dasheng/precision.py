"""Half precision on GPUs, float32 elsewhere."""

from __future__ import annotations

import torch

from encoders.encoder import EncoderError

# auto: bf16 where the GPU computes in it, else fp16.
PRECISIONS = {"auto": None, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def check_precision(precision: str) -> None:
    """Raise EncoderError for a precision that is not known."""
    if precision not in PRECISIONS:
        raise EncoderError(f"precision {precision!r} is unknown; choose from {sorted(PRECISIONS)}")


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context for matrix products on this device; float32 on anything but a CUDA GPU."""
    if device.type != "cuda" or precision == "fp32":
        return torch.autocast(device.type, enabled=False)
    dtype = PRECISIONS[precision]
    if dtype is None:
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        dtype = torch.bfloat16 if native else torch.float16
    return torch.autocast(device.type, dtype=dtype)
