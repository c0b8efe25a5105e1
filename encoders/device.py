"""Where an encoder runs, and how large it is.

A device is named as torch names it: `cpu`, `cuda` (the current GPU), `cuda:1`, `mps`.
"""

from __future__ import annotations

import contextlib
import platform

import torch

from earmark.encoders import AudioEncoder, EncoderError

_NAMES = "auto, cpu, cuda, cuda:1 (the second GPU) or mps"


def parameter_count(encoder: AudioEncoder) -> int:
    """Number of the encoder's weights."""
    return sum(parameter.numel() for parameter in encoder.parameters())


def device_kind(device: str) -> str:
    """`cpu`, `cuda` or `mps`: a device without its number."""
    return device.partition(":")[0]


def choose_device(wanted: str) -> str:
    """`auto` -> `cuda` where there is a GPU, else `cpu`; others as they are.

    Raises EncoderError, which says what there is, for a device that is not there.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, colon, number = wanted.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not number.isdecimal()):
        raise EncoderError(f"device {wanted!r} is none: give {_NAMES}")
    there = _available()
    # `cpu:0` and `mps:0` are what torch calls the only one
    plain = kind if kind != "cuda" and number == "0" else wanted
    if plain in there or (plain == "cuda" and "cuda:0" in there):
        return plain
    known = ", ".join(f"{name} ({what})" if what else name for name, what in there.items())
    raise EncoderError(f"device {wanted}: torch finds none here, but {known}; use --device cpu")


def _available() -> dict[str, str]:
    """Devices that torch finds here, and the name of what each is."""
    found = {"cpu": ""}
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        found |= {f"cuda:{n}": torch.cuda.get_device_name(n) for n in range(count)}
    if torch.backends.mps.is_available():
        found["mps"] = ""
    return found


def device_name(device: str) -> str:
    """What a device is, as results name it: a GPU's model, else `cpu` or `mps` and the machine."""
    if device_kind(device) == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device_kind(device)} {platform.machine()}"


def probe_device(device: str) -> str:
    """Where probes are trained beside an encoder: on the CPU for `mps`, which has no float64."""
    return "cpu" if device_kind(device) == "mps" else device


def as_current(device: str) -> contextlib.AbstractContextManager[object]:
    """A context in which a GPU with a number is the one that `cuda` means, in this thread.

    Else code that names none, and memory pinned for copies, would take up the first GPU too.
    """
    if device_kind(device) != "cuda" or device == "cuda":
        return contextlib.nullcontext()
    return torch.cuda.device(device)


def wait_for(device: str) -> None:
    """Until a GPU has done what it was given."""
    if device_kind(device) == "cuda":
        torch.cuda.synchronize(device)
    elif device_kind(device) == "mps":
        torch.mps.synchronize()


def free_memory(device: str) -> None:
    """Give back what torch keeps of a GPU's memory for later."""
    if device_kind(device) == "cuda":
        torch.cuda.empty_cache()
    elif device_kind(device) == "mps":
        torch.mps.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device's memory is full; of `mps` torch has no type for it."""
    return isinstance(error, torch.OutOfMemoryError) or "MPS backend out of memory" in str(error)
