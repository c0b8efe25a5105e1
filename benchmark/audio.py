"""From a file's bytes to what an encoder hears: decode, mix to mono, resample, crop."""

from __future__ import annotations

import importlib.metadata
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmark.containers import mp3_samples, mp3_states_its_length, ogg_fault, wav_fault

Samples = NDArray[np.float32]

RESAMPLER_QUALITY = "HQ"
# Raised whenever the same bytes come out as other samples; part of every store key.
VERSION = 1
# What libsndfile says of a FLAC written to a pipe, which does not state its length.
_UNKNOWN_FRAMES = 0x7FFFFFFFFFFFFFFF
# Beyond these in Hz a header is wrong; resampled, a short file could fill the memory.
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 1_000_000
# Samples at an MP3's ends that a decoder may leave out: its delay and the encoder's padding.
_MP3_EDGES = 4 * 1152


class AudioError(ValueError):
    """A file that does not decode to usable audio; says why in a few words."""


@dataclass(frozen=True)
class AudioPipeline:
    """What is done to every clip before the encoder.

    sample_rate: in Hz, what clips are resampled to.
    crop_seconds: length of the consecutive whole crops a clip becomes; None: the whole clip.
    """

    sample_rate: int
    crop_seconds: float | None = None

    def facts(self) -> dict[str, Any]:
        """Everything that decides the samples, for the store key."""
        return {
            "version": VERSION,
            "sample_rate": self.sample_rate,
            "crop_seconds": self.crop_seconds,
            "channels": "mean",
            "decoder": f"libsndfile {soundfile.__libsndfile_version__}",
            "resampler": f"soxr {importlib.metadata.version('soxr')} {RESAMPLER_QUALITY}",
        }

    def crops(self, data: bytes) -> list[Samples]:
        """All crops of one file, each (n,) float32 at `sample_rate`. Raises AudioError."""
        samples, rate = decode(data)
        return cut(resample(samples, rate, self.sample_rate), self.crop_samples)

    @property
    def crop_samples(self) -> int | None:
        """Length of a crop in samples."""
        return None if self.crop_seconds is None else round(self.crop_seconds * self.sample_rate)


def decode(data: bytes) -> tuple[Samples, int]:
    """Decode a whole file to mono by the mean of its channels.

    WAV, FLAC, Ogg or MP3: the content decides, whatever the name says.
    Returns samples (n,) float32, n >= 1, full scale at 1, and the sample rate in Hz. Raises
    AudioError for what is empty, broken, cut short or holds NaN.
    """
    if not data:
        raise AudioError("empty file")
    fault = wav_fault(data) or ogg_fault(data)
    if fault is not None:
        raise AudioError(fault)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, stated = int(file.samplerate), int(file.frames)
            if stated == _UNKNOWN_FRAMES:
                raise AudioError("its header does not state its length; encode it again")
            guessed = file.format == "MP3" and not mp3_states_its_length(data)
            channels = _read_to_the_end(file) if guessed else _read_stated(file)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"cannot be decoded: {error.error_string.rstrip('.')}") from error
    except MemoryError as error:
        raise AudioError(f"its header states {stated} samples, too many for the memory") from error
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise AudioError(f"a sample rate of {rate} Hz; mend its header")
    if guessed and len(channels) < mp3_samples(data) - _MP3_EDGES:
        raise AudioError("an MP3 of varying rate that does not state its length; encode it again")
    if len(channels) < stated and not guessed:
        raise AudioError(f"cut short: {len(channels)} of {stated} samples")
    if len(channels) == 0:
        raise AudioError("no samples")
    samples = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1, dtype=np.float32)
    if not np.isfinite(samples).all():
        count = int(np.count_nonzero(~np.isfinite(samples)))
        raise AudioError(f"{count} of {len(samples)} samples are NaN or infinite")
    return np.ascontiguousarray(samples), rate


def _read_stated(file: soundfile.SoundFile) -> NDArray[np.float32]:
    """(n, channels), as many samples as the header states, or fewer where they end before."""
    samples: NDArray[np.float32] = file.read(dtype="float32", always_2d=True)
    return samples


def _read_to_the_end(file: soundfile.SoundFile) -> NDArray[np.float32]:
    """(n, channels), however many there are."""
    blocks = []
    while True:
        block = np.empty((1 << 16, file.channels), np.float32)
        blocks.append(file.read(out=block))
        if len(blocks[-1]) < len(block):
            return np.concatenate(blocks)


def resample(samples: Samples, rate: int, target: int) -> Samples:
    """Resample (n,) from `rate` to `target` Hz by soxr; at least one sample comes back."""
    if rate == target:
        return samples
    resampled: Samples = soxr.resample(samples, rate, target, quality=RESAMPLER_QUALITY)
    return resampled if len(resampled) else samples[:1]


def cut(samples: Samples, crop_samples: int | None) -> list[Samples]:
    """Consecutive whole crops; the rest is dropped. What is shorter than one crop stays whole.

    It is not padded here: an encoder gets true lengths, so padding could only do harm.
    """
    if crop_samples is None or len(samples) <= crop_samples:
        return [samples]
    whole = len(samples) // crop_samples
    return [samples[i * crop_samples : (i + 1) * crop_samples] for i in range(whole)]
