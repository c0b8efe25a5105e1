"""From decoded samples to what an encoder is given: rate, mono, crops."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile

from earmark.benchmark.audio.decode import RESAMPLER_QUALITY, VERSION, Samples, _gather


@dataclass(frozen=True)
class AudioPipeline:
    """What is done to every clip before the encoder.

    sample_rate: in Hz, what clips are resampled to.
    crop_seconds: length of the consecutive whole crops a clip becomes; None: the whole clip.
    resampler: `soxr` (HQ), or `torchaudio` (windowed sinc, width 6, as its own default).
    """

    sample_rate: int
    crop_seconds: float | None = None
    resampler: str = "soxr"

    def facts(self) -> dict[str, Any]:
        """Everything that decides the samples, for the store key."""
        return {
            "version": VERSION,
            "sample_rate": self.sample_rate,
            "crop_seconds": self.crop_seconds,
            "channels": "mean",
            "decoder": f"libsndfile {soundfile.__libsndfile_version__}",
            "resampler": f"{self.resampler} {importlib.metadata.version(self.resampler)}"
            + (f" {RESAMPLER_QUALITY}" if self.resampler == "soxr" else ""),
        }

    def crops(self, data: bytes) -> list[Samples]:
        """All crops of one file, each (n,) float32 at `sample_rate`. Raises AudioError."""
        return cut(self.load(data)[0], self.crop_samples)

    def load(self, data: bytes) -> tuple[Samples, float]:
        """One whole file at `sample_rate`, and its own length in seconds. Raises AudioError."""
        if self.resampler == "soxr":
            gathered, read, rate = _gather(data, self.sample_rate)
            return gathered.samples(), read / rate
        gathered, read, rate = _gather(data, None)
        return _windowed_sinc(gathered.samples(), rate, self.sample_rate), read / rate

    @property
    def crop_samples(self) -> int | None:
        """Length of a crop in samples."""
        return None if self.crop_seconds is None else round(self.crop_seconds * self.sample_rate)


def _windowed_sinc(samples: Samples, rate: int, target: int) -> Samples:
    """(n,) at `rate` -> at `target`, by torchaudio; one sample at least."""
    import torch
    import torchaudio

    if rate == target:
        return samples
    found = torchaudio.functional.resample(torch.from_numpy(samples), rate, target).numpy()
    return np.ascontiguousarray(found) if len(found) else samples[:1]


def cut(samples: Samples, crop_samples: int | None) -> list[Samples]:
    """Consecutive whole crops; the rest is dropped. What is shorter than one crop stays whole.

    It is not padded here: an encoder gets true lengths, so padding could only do harm.
    """
    if crop_samples is None or len(samples) <= crop_samples:
        return [samples]
    whole = len(samples) // crop_samples
    return [samples[i * crop_samples : (i + 1) * crop_samples] for i in range(whole)]
