"""Two signals brought together: rate, length, and how late one is.

Nothing is corrected unseen. The decoded signal is trimmed or padded to the reference's length, and
by how much is reported; a constant delay is estimated and reported, and stays in.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.fft
import soxr
from numpy.typing import NDArray

from earmark.benchmark.audio.decode import RESAMPLER_QUALITY

Samples = NDArray[np.float32]

MOST_DELAY = 0.05  # s
_BLOCK = 1 << 18  # samples correlated at once


class Delay(NamedTuple):
    """How late the decoded signal is.

    seconds: positive where it is late; NaN where a signal is silent. correlation: of the two at
    that delay, -1 to 1; near 0 the delay means nothing, below 0 the signal is upside down.
    """

    seconds: float
    correlation: float


def resample(samples: Samples, rate: int, target: int) -> Samples:
    """(n,) at `rate` Hz -> (m,) at `target` Hz by soxr; the same array where they are equal."""
    if rate == target:
        return samples
    found: Samples = soxr.resample(samples, rate, target, quality=RESAMPLER_QUALITY)
    return found if len(found) else samples[:1]


def fit(samples: Samples, length: int) -> Samples:
    """Trimmed at its end, or padded there with zeros, to `length` samples."""
    if len(samples) >= length:
        return samples[:length]
    return np.pad(samples, (0, length - len(samples)))


def estimate_delay(reference: Samples, decoded: Samples, rate: int) -> Delay:
    """The constant delay of `decoded` (n,) against `reference` (n,), up to 50 ms either way.

    Where the absolute cross-correlation of the whole signals is largest; to one sample. Correlated
    in blocks, so memory does not grow with the signals.
    """
    most = min(round(MOST_DELAY * rate), len(reference) - 1)
    energy = _energy(reference) * _energy(decoded)
    if not energy > 0:
        return Delay(math.nan, math.nan)
    size = scipy.fft.next_fast_len(min(_BLOCK, len(reference)) + 2 * most, real=True)
    sums = np.zeros(2 * most + 1)  # lags -most..most
    for start in range(0, len(reference), _BLOCK):
        block = reference[start : start + _BLOCK].astype(np.float64)
        first, last = start - most, start + len(block) + most
        around = decoded[max(0, first) : last].astype(np.float64)
        around = np.pad(around, (max(0, -first), 0))
        product = scipy.fft.rfft(around, size) * np.conj(scipy.fft.rfft(block, size))
        sums += scipy.fft.irfft(product, size)[: 2 * most + 1]
    best = int(np.abs(sums).argmax())
    return Delay((best - most) / rate, float(np.clip(sums[best] / math.sqrt(energy), -1, 1)))


def _energy(samples: Samples) -> float:
    return sum(
        float(np.sum(np.square(samples[start : start + _BLOCK], dtype=np.float64)))
        for start in range(0, len(samples), _BLOCK)
    )
