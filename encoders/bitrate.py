"""Bits a second of encoders whose output is made of codes."""

from __future__ import annotations

import math
from typing import Any

from earmark.encoders.encoder import AudioEncoder

_QUANTISED = "quantized"  # the output of a codec behind its quantiser
# Built-in encoders whose codes are no codebooks' entries: 8 bits a sample at 16 kHz.
_KNOWN = {"mulaw": 8 * 16_000.0}


def bits_per_second(encoder: AudioEncoder) -> float | None:
    """Bits in a second of an encoder's codes; None where its output is continuous, or unknown.

    What the encoder says of itself (`bits_per_second`), else what follows from a codec's own
    configuration: codebooks x log2 of their entries x frames a second. A code takes its full
    number of bits: no entropy coding.
    """
    if encoder.bits_per_second is not None:
        return float(encoder.bits_per_second)
    if encoder.name in _KNOWN:
        return _KNOWN[encoder.name]
    if getattr(encoder, "output", None) != _QUANTISED or not encoder.frame_rate:
        return None
    model = encoder.config.get("model")
    return _of_codebooks(model, encoder.frame_rate) if isinstance(model, dict) else None


def _of_codebooks(model: dict[str, Any], frame_rate: float) -> float | None:
    """By a codec's configuration, as its authors' libraries name what is in it."""
    entries = model.get("codebook_size")
    if not isinstance(entries, int) or entries < 2:
        return None
    bandwidths = model.get("target_bandwidths")
    if bandwidths:  # EnCodec, X-Codec: in kbit/s; the last is that of all codebooks
        return 1000 * float(bandwidths[-1])
    if model.get("vq_strides"):  # SNAC: each codebook has a code for so many frames
        codes = sum(1 / stride for stride in model["vq_strides"])
    else:
        codes = model.get("n_codebooks") or model.get("num_quantizers") or 0
    return float(codes * math.log2(entries) * frame_rate) or None
