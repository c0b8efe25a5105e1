"""Distances of spectrograms. Lower is better; 0 for identical signals.

Every function takes two signals (n,) of equal length n >= 1, full scale at 1, and their sample
rate in Hz where it matters; all are symmetric. Spectra are centred: the signal is mirrored at its
ends by half a window, again and again where it is shorter than that. Long signals are transformed
in blocks, so memory does not grow with them beyond a padded copy of each.

`mel_distance` and `stft_distance` have the settings of the Descript audio codec's evaluation
(Kumar et al. 2023, arXiv 2306.06546, and its public code) as `spec/reconstruction.md` gives them.
Papers that print `Mel-16k` or `STFT-16k` follow those names; whether with the same settings is not
known, so ours have names of their own. In particular the window: the square root of a Hann window
is what that evaluation's signal class documents, while its newer code takes the Hann window itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Signal = NDArray[np.floating]
Array = NDArray[np.float64]

FLOOR = 1e-5  # magnitudes below it count as it, in every logarithm
_BLOCK = 512  # windows transformed at once: 8 MB at 2048 samples
# (window in samples, mel bands) of both scales; the hop is a quarter of the window
SCALES = ((2048, 150), (512, 80))
LOG_MEL = (1024, 256, 80)  # window, hop, bands
LSD = (2048, 512)  # window, hop


def mel_distance(reference: Signal, decoded: Signal, rate: int) -> float:
    """Multi-scale mel distance (arXiv 2306.06546), >= 0, without unit.

    Windows of 2048 and 512 samples, hop a quarter, square root of the periodic Hann window; 150
    and 80 mel bands (`mel_filters`) of the magnitude, 0 Hz to half the rate. The sum over both of
    the mean absolute difference of log10(max(S, 1e-5)^2) and that of S.
    """
    return sum(
        _two_distances(reference, decoded, window, window // 4, mel_filters(rate, window, bands))
        for window, bands in SCALES
    )


def stft_distance(reference: Signal, decoded: Signal) -> float:
    """Multi-scale STFT distance (arXiv 2306.06546), >= 0: `mel_distance` without mel bands."""
    return sum(
        _two_distances(reference, decoded, window, window // 4, None) for window, _ in SCALES
    )


def log_mel_l1(reference: Signal, decoded: Signal, rate: int) -> float:
    """Mean absolute difference of natural-log mel magnitudes, in nepers; >= 0.

    One scale, as vocoders are trained on (Kong et al. 2020, arXiv 2010.05646): window of 1024
    samples, hop 256, periodic Hann window, 80 bands from 0 Hz to half the rate, ln(max(S, 1e-5)).
    """
    window, hop, bands = LOG_MEL
    filters = mel_filters(rate, window, bands)
    total, count = 0.0, 0
    pairs = zip(magnitudes(reference, window, hop), magnitudes(decoded, window, hop), strict=True)
    for one, other in pairs:
        difference = _log(one @ filters) - _log(other @ filters)
        total += float(np.abs(difference).sum())
        count += difference.size
    return total / count


def log_spectral_distance(reference: Signal, decoded: Signal) -> float:
    """Log-spectral distance in bels of power (times 10: dB), >= 0.

    Root mean square over the bins of the difference of log10(max(|S|, 1e-5)^2), mean over the
    frames (Gray and Markel 1976, IEEE TASSP 24(5), with p = 2). Window of 2048 samples, hop 512,
    periodic Hann window.
    """
    window, hop = LSD
    total, count = 0.0, 0
    pairs = zip(magnitudes(reference, window, hop), magnitudes(decoded, window, hop), strict=True)
    for one, other in pairs:
        difference = (_log(one) - _log(other)) * (2 / np.log(10))
        total += float(np.sqrt(np.square(difference).mean(axis=1)).sum())
        count += len(difference)
    return total / count


def _two_distances(
    reference: Signal, decoded: Signal, window: int, hop: int, filters: Array | None
) -> float:
    """Mean absolute difference of log10(max(S, 1e-5)^2), plus that of S."""
    logs, plain, count = 0.0, 0.0, 0
    pairs = zip(
        magnitudes(reference, window, hop, root=True),
        magnitudes(decoded, window, hop, root=True),
        strict=True,
    )
    for one, other in pairs:
        if filters is not None:
            one, other = one @ filters, other @ filters
        logs += float(np.abs(_log(one) - _log(other)).sum()) * (2 / np.log(10))
        plain += float(np.abs(one - other).sum())
        count += one.size
    return (logs + plain) / count


def _log(magnitude: Array) -> Array:
    found: Array = np.log(np.maximum(magnitude, FLOOR))
    return found


def magnitudes(signal: Signal, window: int, hop: int, *, root: bool = False) -> Iterator[Array]:
    """Blocks (windows, window / 2 + 1) of a centred STFT's magnitude, float64.

    1 + n // hop windows in all. root: weighted by the square root of the Hann window.
    """
    weights = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    if root:
        weights = np.sqrt(weights)
    padded = np.pad(signal, window // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    for start in range(0, len(windows), _BLOCK):
        yield np.abs(scipy.fft.rfft(windows[start : start + _BLOCK] * weights, axis=1))


@cache
def mel_filters(rate: int, window: int, bands: int) -> Array:
    """Triangular filters (window / 2 + 1, bands) from 0 Hz to rate / 2, each of area 1 Hz.

    On Slaney's scale (Auditory Toolbox, 1998): linear to 1000 Hz, 200/3 Hz a mel, and 27 mels to a
    factor of 6.4 above. A band that no bin falls into is all zeros.
    """
    edges = _hertz(np.linspace(0.0, _mels(rate / 2), bands + 2))
    bins = np.arange(window // 2 + 1) * (rate / window)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    found: Array = np.maximum(0.0, np.minimum(rising, falling)) * (2 / (high - low))
    return found


_BEND = 1000.0  # Hz, where the scale turns from linear to logarithmic
_LINEAR = 200 / 3  # Hz a mel
_STEP = np.log(6.4) / 27


def _mels(hertz: float) -> float:
    if hertz < _BEND:
        return hertz / _LINEAR
    return float(_BEND / _LINEAR + np.log(hertz / _BEND) / _STEP)


def _hertz(mels: Array) -> Array:
    bend = _BEND / _LINEAR
    above = _BEND * np.exp(_STEP * (np.maximum(mels, bend) - bend))
    return np.where(mels < bend, mels * _LINEAR, above)
