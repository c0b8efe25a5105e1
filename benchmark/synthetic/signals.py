"""Toolbox of sounds: noise, tones, envelopes, filters, and the chain of a recording.

numpy alone, vectorised over samples. A signal is a float64 array (T,) of about unit level until
`record` sets its level; times are in seconds, frequencies in Hz, levels in dB. Everything that
varies is drawn from the generator given, so equal generators make equal signals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]
Generator = np.random.Generator
Gain = Callable[[Array], Array]  # frequencies (F,) in Hz -> linear gains (F,)

TABLE = 4096  # samples in one period of a wavetable
PEAK = 0.98  # no sample is larger


def fast_length(n: int) -> int:
    """Smallest length of 2^k, 3 * 2^k or 5 * 2^k samples that holds n: quick to transform."""
    power = 1 << max(3, (n - 1).bit_length())
    return min(size for size in (power * 5 // 8, power * 3 // 4, power) if size >= n)


def filtered(signal: Array, sr: int, gain: Gain) -> Array:
    """Signal with its spectrum weighted by `gain`, phases untouched."""
    size = fast_length(len(signal) + sr // 50)
    spectrum = np.fft.rfft(signal, size) * gain(frequencies(size, sr))
    return np.fft.irfft(spectrum, size)[: len(signal)]


def frequencies(size: int, sr: int) -> Array:
    """Frequencies of the bins of a real FFT of `size`; 1 Hz stands in for 0."""
    bins = np.arange(size // 2 + 1) * (sr / size)
    bins[0] = 1.0
    return bins


def band(low: float, high: float, order: int = 2) -> Gain:
    """Band pass with Butterworth magnitudes: 6 * order dB an octave on either side."""
    return lambda f: 1 / np.sqrt((1 + (low / f) ** (2 * order)) * (1 + (f / high) ** (2 * order)))


def slope(db_per_octave: float) -> Gain:
    """Straight line over log frequency, 0 dB at 1 kHz, level below 50 Hz."""
    return lambda f: (np.maximum(f, 50.0) / 1000) ** (db_per_octave / 6.0206)


def peaks(*bumps: tuple[float, float, float]) -> Gain:
    """Bell-shaped bumps (centre in Hz, width in octaves, height in dB) on a level line."""

    def gain(f: Array) -> Array:
        octaves = np.log2(f)
        db = sum(h * np.exp(-0.5 * ((octaves - np.log2(c)) / w) ** 2) for c, w, h in bumps)
        return 10.0 ** (np.asarray(db) / 20)

    return gain


def colour(rng: Generator, depth: float) -> Gain:
    """Random smooth response of about +-depth dB: a room, a microphone, a body."""
    sizes = rng.normal(0, depth, 4) / np.array([1.0, 1.3, 1.7, 2.2])
    turns = rng.uniform(0, 1, 4)
    octaves = np.linspace(0, 1, 64)  # 50 Hz to 9 kHz
    waves = np.cos(2 * np.pi * (np.outer(np.arange(1, 5) * 0.5, octaves) + turns[:, None]))
    line = 10.0 ** (sizes @ waves / 20)
    points = 50 * 180**octaves
    return lambda f: np.interp(f, points, line)


def chain(*gains: Gain) -> Gain:
    """Filters one after another."""

    def gain(f: Array) -> Array:
        product = np.ones_like(f)
        for one in gains:
            product = product * one(f)
        return product

    return gain


def noise(rng: Generator, n: int, sr: int, gain: Gain) -> Array:
    """Gaussian noise with the spectrum of `gain`, level 1 (RMS)."""
    size = fast_length(n)
    return unit(np.fft.irfft(white(rng, size) * gain(frequencies(size, sr)), size)[:n])


def white(rng: Generator, size: int) -> NDArray[np.complex128]:
    """Spectrum (size // 2 + 1,) of white noise of level 1 (RMS), drawn without a transform."""
    parts = rng.standard_normal((size // 2 + 1, 2)) * np.sqrt(size / 2)
    spectrum: NDArray[np.complex128] = parts.view(np.complex128)[:, 0]
    return spectrum


def unit(signal: Array) -> Array:
    """Signal brought to level 1 (RMS); silence stays silence."""
    return signal / max(float(np.sqrt(np.mean(signal**2))), 1e-9)


def contour(n: int, values: ArrayLike) -> Array:
    """Equally spaced values joined by straight lines over n samples."""
    points = np.asarray(values, dtype=np.float64)
    return np.interp(np.linspace(0, len(points) - 1, n), np.arange(len(points)), points)


def wander(rng: Generator, n: int, sr: int, rate: float) -> Array:
    """Slow random line of about unit size that turns `rate` times a second."""
    return contour(n, rng.standard_normal(max(3, int(n / sr * rate) + 2)))


def adsr(n: int, sr: int, attack: float, decay: float, sustain: float, release: float) -> Array:
    """Attack, decay and release in seconds, sustain 0..1; the release ends with the signal."""
    end = n / sr
    attack, release = min(attack, end / 3), min(release, end / 3)
    times = [0.0, attack, min(attack + decay, end - release), end - release, end]
    return np.interp(np.arange(n) / sr, times, [0.0, 1.0, sustain, sustain, 0.0])


def dying(n: int, sr: int, t60: float) -> Array:
    """Exponential decay by 60 dB in t60 seconds."""
    return np.exp(-6.91 / t60 * np.arange(n) / sr)


def tone(pitch: Array, amplitudes: ArrayLike, sr: int, phases: ArrayLike | None = None) -> Array:
    """Harmonic tone: pitch (T,) in Hz, linear amplitude of harmonic 1, 2, ...; level 1 (RMS).

    Harmonics above 0.47 * sr are left out; phases are in radians, all equal where None.
    """
    weights = np.asarray(amplitudes, dtype=np.float64)
    weights = weights[: max(1, int(0.47 * sr / float(pitch.max())))]
    spectrum = np.zeros(TABLE // 2 + 1, dtype=np.complex128)
    turns = np.zeros(len(weights)) if phases is None else np.asarray(phases)[: len(weights)]
    spectrum[1 : len(weights) + 1] = weights * np.exp(1j * turns)
    table = unit(np.fft.irfft(spectrum))
    place = np.cumsum(pitch) * (TABLE / sr)
    return table[place.astype(np.int64) % TABLE]


def rolloff(count: int, db_per_octave: float, even: float = 1.0) -> Array:
    """Amplitudes of `count` harmonics falling by so many dB an octave; even ones times `even`."""
    order = np.arange(1, count + 1)
    weights = order ** (-db_per_octave / 6.0206)
    return np.where(order % 2 == 0, weights * even, weights)


def partials(pitches: ArrayLike, amplitudes: ArrayLike, t60s: ArrayLike, n: int, sr: int) -> Array:
    """Sum of dying sines, each with its own pitch, amplitude and decay time; level 1 (RMS)."""
    rows = [np.asarray(x, dtype=np.float64)[:, None] for x in (pitches, amplitudes, t60s)]
    frequency, amplitude, t60 = (row[np.asarray(pitches) < 0.47 * sr] for row in rows)
    time = np.arange(n) / sr
    waves = np.sin(2 * np.pi * frequency * time) * np.exp(-6.91 / t60 * time)
    return unit((amplitude * waves).sum(axis=0))


def place(n: int, starts: Sequence[float] | Array, sounds: Sequence[Array], sr: int) -> Array:
    """Sounds laid at their starting times (seconds); what runs beyond n samples is cut off."""
    whole = np.zeros(n)
    for start, sound in zip(starts, sounds, strict=True):
        first = int(start * sr)
        part = sound[: max(0, n - first)]
        whole[first : first + len(part)] += part
    return whole


def times(rng: Generator, seconds: float, rate: float, jitter: float = 0.0) -> Array:
    """Starting times of events, `rate` a second; jitter 0 is strict, 1 is a Poisson-like crowd."""
    count = max(1, int(seconds * rate))
    offset = rng.uniform(0, 0.5 / rate)
    even = offset + np.arange(count) / rate
    return np.clip(even + jitter * rng.uniform(-1, 1, count) / rate, 0, None)


def click(rng: Generator, sr: int, seconds: float, gain: Gain) -> Array:
    """Short burst of noise that dies by 60 dB within its length."""
    n = max(8, int(seconds * sr))
    return filtered(rng.standard_normal(n) * dying(n, sr, seconds), sr, gain)


def reverberant(signal: Array, rng: Generator, sr: int, t60: float, wet: float) -> Array:
    """Signal with the tail of a room added; wet is the tail's level against the signal's."""
    n = int(min(t60, 0.6) * sr)
    tail = rng.standard_normal(n) * dying(n, sr, t60)
    size = fast_length(len(signal) + n)
    echo = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(tail, size), size)
    level = float(np.sqrt(np.mean(signal**2)))
    return signal + wet * level * unit(echo[: len(signal)])


def resampled(signal: Array, old: int, new: int) -> Array:
    """Signal at another sample rate, by cutting or padding its spectrum."""
    n = round(len(signal) * new / old)
    spectrum = np.fft.rfft(signal)
    keep = min(len(spectrum), n // 2 + 1)
    padded = np.zeros(n // 2 + 1, dtype=np.complex128)
    padded[:keep] = spectrum[:keep]
    return np.fft.irfft(padded, n) * (n / len(signal))


def record(
    signal: Array,
    rng: Generator,
    sr: int,
    *,
    channel: Gain | None = None,
    depth: float = 2.0,
    snr: tuple[float, float] = (15.0, 30.0),
    level: tuple[float, float] = (-32.0, -20.0),
) -> Array:
    """What a recording adds: channel, background noise, level. Samples end within +-0.98.

    channel: response shared by the clips of one recording; depth: the clip's own random response
    (dB); snr: range of the signal over the noise (dB); level: range of the RMS level (dB below
    full scale).
    """
    n = len(signal)
    size = fast_length(n + sr // 50)
    bins = frequencies(size, sr)
    response = colour(rng, depth)(bins)
    if channel is not None:
        response *= channel(bins)
    sound = np.fft.rfft(signal, size) * response
    hum = white(rng, size) * slope(rng.uniform(-5, -3))(bins) * band(60, 0.45 * sr)(bins)
    ratio = 10.0 ** (-rng.uniform(*snr) / 20) * np.linalg.norm(sound) / np.linalg.norm(hum)
    # the noise fills the padding too
    heard = unit(np.fft.irfft(sound + ratio * np.sqrt(size / n) * hum, size)[:n])
    heard *= 10.0 ** (rng.uniform(*level) / 20)
    return heard / max(1.0, float(np.abs(heard).max()) / PEAK)
