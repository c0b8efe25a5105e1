"""Encoder files written for X-ARES, measured as they are.

X-ARES (https://github.com/jimbozhang/xares) asks for a class with `sampling_rate` in Hz,
`output_dim`, `hop_size_in_ms` and `forward(audio) -> (B, T, D)` for audio (B, samples).
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from earmark.encoders.encoder import AudioEncoder, EncoderError, Frames

_WANTED = ("sampling_rate", "output_dim", "hop_size_in_ms")


class XaresEncoder(AudioEncoder):
    """A class written for X-ARES as an AudioEncoder.

    Such a class knows nothing of lengths: it gets clips of exactly equal length only, and all the
    frames that it returns are the clip's own.
    """

    def __init__(self, wrapped: torch.nn.Module) -> None:
        super().__init__()
        self.wrapped = wrapped
        facts = {name: getattr(wrapped, name) for name in _WANTED}
        self.name = type(wrapped).__name__
        for name, value in facts.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise EncoderError(
                    f"encoder {self.name!r}: {name} must be a number above 0, not {value!r}"
                )
        self.sample_rate = int(facts["sampling_rate"])
        self.embedding_dim = int(facts["output_dim"])
        self.frame_rate = 1000 / float(facts["hop_size_in_ms"])

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        if bool((lengths != waveforms.shape[1]).any()):
            raise EncoderError(
                f"encoder {self.name!r} was written for X-ARES and does not know lengths; give it "
                "clips of equal length only"
            )
        values = self.wrapped(waveforms)
        if not isinstance(values, torch.Tensor) or values.ndim != 3:
            shape = tuple(getattr(values, "shape", ()))
            raise EncoderError(
                f"encoder {self.name!r}: forward() returned {type(values).__name__} of shape "
                f"{shape}; expected a tensor (B, T, {self.embedding_dim})"
            )
        return Frames(values, torch.full_like(lengths, values.shape[1]))


def is_xares_encoder(made: Any) -> bool:
    """Whether an object is what X-ARES asks for."""
    return isinstance(made, torch.nn.Module) and all(hasattr(made, name) for name in _WANTED)


def only_encoder_class(module: ModuleType, path: str) -> Callable[[], Any]:
    """The one class of a file whose name ends in `Encoder`. Raises EncoderError."""
    own = {
        name: value for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }  # fmt: skip
    found = [name for name in own if name.endswith("Encoder") and not name.startswith("_")]
    if len(found) == 1:
        made: Callable[[], Any] = own[found[0]]
        return made
    what = f"{len(found)} classes whose names end" if found else "no class whose name ends"
    raise EncoderError(
        f"{path} has {what} in Encoder, of {', '.join(own) or 'none'}; name the class: "
        f"{path}:ClassName"
    )
