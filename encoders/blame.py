"""Where an encoder's own code raised an error, and what usually cures it."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from types import CodeType

import torch

from earmark.encoders.home import is_installed

# Words of an error that torch or Python raise inside an encoder, and what to do about it.
_CURES = (
    (("have the same dtype", "expected scalar type", "should be the same", "same data type"),
     "audio comes as float32: keep the weights in float32, or convert waveforms and, at the end, "
     "values.float()"),
    (("on the same device", "on cuda but", "device type tensor to numpy"),
     "make tensors on waveforms.device, and keep models as attributes, so that they move with the "
     "encoder"),
    (("requires grad", "Inference tensors cannot", "inference tensor"),
     "compute without gradients: detach(), and no in-place changes to what is kept"),
    (("Kernel size can't be greater", "Padding size should be less", "is too small for"),
     "pad what is shorter than a window, or set min_seconds"),
    (("not currently implemented for the MPS", "MPS framework doesn't support"),
     "it does not run on mps: take --device cpu"),
    (("out of memory",), "encode long clips in pieces, or set max_seconds"),
)  # fmt: skip


def place_of(error: BaseException, encoder: torch.nn.Module) -> str:
    """`my_encoder.py, line 12`: the last line of the encoder's own code that an error came through.

    Its own are the files of its classes, and what lies beside them or below and is not installed;
    empty where the error came through none of them, and for what comes with Earmark.
    """
    files = _own_files(encoder)
    folders = tuple(str(Path(name).resolve().parent) + os.sep for name in files)
    found = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = str(Path(frame.filename).resolve())
        beside = path.startswith(folders) and not is_installed(path) and not _is_ours(path)
        if frame.filename in files or (beside and Path(path).is_file()):
            found = f"{Path(path).name}, line {frame.lineno}"
    return found


def told(error: BaseException, encoder: torch.nn.Module, most: int = 160) -> str:
    """An error in one short line, with the line of the encoder's own code that it came through."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"[:most]
    place = place_of(error, encoder)
    return f"{text} ({place})" if place else text


def cure_of(error: BaseException) -> str:
    """What usually cures an error that an encoder's code raised; empty where nobody knows."""
    text = str(error)
    for words, cure in _CURES:
        if any(word in text for word in words):
            return cure
    return ""


def _own_files(encoder: torch.nn.Module) -> set[str]:
    """Files of an encoder's classes, and of a shared pass's, as tracebacks name them."""
    parts = [encoder, getattr(encoder, "shared", None)]
    classes = {cls for part in parts if part is not None for cls in type(part).__mro__}
    foreign = ("earmark", "torch", "builtins")
    return {
        value.__code__.co_filename
        for cls in classes
        if cls.__module__.partition(".")[0] not in foreign
        for value in vars(cls).values()
        if isinstance(getattr(value, "__code__", None), CodeType)
    }


_REPOSITORY = Path(__file__).resolve().parents[1]
_OURS = tuple(str(_REPOSITORY / part) + os.sep for part in ("encoders", "benchmark", "tasks"))


def _is_ours(path: str) -> bool:
    """Whether a file is Earmark's, beside which an encoder may lie."""
    return path.startswith(_OURS)
