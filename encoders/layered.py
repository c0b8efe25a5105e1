"""One output of an encoder that gives several, as an encoder of its own.

This file is part of the fingerprint of each: what is not about what it computes is in `outputs.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from earmark.encoders.encoder import AudioEncoder
from earmark.encoders.shared import OutputEncoder

# What an output has of its encoder, where that is not as every AudioEncoder has it.
_INHERITED = (
    "sample_rate", "embedding_dim", "frame_rate", "honours_lengths", "libraries",
    "frame_rate_varies", "min_seconds", "max_seconds", "fixed_seconds",
)  # fmt: skip


class EncoderOutput(OutputEncoder):
    """One output of an encoder whose class has `encode_outputs`.

    whole: the encoder. output: which; its attributes are the encoder's but for those that
        `named_outputs` gives it.
    """

    def __init__(self, whole: AudioEncoder, output: str) -> None:
        super().__init__(whole, output)  # type: ignore[arg-type]
        for name in _INHERITED:
            value = getattr(whole, name)
            if value != getattr(AudioEncoder, name, None) or name == "frame_rate":
                setattr(self, name, value)
        for name, value in _own_attributes(whole, output).items():
            setattr(self, name, value)
        self.config = whole.config

    def compute_dtype(self, device: str) -> str:
        whole: Any = self.shared
        dtype: str = whole.compute_dtype(device)
        return dtype


def _own_attributes(whole: AudioEncoder, output: str) -> Mapping[str, Any]:
    named = whole.named_outputs
    return named.get(output, {}) if isinstance(named, Mapping) else {}
