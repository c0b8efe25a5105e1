"""Distances of waveforms."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

LIMIT = 100.0  # dB
_BLOCK = 1 << 20  # samples in float64 at once


def si_sdr(reference: NDArray[np.floating], decoded: NDArray[np.floating]) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019, arXiv 1811.02508).

    Both (n,), their means removed; the decoded signal's projection on the reference against what
    is left of it. Higher is better. Limited to -100..100 dB: identical signals have no finite
    ratio, and beyond it rounding to 16 bit is what would be measured. NaN where a signal is
    constant (silent), since then there is nothing to compare.
    """
    energy = cross = own = 0.0
    for x, y in _blocks(reference, decoded):
        energy, cross, own = energy + float(x @ x), cross + float(x @ y), own + float(y @ y)
    if not energy > 0 or not own > 0:
        return math.nan
    scale = cross / energy
    # summed as it is: own - scale * cross would cancel for signals that are nearly the same
    left = sum(float(np.sum(np.square(y - scale * x))) for x, y in _blocks(reference, decoded))
    projected = scale * cross
    if left <= 0 or projected <= 0:
        return LIMIT if left <= 0 else -LIMIT
    return float(np.clip(10 * math.log10(projected / left), -LIMIT, LIMIT))


def _blocks(
    reference: NDArray[np.floating], decoded: NDArray[np.floating]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Parts of both in float64, the whole signals' means removed."""
    means = [float(np.mean(signal, dtype=np.float64)) for signal in (reference, decoded)]
    for start in range(0, len(reference), _BLOCK):
        part = slice(start, start + _BLOCK)
        yield (
            reference[part].astype(np.float64) - means[0],
            decoded[part].astype(np.float64) - means[1],
        )
