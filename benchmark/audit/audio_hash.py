"""What tells one recording from another, whatever file it is kept in.

Two files are *copies* of each other where their decoded samples are the same bit for bit: mixed
down as encoders hear them, as 16-bit numbers, at the same sample rate, without the digital silence
(samples of exactly 0) at both ends, and whichever way round the polarity is. So a clip is found
again in another lossless format, as mono or as stereo with equal channels, under another name,
padded with zeros or inverted.

Not found is what comes out as other numbers: a lossy encoding (unless both were decoded from the
same lossy file), another sample rate, another gain, an excerpt, added noise, another dither.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from earmark.benchmark.audio.decode import Samples, decode_blocks

# Raised whenever the same bytes get another hash; part of every key of the cache.
VERSION = 1
_FULL_SCALE = 32_768.0  # steps of 16 bits; 16-bit files come out as the numbers that they hold
_LARGEST = 2.0**30  # steps; what a float file holds beyond is cut off there
_SILENT_RANGE = 2  # steps from the lowest to the highest sample: -1, 0 and 1, about -90 dBFS
_ZEROS = bytes(1 << 20)


class AudioHash(NamedTuple):
    """One file's decoded audio.

    sha256: hex, of sample rate and samples without silent ends, polarity made alike; copies share
        it. samples: in the whole file, a channel. rate: in Hz. lead, trail: samples of exactly 0
        at its beginning and end (all are lead where nothing else is there). inverted: whether the
        polarity was turned.
    silent: its samples lie within three neighbouring steps of 16 bits. There is nothing to tell
        such a clip by, so it is no copy of anything.
    """

    sha256: str
    rate: int
    samples: int
    lead: int
    trail: int
    inverted: bool
    silent: bool

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


def hash_audio(data: bytes) -> AudioHash:
    """Decode a file and hash what it holds; one block of samples is held at a time.

    Raises AudioError where it cannot be decoded whole.
    """
    hasher = _Hasher()
    samples, rate = decode_blocks(data, hasher.take)
    return hasher.finish(samples, rate)


class _Hasher:
    """Hashes blocks as they come; how the samples are cut into blocks changes nothing."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.lowest, self.highest = np.inf, -np.inf
        self.lead = 0
        self.sign = 0  # of the first sample that is not 0; 0 until it has come
        self.zeros = 0  # samples of 0 that are not hashed: what comes next decides

    def take(self, mono: Samples) -> None:
        """The next samples, (n,) float32."""
        if not len(mono):
            return
        with np.errstate(over="ignore", invalid="ignore"):  # NaN: the decoder will refuse the file
            steps = np.rint(mono * np.float32(_FULL_SCALE)).clip(-_LARGEST, _LARGEST).astype("<i4")
        self.lowest = min(self.lowest, int(steps.min()))
        self.highest = max(self.highest, int(steps.max()))
        sounding = steps != 0
        first = int(sounding.argmax())
        if not sounding[first]:
            self.zeros += len(steps)
            return
        end = len(steps) - int(sounding[::-1].argmax())
        if self.sign == 0:
            self.lead = self.zeros + first
            self.sign = 1 if steps[first] > 0 else -1
        else:
            self._hash_zeros(self.zeros + first)
        self.digest.update((steps[first:end] * np.int32(self.sign)).astype("<i4", copy=False))
        self.zeros = len(steps) - end

    def finish(self, samples: int, rate: int) -> AudioHash:
        # the rate last: it is known when the file has been read
        self.digest.update(f"{rate} Hz".encode())
        return AudioHash(
            sha256=self.digest.hexdigest(),
            rate=rate,
            samples=samples,
            lead=self.lead if self.sign else samples,
            trail=self.zeros if self.sign else 0,
            inverted=self.sign < 0,
            silent=self.highest - self.lowest <= _SILENT_RANGE,
        )

    def _hash_zeros(self, count: int) -> None:
        left = 4 * count
        while left > 0:
            self.digest.update(_ZEROS[: min(left, len(_ZEROS))])
            left -= len(_ZEROS)
