"""Which metrics there are, at which rates, and what they need."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.audio.decode import RESAMPLER_QUALITY
from earmark.benchmark.reconstruction.metric import perceptual, spectral, waveform

# Raised whenever the same pair of signals gets another value; part of what a record is kept under.
VERSION = 1
RATE = 16_000  # Hz
LOWEST_RATE = 8_000
EXTRA = "reconstruction"

Measure = Callable[[NDArray[np.floating], NDArray[np.floating]], float]


@dataclass(frozen=True)
class Metric:
    """One number that says how far a decoded signal is from its reference.

    name: in files; label: in tables. rate: in Hz, of both signals. measure: (reference, decoded)
    -> value; may return NaN or raise NotComputableError. higher: whether higher is better. unit:
    in words. package: what it needs beside the core. digits: shown after the point.
    """

    name: str
    label: str
    rate: int
    measure: Measure
    higher: bool
    unit: str
    package: str | None = None
    digits: int = 3

    @property
    def is_there(self) -> bool:
        """Whether what it needs is installed."""
        return self.package is None or importlib.util.find_spec(self.package) is not None


def all_metrics(rates: Sequence[int] = (RATE,)) -> list[Metric]:
    """Every metric, in the order of tables.

    rates: in Hz, at which mel and STFT distances are taken; the others have rates of their own.
    """
    found = [
        Metric("pesq_wb", "PESQ-wb", 16_000, perceptual.pesq_wide, True, "MOS-LQO", "pesq"),
        Metric("pesq_nb", "PESQ-nb", 8_000, perceptual.pesq_narrow, True, "MOS-LQO", "pesq"),
        Metric("stoi", "STOI", 16_000, perceptual.stoi, True, "share", "pystoi"),
        Metric("estoi", "ESTOI", 16_000, perceptual.estoi, True, "share", "pystoi"),
        Metric("si_sdr", "SI-SDR", 16_000, waveform.si_sdr, True, "dB", digits=2),
    ]
    for rate in dict.fromkeys(rates):
        shown = f"{rate / 1000:g}k"
        found += [
            Metric(f"mel_distance_{shown}", f"mel {shown}", rate, _at(spectral.mel_distance, rate),
                   False, "distance"),
            Metric(f"stft_distance_{shown}", f"STFT {shown}", rate, spectral.stft_distance,
                   False, "distance"),
        ]  # fmt: skip
    return [
        *found,
        Metric("log_mel_l1_16k", "log-mel L1", RATE, _at(spectral.log_mel_l1, RATE), False,
               "nepers"),
        Metric("log_spectral_distance_16k", "LSD", RATE, spectral.log_spectral_distance, False,
               "bels"),
    ]  # fmt: skip


def _at(measure: Callable[..., float], rate: int) -> Measure:
    return lambda reference, decoded: measure(reference, decoded, rate)


def settings(rates: Sequence[int] = (RATE,)) -> dict[str, object]:
    """All choices that decide values, for results and to tell what may be compared.

    rates: as `all_metrics` takes them.
    """
    return {
        "rates": sorted(set(rates)),
        "version": VERSION,
        "channels": "mean",
        "resampler": f"soxr {RESAMPLER_QUALITY}",
        "scales": [list(scale) for scale in spectral.SCALES],
        "window": "square root of periodic Hann",
        "floor": spectral.FLOOR,
        "log_mel": list(spectral.LOG_MEL),
        "log_spectral": list(spectral.LSD),
        "si_sdr_limit_db": waveform.LIMIT,
        "pesq_longest_s": perceptual.PESQ_SECONDS,
        "stoi_longest_s": perceptual.STOI_SECONDS,
    }


def package_versions(metrics: Sequence[Metric]) -> dict[str, str]:
    """Versions of the packages that these metrics need and that are installed."""
    names = {metric.package for metric in metrics if metric.package and metric.is_there}
    return {name: importlib.metadata.version(name) for name in sorted(names)}


def missing_packages(metrics: Sequence[Metric]) -> str | None:
    """One line that says what is not measured and how to fix it; None where all is there."""
    lacking = [metric for metric in metrics if not metric.is_there]
    if not lacking:
        return None
    labels = ", ".join(metric.label for metric in lacking)
    names = " and ".join(dict.fromkeys(str(metric.package) for metric in lacking))
    return f"not measured: {labels}; they need {names}: pip install -e '.[{EXTRA}]'"
