"""Families: built-in encoders that share weights, known by name before anything is loaded."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.encoder import AudioEncoder, EncoderError

ALL_LAYERS = "layer-all"
_LAYER = re.compile(r"layer-(\d+|all)")


@dataclass(frozen=True)
class Family:
    """Encoders `NAME` and `NAME:OUTPUT` over one model, which is loaded once for all of them.

    load: `module:function`, imported when first needed. The function is called as
        `function(outputs, weights=folder or None)` and returns one encoder for each output (for
        `layer-all` one for each layer), all over one SharedPass and named `NAME:OUTPUT`.
    outputs: what may follow the colon; "" is the name alone.
    layers: whether `layer-0`, `layer-1`, ... and `layer-all` are outputs too.
    by_name: the function is called as `function(NAME, weights)` instead and returns one encoder.
    extra: the optional extra of this package that it needs.
    """

    load: str
    outputs: tuple[str, ...] = ("",)
    layers: bool = False
    by_name: bool = False
    extra: str | None = None

    def knows(self, output: str) -> bool:
        """Whether this may follow the colon; how many layers there are is known once loaded."""
        return output in self.outputs or (self.layers and _LAYER.fullmatch(output) is not None)

    def make(self, name: str, outputs: tuple[str, ...], weights: Path | None) -> list[AudioEncoder]:
        """Load the family called `name` once; one encoder for each output."""
        module, _, function = self.load.partition(":")
        try:
            load = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError) as error:
            raise EncoderError(
                f"encoder {name!r}: {self.load} cannot be imported: {error}"
            ) from error
        made: Any = load(name, weights) if self.by_name else load(outputs, weights=weights)
        return made if isinstance(made, list) else [made]


_PLAIN = ("",)
_CODEC = ("", "quantized")


def _baseline(load: str, outputs: tuple[str, ...] = _PLAIN) -> Family:
    """A family of `encoders.baselines`; those that are not codecs have hidden layers."""
    return Family(
        f"encoders.baselines.{load}", outputs, layers=outputs == _PLAIN, extra="baselines"
    )


_DASHENG = Family("encoders.dasheng:load_dasheng_encoder", by_name=True)

FAMILIES = {
    "dasheng": Family("encoders.dasheng:load", ("", "semantic", "acoustic")),
    "dasheng-tiny": Family("encoders.dasheng:load_tiny", ("", "semantic", "acoustic")),
    "dasheng-base": _DASHENG,
    "dasheng-0.6b": _DASHENG,
    "dasheng-1.2b": _DASHENG,
    "whisper-base": _baseline("whisper:load_base"),
    "whisper-large-v3": _baseline("whisper:load_large_v3"),
    "wav2vec2": _baseline("speech:load_wav2vec2"),
    "hubert-large": _baseline("speech:load_hubert_large"),
    "wavlm-large": _baseline("speech:load_wavlm_large"),
    "data2vec": _baseline("speech:load_data2vec"),
    "encodec": _baseline("codecs:load_encodec", _CODEC),
    "dac": _baseline("codecs:load_dac", _CODEC),
    "mimi": _baseline("codecs:load_mimi", _CODEC),
    "xcodec": _baseline("codecs:load_xcodec", _CODEC),
    "snac": _baseline("snac_codec:load", _CODEC),
}


def full_name(family: str, output: str) -> str:
    """`family:output`, or `family` alone for the output ""."""
    return f"{family}:{output}" if output else family
