"""Spectrograms of a clip and of what was decoded of it, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.reconstruction.metric.alignment import fit, resample
from earmark.benchmark.reconstruction.metric.pair import AudioPair
from earmark.benchmark.reconstruction.metric.spectral import magnitudes, mel_filters

_WINDOW, _HOP, _BANDS = 1024, 256, 80
_RANGE_DB = 80.0  # below the loudest of the reference
_LONGEST_S = 30.0
_FLOOR = 1e-6


def draw_pair(pair: AudioPair, path: Path, title: str) -> None:
    """Write a PNG: log-mel spectrograms of reference and decoded sound, one colour scale.

    80 bands up to half the lower of both rates, in dB below the reference's loudest (below 1 where
    it is silent); the first 30 s.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    rate = min(pair.reference_rate, pair.decoded_rate)
    seconds = min(_LONGEST_S, len(pair.reference) / pair.reference_rate)
    reference = pair.reference[: max(1, round(seconds * pair.reference_rate))]
    decoded = fit(pair.decoded, max(1, round(seconds * pair.decoded_rate)))
    images = [
        _levels(resample(reference, pair.reference_rate, rate), rate),
        _levels(resample(decoded, pair.decoded_rate, rate), rate),
    ]
    top = float(images[0].max()) if images[0].max() > 20 * np.log10(_FLOOR) else 0.0
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    for axis, image, name in zip(axes, images, ("reference", "decoded"), strict=True):
        drawn = axis.imshow(
            image.T - top, origin="lower", aspect="auto", vmin=-_RANGE_DB, vmax=0.0,
            extent=(0.0, seconds, 0, _BANDS), interpolation="nearest",
        )  # fmt: skip
        axis.set_title(name, loc="left", fontsize=10)
        axis.set_ylabel(f"mel band, to {rate / 2000:g} kHz")
    axes[-1].set_xlabel("s")
    figure.colorbar(drawn, ax=list(axes), label="dB")
    figure.suptitle(title, fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _levels(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """(frames, bands) in dB."""
    filters = mel_filters(rate, _WINDOW, _BANDS)
    blocks = [block @ filters for block in magnitudes(samples, _WINDOW, _HOP)]
    found: NDArray[np.float64] = 20 * np.log10(np.maximum(np.concatenate(blocks), _FLOOR))
    return found
