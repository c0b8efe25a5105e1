"""From a file's bytes to what an encoder hears: decode, mix to mono, resample, crop."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from earmark.benchmark.audio.containers import (
    au_fault,
    flac_fault,
    flac_md5,
    mp3_fault,
    mp3_samples,
    mp3_states_its_length,
    ogg_fault,
    wav_fault,
    wav_without_size,
)

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
_BLOCK = 1 << 20  # samples a channel that are read at once


class AudioError(ValueError):
    """A file that does not decode to usable audio; says why in a few words."""


def decode(data: bytes, target: int | None = None) -> tuple[Samples, int]:
    """Decode a whole file to mono by the mean of its channels.

    WAV, FLAC, Ogg, MP3 or AU: the content decides, whatever the name says. target: a sample rate in
    Hz to resample to while reading, so that an hour of stereo is never held whole at its own rate;
    None: its own rate.
    Returns samples (n,) float32, n >= 1, full scale at 1, and their sample rate in Hz. Raises
    AudioError for what is empty, broken, cut short or holds NaN.
    """
    gathered, _, rate = _gather(data, target)
    return gathered.samples(), target or rate


def decode_blocks(data: bytes, take: Callable[[Samples], None]) -> tuple[int, int]:
    """Decode a whole file to mono at its own rate, as `decode` does, and hold one block at a time.

    take: called with block after block, (n,) float32; which blocks there are says nothing. Returns
    how many samples there are and their rate in Hz. Raises AudioError as `decode` does, which may
    be after blocks were taken: these are worth nothing then.
    """
    return _read(data, lambda rate: take)


def _gather(data: bytes, target: int | None) -> tuple[_Gathered, int, int]:
    """A file's samples, how many were read, and its own sample rate in Hz."""
    gathered: list[_Gathered] = []

    def begin(rate: int) -> Callable[[Samples], None]:
        gathered.append(_Gathered(rate, target or rate))
        return gathered[0].take

    read, rate = _read(data, begin)
    return gathered[0], read, rate


def _read(data: bytes, begin: Callable[[int], Callable[[Samples], None]]) -> tuple[int, int]:
    """How many samples were read of a file, and its own sample rate in Hz.

    begin: called with the rate; it returns what takes the blocks.
    """
    if not data:
        raise AudioError("empty file")
    fault = wav_fault(data) or ogg_fault(data) or au_fault(data) or flac_fault(data)
    if fault is not None:
        raise AudioError(fault)
    unsized = wav_without_size(data)
    if unsized is not None:  # to the end, as where a size says that it is not known
        data = data[:unsized] + b"\xff" * 4 + data[unsized + 4 :]
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, stated = int(file.samplerate), int(file.frames)
            if stated == _UNKNOWN_FRAMES:
                raise AudioError("its header does not state its length; encode it again")
            if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
                raise AudioError(f"a sample rate of {rate} Hz; fix its header")
            guessed = file.format == "MP3" and not mp3_states_its_length(data)
            mixer = _Mixer(begin(rate), _Md5.of(file, data))
            for block in _read_to_the_end(file) if guessed else _read_stated(file):
                mixer.add(block)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"cannot be decoded: {error.error_string.rstrip('.')}") from error
    if guessed and mixer.read < mp3_samples(data) - _MP3_EDGES:
        raise AudioError("an MP3 of varying rate that does not state its length; encode it again")
    if mixer.read < stated and not guessed:
        raise AudioError(f"cut short: {mixer.read} of {stated} samples")
    if mixer.read == 0:
        raise AudioError("no samples")
    if mixer.md5 is not None and not mixer.md5.fits():
        raise AudioError("damaged: its samples are not those whose MD5 its header states")
    if file.format == "MP3" and not guessed:
        fault = mp3_fault(data, stated)
        if fault is not None:
            raise AudioError(fault)
    if mixer.strange:
        raise AudioError(f"{mixer.strange} of {mixer.read} samples are NaN or infinite")
    return mixer.read, rate


class _Mixer:
    """Mixes blocks of a file down and hands them on.

    read: samples read so far; strange: those of them that are NaN or infinite.
    """

    def __init__(self, take: Callable[[Samples], None], md5: _Md5 | None) -> None:
        self.take, self.md5 = take, md5
        self.read, self.strange = 0, 0

    def add(self, block: NDArray[np.float32]) -> None:
        """The next samples, (n, channels)."""
        if self.md5 is not None:
            self.md5.add(block)
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
        self.read += len(mono)
        self.strange += len(mono) - int(np.count_nonzero(np.isfinite(mono)))
        self.take(mono)


class _Md5:
    """MD5 of a FLAC's samples beside the one that it states: of whole numbers, little-endian,
    channel by channel within each instant (RFC 9639, section 8.2).

    Samples of 8, 16 and 24 bits come out of the decoder divided by a power of two, which float32
    holds exactly; multiplied they are the numbers in the file.
    """

    def __init__(self, stated: bytes, size: int) -> None:
        self.stated, self.size = stated, size
        self.digest = hashlib.md5(usedforsecurity=False)

    @staticmethod
    def of(file: soundfile.SoundFile, data: bytes) -> _Md5 | None:
        """What checks a file; None for other formats and where no MD5 is stated."""
        stated = flac_md5(data) if file.format == "FLAC" else None
        size = {"PCM_S8": 1, "PCM_16": 2, "PCM_24": 3}.get(file.subtype)
        return None if stated is None or size is None else _Md5(stated, size)

    def add(self, block: NDArray[np.float32]) -> None:
        """The next samples, (n, channels)."""
        scaled = block * np.float32(1 << (8 * self.size - 1))
        if self.size == 3:
            wide = scaled.astype("<i4").reshape(-1).view(np.uint8).reshape(-1, 4)
            self.digest.update(np.ascontiguousarray(wide[:, :3]).data)
        else:
            self.digest.update(np.ascontiguousarray(scaled.astype(f"<i{self.size}")).data)

    def fits(self) -> bool:
        return self.digest.digest() == self.stated


class _Gathered:
    """Gathers blocks, resampled. Blocks give the bits that a whole does."""

    def __init__(self, rate: int, target: int) -> None:
        self.first: Samples = np.zeros(0, np.float32)
        self.blocks: list[Samples] = []
        self.stream: soxr.ResampleStream | None = None
        if rate != target:
            self.stream = soxr.ResampleStream(
                rate, target, 1, dtype="float32", quality=RESAMPLER_QUALITY
            )

    def take(self, mono: Samples) -> None:
        """The next samples, (n,)."""
        if not len(self.first):
            self.first = mono[:1].copy()
        if self.stream is not None:
            mono = self.stream.resample_chunk(np.ascontiguousarray(mono))
        self.blocks.append(mono)

    def samples(self) -> Samples:
        """All of them; at least one."""
        if self.stream is not None:
            self.blocks.append(self.stream.resample_chunk(np.zeros(0, np.float32), last=True))
        samples = self.blocks[0] if len(self.blocks) == 1 else np.concatenate(self.blocks)
        return np.ascontiguousarray(samples) if len(samples) else self.first


def _read_stated(file: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    """Blocks (n, channels), as many samples as the header states, or fewer if they end before."""
    if file.subtype == "PCM_16" and file.format in ("WAV", "WAVEX", "AU"):
        # the floats that libsndfile makes, but read at once: for floats it asks Python for 8 KB
        # at a time, and threads that decode would hold up the one that feeds the GPU
        while len(whole := file.read(_BLOCK, dtype="int16", always_2d=True)):
            yield whole.astype(np.float32) * np.float32(2.0**-15)
        return
    while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
        yield block


def _read_to_the_end(file: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    """Blocks (n, channels), however many there are."""
    while True:
        block = file.read(out=np.empty((1 << 16, file.channels), np.float32))
        yield block
        if len(block) < 1 << 16:
            return
