"""A voice: glottal pulses and breath through moving formants, and phones made of them.

A `Track` says, every 16 ms, what the pitch, the formants and the three sources (pulses, breath,
friction noise) do; `vocalise` turns it into samples at 16 kHz with one filter a frame. Formant
values follow Peterson and Barney (1952), rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from earmark.benchmark.synthetic.signals import (
    Array,
    Gain,
    Generator,
    frequencies,
    rolloff,
    slope,
    tone,
    unit,
)

Spectra = NDArray[np.complex64]  # single precision: half the time, and 16 bits are kept

VOICE_RATE = 16_000  # Hz
WINDOW = 512
HOP = 256  # samples: 16 ms
FRAMES_PER_SECOND = VOICE_RATE / HOP

_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)
_BINS = frequencies(WINDOW, VOICE_RATE)
_DELAY = np.exp(-1j * np.pi * np.arange(WINDOW // 2 + 1) / (WINDOW // 2)).astype(np.complex64)
_DELAY2 = _DELAY**2
_LIPS = slope(4.0)(_BINS)  # what radiates from the mouth, heard close by
_UPPER = (3500.0, 4500.0)  # formants 4 and 5 hardly move
_WIDTHS = (70.0, 90.0, 130.0, 200.0, 300.0)  # bandwidths in Hz


@dataclass(frozen=True)
class Phone:
    """One sound of speech: formants 1 to 3 in Hz, levels of the three sources, length in seconds.

    centre, width: the friction noise's band in Hz; stop: silence first, then a short burst.
    """

    formants: tuple[float, float, float]
    voiced: float = 1.0
    breath: float = 0.0
    friction: float = 0.0
    centre: float = 4000.0
    width: float = 2000.0
    seconds: float = 0.09
    stop: bool = False


def _hiss(centre: float, width: float, friction: float, voiced: float = 0.0) -> Phone:
    return Phone((400, 1600, 2600), voiced, 0.0, friction, centre, width, 0.08)


def _stop(centre: float, voiced: float) -> Phone:
    return Phone((350, 1500, 2500), voiced, 0.0, 0.7, centre, 1200, 0.065, stop=True)


PHONES = {
    "i": Phone((280, 2250, 2950)), "I": Phone((400, 1950, 2550)), "e": Phone((430, 2080, 2600)),
    "E": Phone((560, 1800, 2500)), "a": Phone((740, 1300, 2500)), "A": Phone((700, 1080, 2450)),
    "O": Phone((570, 860, 2420)), "o": Phone((450, 830, 2400)), "u": Phone((310, 870, 2250)),
    "y": Phone((280, 1900, 2200)), "2": Phone((400, 1550, 2250)), "@": Phone((500, 1450, 2450)),
    "m": Phone((250, 1100, 2200), 0.45, seconds=0.07), "n": Phone((250, 1600, 2500), 0.45),
    "N": Phone((250, 2000, 2500), 0.45), "l": Phone((360, 1200, 2700), 0.6, seconds=0.06),
    "r": Phone((400, 1250, 1650), 0.7, seconds=0.06),
    "w": Phone((300, 680, 2300), 0.7, seconds=0.06),
    "j": Phone((270, 2250, 3000), 0.7, seconds=0.06),
    "h": Phone((500, 1500, 2500), 0.0, 0.35, seconds=0.06),
    "s": _hiss(6200, 1200, 0.5), "z": _hiss(6000, 1200, 0.3, 0.4), "S": _hiss(3200, 900, 0.6),
    "Z": _hiss(3000, 900, 0.35, 0.4), "f": _hiss(5000, 3000, 0.18),
    "v": _hiss(4500, 3000, 0.1, 0.5), "T": _hiss(6500, 2500, 0.15), "x": _hiss(1700, 600, 0.4),
    "p": _stop(900, 0.0), "t": _stop(4500, 0.0), "k": _stop(2000, 0.0),
    "b": _stop(800, 0.25), "d": _stop(4000, 0.25), "g": _stop(1900, 0.25),
    " ": Phone((500, 1500, 2500), 0.0, seconds=0.05),
}  # fmt: skip
VOWELS = "iIeEaAOouy2@"

_SPELLING = {
    "igh": "aI", "tch": "tS", "th": "T", "sh": "S", "ch": "tS", "ck": "k", "ee": "i", "ea": "i",
    "oo": "u", "ou": "au", "ow": "au", "ai": "eI", "ay": "eI", "ei": "eI", "ng": "N",
    "qu": "kw", "ph": "f", "gh": "", "a": "a", "b": "b", "c": "k", "d": "d", "e": "E",
    "f": "f", "g": "g", "h": "h", "i": "I", "j": "dZ", "k": "k", "l": "l", "m": "m", "n": "n",
    "o": "O", "p": "p", "q": "k", "r": "r", "s": "s", "t": "t", "u": "@", "v": "v", "w": "w",
    "x": "ks", "y": "I", "z": "z", " ": " ",
}  # fmt: skip


def phones_of(text: str) -> str:
    """Phones of English text by simple spelling rules; what is not a letter is passed over."""
    words = text.lower().split()
    # a final e is mute, but not in a word with no other vowel
    spelt = [w[:-1] if len(w) > 3 and w.endswith("e") and w[-2] != "e" else w for w in words]
    rest, phones = " ".join(spelt), ""
    while rest:
        size = next((k for k in (3, 2, 1) if rest[:k] in _SPELLING), 0)
        phones += _SPELLING[rest[:size]] if size else ""
        rest = rest[max(1, size) :]
    return phones


@dataclass(frozen=True)
class Speaker:
    """What stays the same in all that one person says.

    pitch: mean in Hz; tract: factor on all formants (1 a man's, 1.17 a woman's); bend: factor on
    each of the 5; tilt: dB an octave of the pulses' spectrum; breath: 0..1; tempo: factor;
    timbre: response of the body, or None.
    """

    pitch: float
    tract: float
    bend: tuple[float, ...] = (1.0,) * 5
    tilt: float = 7.0
    breath: float = 0.05
    tempo: float = 1.0
    timbre: Gain | None = None


def draw_speaker(rng: Generator, sex: str, spread: float = 1.0) -> Speaker:
    """Random adult speaker, `M` or `F`; spread widens all that tells speakers apart."""
    pitch, tract = (118.0, 1.0) if sex == "M" else (205.0, 1.16)
    return Speaker(
        pitch=pitch * 2 ** (spread * rng.normal(0, 2.2) / 12),
        tract=tract * float(np.exp(spread * rng.normal(0, 0.045))),
        bend=tuple(np.exp(spread * rng.normal(0, 0.035, 5))),
        tilt=7.0 + spread * rng.normal(0, 1.2),
        breath=0.05 * float(np.exp(spread * rng.normal(0, 0.5))),
        tempo=float(np.exp(spread * rng.normal(0, 0.08))),
    )


@dataclass(frozen=True)
class Manner:
    """How something is said, against the speaker's own habit.

    pitch, tempo: factors; accent: size of pitch accents in semitones; drift: rise (or fall, below
    0) over the utterance in semitones; tremor: vibrato at 6 Hz in semitones; tilt: dB an octave;
    breath: added; swell: final loudness against the first, dB; swing: contrast of loud and
    soft syllables in dB.
    """

    pitch: float = 1.0
    tempo: float = 1.0
    accent: float = 2.0
    drift: float = -3.0
    tremor: float = 0.0
    tilt: float = 0.0
    breath: float = 0.0
    swell: float = -3.0
    swing: float = 2.0


@dataclass(frozen=True)
class Track:
    """One value a frame of 16 ms (F,): pitch in Hz, levels of the sources; formants (F, 3)."""

    pitch: Array
    formants: Array
    voiced: Array
    breath: Array
    friction: Array
    centre: Array
    width: Array


def track_of(phones: Sequence[Phone], speaker: Speaker, manner: Manner, rng: Generator) -> Track:
    """Frames of a row of phones as a speaker says them; lengths and levels vary a little."""
    count = len(phones)
    tempo = speaker.tempo * manner.tempo / FRAMES_PER_SECOND
    wanted = np.array([p.seconds for p in phones]) * np.exp(rng.normal(0, 0.12, count)) / tempo
    lengths = np.maximum(2, np.round(wanted)).astype(np.int64)
    which = np.repeat(np.arange(count), lengths)
    frames = len(which)
    within = np.arange(frames) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    left = lengths[which] - within  # frames to the end of the phone

    def spread(values: Sequence[float] | Sequence[tuple[float, float, float]]) -> Array:
        return np.asarray(values, dtype=np.float64)[which]

    stop = np.array([p.stop for p in phones])[which]
    burst = np.where(stop, (left <= 1).astype(np.float64), 1.0)
    loud = 10 ** (rng.normal(0, manner.swing, count) / 20)[which]
    loud *= 10 ** (np.linspace(0, manner.swell, frames) / 20)
    return Track(
        pitch=speaker.pitch * manner.pitch * 2 ** (_melody(frames, manner, rng) / 12),
        formants=_smooth(spread([p.formants for p in phones])),
        voiced=_smooth(spread([p.voiced for p in phones]) * loud),
        breath=_smooth(spread([p.breath for p in phones]) * loud) + manner.breath,
        friction=spread([p.friction for p in phones]) * loud * burst,
        centre=spread([p.centre for p in phones]),
        width=spread([p.width for p in phones]),
    )


def _melody(frames: int, manner: Manner, rng: Generator) -> Array:
    """Pitch line in semitones around the mean (frames,): drift, accents, tremor, unsteadiness."""
    time = np.arange(frames) / FRAMES_PER_SECOND
    middle = np.linspace(-0.5, 0.5, frames) * manner.drift
    beats = np.arange(rng.uniform(0, 0.3), time[-1] + 0.3, 0.35)
    sizes = manner.accent * rng.uniform(0.5, 1.3, len(beats))
    bumps = sizes @ np.exp(-0.5 * ((time - beats[:, None]) / 0.07) ** 2) if len(beats) else 0.0
    shake = manner.tremor * np.sin(2 * np.pi * (6 * time + rng.uniform()))
    line: Array = middle + bumps + shake + rng.normal(0, 0.15, frames)
    return line


def _smooth(rows: Array) -> Array:
    """Running mean over 3 frames, ends held: articulators move, they do not jump."""
    held = np.concatenate([rows[:1], rows, rows[-1:]])
    mean: Array = (held[:-2] + held[1:-1] + held[2:]) / 3
    return mean


def _formant_filter(formants: Array, speaker: Speaker) -> Spectra:
    """Frequency responses (F, bins) of five resonances in a row."""
    upper = np.broadcast_to(np.array(_UPPER), (len(formants), 2))
    centres = np.hstack([formants, upper]) * speaker.tract * np.asarray(speaker.bend)
    poles = np.ones((len(formants), len(_BINS)), dtype=np.complex64)
    level = np.ones((len(formants), 1))
    for k, width in enumerate(_WIDTHS):
        radius = float(np.exp(-np.pi * width / VOICE_RATE))
        angle = 2 * np.pi * np.minimum(centres[:, k : k + 1], 7600) / VOICE_RATE
        turn = 2 * radius * np.cos(angle)
        level *= 1 - turn + radius**2
        poles *= (1 + radius**2 * _DELAY2) - turn.astype(np.float32) * _DELAY
    body = _LIPS if speaker.timbre is None else _LIPS * speaker.timbre(_BINS)
    return np.divide((level * body).astype(np.float32), poles)


def vocalise(track: Track, speaker: Speaker, rng: Generator, *, tilt: float = 0.0,
             flat_phase: bool = False) -> Array:  # fmt: skip
    """Samples (F * 256,) at 16 kHz, level 1 (RMS).

    tilt is added to the speaker's; flat_phase: harmonics and formants all in phase, the buzz of a
    simple vocoder.
    """
    frames = len(track.pitch)
    n = frames * HOP
    pitch = np.interp(np.arange(n) / HOP, np.arange(frames), track.pitch)
    harmonics = rolloff(120, max(1.0, speaker.tilt + tilt))
    # a glottal pulse is lopsided: its harmonics drift apart in phase
    phases = None if flat_phase else 0.9 * np.sqrt(np.arange(1, 121)) * np.pi
    pulses = _frames(tone(np.clip(pitch, 40, 1500), harmonics, VOICE_RATE, phases))
    hiss = _frames(rng.standard_normal(n))
    response = _formant_filter(track.formants, speaker)
    if flat_phase:
        response = np.abs(response).astype(np.complex64)
    pulses *= _column(track.voiced)
    pulses += _column(0.5 * (track.breath + speaker.breath * track.voiced)) * hiss
    pulses *= response
    rough = np.flatnonzero(track.friction > 0)
    offset = (_BINS - track.centre[rough, None]) / track.width[rough, None]
    shape = 0.25 * track.friction[rough, None] * np.exp(-0.5 * offset**2)
    pulses[rough] += shape.astype(np.float32) * hiss[rough]
    pieces = np.fft.irfft(pulses, WINDOW)
    halves = np.zeros((frames + 1, HOP))
    halves[:-1] += pieces[:, :HOP]
    halves[1:] += pieces[:, HOP:]
    return unit(halves.reshape(-1)[HOP // 2 : HOP // 2 + n])


def _frames(signal: Array) -> Spectra:
    """Spectra (F, bins) of windows centred on each hop's middle."""
    padded = np.pad(signal, HOP // 2).astype(np.float32)
    spectra = np.fft.rfft(sliding_window_view(padded, WINDOW)[::HOP] * _HANN)
    return spectra.astype(np.complex64, copy=False)


def _column(levels: Array) -> NDArray[np.float32]:
    return levels[:, None].astype(np.float32)


def say(phones: str, speaker: Speaker, rng: Generator, manner: Manner | None = None) -> Array:
    """Speech at 16 kHz from a string of phones (see `PHONES`), level 1 (RMS)."""
    manner = manner or Manner()
    track = track_of([PHONES[p] for p in phones], speaker, manner, rng)
    return vocalise(track, speaker, rng, tilt=manner.tilt)


def babble(rng: Generator, seconds: float, vowels: str = "iEaou@", onsets: str = "mnltdkgsbpr",
           closed: float = 0.25) -> str:  # fmt: skip
    """Random syllables of so many seconds at tempo 1; closed: share that end in a consonant."""
    phones, length = "", 0.0
    while length < seconds:
        syllable = rng.choice(list(onsets)) + rng.choice(list(vowels))
        syllable += rng.choice(list(onsets)) if rng.uniform() < closed else ""
        phones += syllable
        length += sum(PHONES[p].seconds for p in syllable)
    return phones


def fitted(signal: Array, rng: Generator, n: int) -> Array:
    """Exactly n samples: cut, or set at a random place in silence."""
    if len(signal) >= n:
        return signal[:n]
    before = int(rng.integers(0, n - len(signal) + 1))
    return np.pad(signal, (before, n - len(signal) - before))


def varied(speaker: Speaker, rng: Generator, semitones: float = 0.5) -> Speaker:
    """The same speaker on another day."""
    return replace(
        speaker,
        pitch=speaker.pitch * 2 ** (rng.normal(0, semitones) / 12),
        tempo=speaker.tempo * float(np.exp(rng.normal(0, 0.05))),
    )
