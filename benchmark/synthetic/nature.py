"""Sounds of weather, animals, people, machines and things: (rng, n samples, rate in Hz) -> (n,).

Each draws its own pitch, rate and brightness from a range, so that no two are alike. Some
share a timbre and differ in time alone: a clock and a keyboard, footsteps and a knock.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from earmark.benchmark.synthetic.signals import (
    Array,
    Gain,
    Generator,
    band,
    chain,
    click,
    contour,
    dying,
    filtered,
    noise,
    partials,
    peaks,
    place,
    resampled,
    rolloff,
    slope,
    times,
    tone,
    unit,
    wander,
)
from earmark.benchmark.synthetic.voices import VOICE_RATE, Manner, babble, draw_speaker, fitted, say

Source = Callable[[Generator, int, int], Array]

# --- building blocks ------------------------------------------------------------------------------


def knocks(
    rng: Generator, n: int, sr: int, rate: float, jitter: float, gain: Gain, seconds: float
) -> Array:
    """Like clicks in a row: `rate` a second, each `seconds` long, with the spectrum of `gain`."""
    starts = times(rng, n / sr, rate, jitter)
    kernel = click(rng, sr, seconds, gain)
    sounds = [kernel * s for s in np.exp(rng.normal(0, 0.3, len(starts)))]
    return place(n, starts, sounds, sr)


def calls(rng: Generator, n: int, sr: int, rate: float, seconds: float, low: float, high: float,
          rising: bool, harmonics: Array) -> Array:  # fmt: skip
    """Short tones that glide between two pitches, `rate` a second."""
    size = int(seconds * sr)
    bend = np.linspace(0, 1, size) if rising else np.linspace(1, 0, size)
    pitch = low * (high / low) ** bend * 2 ** (rng.normal(0, 2) / 12)
    call = tone(pitch, harmonics, sr) * np.hanning(size)
    starts = times(rng, n / sr, rate, 0.2)
    return place(n, starts, [call] * len(starts), sr)


def motor(rng: Generator, n: int, sr: int, pitch: float, drop: float, hiss: float) -> Array:
    """Unsteady low tone with many harmonics (falling `drop` dB an octave) in mechanical noise."""
    speed = pitch * (1 + 0.03 * wander(rng, n, sr, 4))
    hum = tone(np.clip(speed, 5, None), rolloff(200, drop), sr, rng.uniform(0, 6.28, 200))
    return hum + hiss * noise(rng, n, sr, chain(slope(-3), band(100, 6000)))


def spoken(rng: Generator, n: int, sr: int, phones: str, sex: str, manner: Manner) -> Array:
    """A voice of a random person, at any rate."""
    voice = say(phones, draw_speaker(rng, sex, 1.3), rng, manner)
    return resampled(fitted(voice, rng, round(n * VOICE_RATE / sr) + 1), VOICE_RATE, sr)[:n]


# --- weather and water ----------------------------------------------------------------------------


def rain(rng: Generator, n: int, sr: int) -> Array:
    steady = noise(rng, n, sr, chain(slope(rng.uniform(-1, 1)), band(700, 9000)))
    return steady + 0.8 * knocks(rng, n, sr, 40, 1.0, band(2000, 7000), 0.01)


def wind(rng: Generator, n: int, sr: int) -> Array:
    gust: Array = np.exp(0.6 * wander(rng, n, sr, 3))
    whistle = peaks((rng.uniform(300, 700), 0.3, 12))
    return gust * noise(rng, n, sr, chain(slope(-5), band(80, 2500), whistle))


def waves(rng: Generator, n: int, sr: int) -> Array:
    swell = 0.15 + np.sin(np.pi * np.linspace(0, 1, n) + rng.uniform(-1, 1)) ** 2
    return swell * noise(rng, n, sr, chain(slope(-2), band(150, 5000)))


def stream(rng: Generator, n: int, sr: int) -> Array:
    drops = calls(rng, n, sr, 18, 0.04, 500, 1100, True, np.ones(1))
    return drops + 0.4 * noise(rng, n, sr, chain(slope(-2), band(400, 6000)))


def drips(rng: Generator, n: int, sr: int) -> Array:
    return calls(rng, n, sr, rng.uniform(3, 5), 0.05, 700, 1600, True, np.ones(1))


def fire(rng: Generator, n: int, sr: int) -> Array:
    crackle = knocks(rng, n, sr, 22, 1.0, band(1500, 9000, 1), 0.012)
    return unit(crackle) + 0.5 * noise(rng, n, sr, chain(slope(-5), band(60, 1500)))


# --- animals --------------------------------------------------------------------------------------


def dog(rng: Generator, n: int, sr: int) -> Array:
    size = int(0.17 * sr)
    pitch = contour(size, [0.8, 1.25, 0.75]) * rng.uniform(330, 560)
    bark: Array = tone(pitch, rolloff(40, 4), sr) + 0.5 * rng.standard_normal(size)
    bark = filtered(bark * np.hanning(size), sr, peaks((rng.uniform(800, 1300), 0.7, 18)))
    starts = times(rng, n / sr, rng.uniform(1.8, 3.2), 0.15)
    return place(n, starts, [bark] * len(starts), sr)


def cat(rng: Generator, n: int, sr: int) -> Array:
    size = int(min(0.7, 0.9 * n / sr) * sr)
    pitch = contour(size, [0.85, 1.1, 1.05, 0.8]) * rng.uniform(480, 750)
    cry = filtered(tone(pitch, rolloff(30, 3), sr), sr, peaks((rng.uniform(1300, 2200), 0.5, 18)))
    return place(n, [rng.uniform(0, n / sr - size / sr)], [cry * np.hanning(size)], sr)


def crow(rng: Generator, n: int, sr: int) -> Array:
    pitch = rng.uniform(420, 620)
    caws = calls(rng, n, sr, 2.2, 0.25, 0.9 * pitch, pitch, False, rolloff(40, 1))
    rough = 1 + 0.8 * np.sign(np.sin(2 * np.pi * 70 * np.arange(n) / sr))
    return filtered(caws * rough, sr, peaks((1700, 0.6, 14)))


def birds(rng: Generator, n: int, sr: int) -> Array:
    low = rng.uniform(2200, 3200)
    return calls(rng, n, sr, rng.uniform(4, 7), 0.09, low, 1.7 * low, True, rolloff(3, 18))


def crickets(rng: Generator, n: int, sr: int) -> Array:
    pitch = np.full(n, rng.uniform(3800, 5200))
    chirps: Array = np.clip(np.sin(2 * np.pi * rng.uniform(12, 20) * np.arange(n) / sr), 0, None)
    return tone(pitch, np.ones(1), sr) * chirps


def frog(rng: Generator, n: int, sr: int) -> Array:
    return filtered(knocks(rng, n, sr, rng.uniform(22, 32), 0.02, band(400, 2500), 0.02), sr,
                    peaks((rng.uniform(600, 1000), 0.4, 18)))  # fmt: skip


def bees(rng: Generator, n: int, sr: int) -> Array:
    return motor(rng, n, sr, rng.uniform(180, 260), 5, 0.1)


# --- people ---------------------------------------------------------------------------------------


def crying(rng: Generator, n: int, sr: int) -> Array:
    return spoken(rng, n, sr, "aaaaEEhaaaaEE", "F", Manner(2.0, drift=-4, tremor=0.8))


def footsteps(rng: Generator, n: int, sr: int) -> Array:
    return knocks(rng, n, sr, rng.uniform(1.8, 2.6), 0.03, band(80, 900, 1), 0.12)


def applause(rng: Generator, n: int, sr: int) -> Array:
    return knocks(rng, n, sr, 90, 1.0, band(700, 4500, 1), 0.03)


def children(rng: Generator, n: int, sr: int) -> Array:
    heard = np.zeros(n)
    for _ in range(3):
        manner = Manner(rng.uniform(1.3, 1.9), accent=6, tempo=1.2)
        heard += spoken(rng, n, sr, babble(rng, 0.9 * n / sr), "F", manner)
    return heard


def speech(rng: Generator, n: int, sr: int) -> Array:
    text = babble(rng, n / sr)
    return spoken(rng, n, sr, text, "MF"[int(rng.integers(2))], Manner(accent=3))


# --- machines -------------------------------------------------------------------------------------


def engine(rng: Generator, n: int, sr: int) -> Array:
    return motor(rng, n, sr, rng.uniform(24, 45), 5, 0.25)


def air_conditioner(rng: Generator, n: int, sr: int) -> Array:
    hum = tone(np.full(n, rng.choice([50.0, 60.0, 100.0, 120.0])), rolloff(12, 7), sr)
    return 0.5 * hum + noise(rng, n, sr, chain(slope(-5), band(60, 3500)))


def vacuum(rng: Generator, n: int, sr: int) -> Array:
    return motor(rng, n, sr, rng.uniform(230, 420), 8, 1.2)


def drilling(rng: Generator, n: int, sr: int) -> Array:
    work = 1 + 0.4 * wander(rng, n, sr, 6)
    return work * motor(rng, n, sr, rng.uniform(90, 160), 2, 0.8)


def jackhammer(rng: Generator, n: int, sr: int) -> Array:
    blows = knocks(rng, n, sr, rng.uniform(13, 20), 0.03, band(150, 5000, 1), 0.05)
    return unit(blows) + 0.25 * noise(rng, n, sr, chain(slope(-3), band(60, 4000)))


def helicopter(rng: Generator, n: int, sr: int) -> Array:
    blades = knocks(rng, n, sr, rng.uniform(12, 17), 0.02, band(60, 900, 1), 0.08)
    return unit(blades) + 0.3 * noise(rng, n, sr, chain(slope(-4), band(100, 4000)))


def siren(rng: Generator, n: int, sr: int) -> Array:
    turn = np.sin(2 * np.pi * (rng.uniform(0.8, 3) * np.arange(n) / sr + rng.uniform()))
    return tone(rng.uniform(750, 1050) * 2 ** (0.45 * turn), rolloff(8, 8), sr)


def car_horn(rng: Generator, n: int, sr: int) -> Array:
    pitch = rng.uniform(330, 460)
    pair = [tone(np.full(n, p), rolloff(25, 3), sr) for p in (pitch, 1.25 * pitch)]
    gate = (np.arange(n) / sr * rng.uniform(1, 2.5) + rng.uniform()) % 1 < 0.7
    return (pair[0] + pair[1]) * gate


def telephone(rng: Generator, n: int, sr: int) -> Array:
    turn = (np.arange(n) / sr * rng.uniform(14, 22)) % 1 < 0.5
    return tone(np.where(turn, 1.0, 1.25) * rng.uniform(1000, 1500), rolloff(6, 7), sr)


# --- things ---------------------------------------------------------------------------------------

_TICK = band(1800, 7000, 1)


def clock(rng: Generator, n: int, sr: int) -> Array:
    return knocks(rng, n, sr, rng.uniform(3.5, 4.5), 0.0, _TICK, 0.02)


def keyboard(rng: Generator, n: int, sr: int) -> Array:
    return knocks(rng, n, sr, rng.uniform(5, 8), 0.9, chain(_TICK, slope(-1)), 0.025)


def door_knock(rng: Generator, n: int, sr: int) -> Array:
    return knocks(rng, n, sr, rng.uniform(4, 6), 0.03, band(120, 900, 1), 0.07)


def bell(rng: Generator, n: int, sr: int) -> Array:
    ratios = np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 3.01, 4.1])
    return partials(rng.uniform(350, 750) * ratios, ratios**-0.7, 3.0 / ratios, n, sr)


def gun(rng: Generator, n: int, sr: int) -> Array:
    shot = click(rng, sr, rng.uniform(0.25, 0.6), chain(slope(-3), band(100, 7000)))
    shot[: sr // 200] *= 4
    return place(n, [rng.uniform(0.02, 0.3 * n / sr)], [shot], sr)


def keys(rng: Generator, n: int, sr: int) -> Array:
    starts = times(rng, n / sr, 11, 1.0)
    size = int(0.12 * sr)
    rings = [partials(rng.uniform(3500, 7400, 4), np.ones(4), np.full(4, 0.12), size, sr)
             for _ in starts]  # fmt: skip
    return place(n, starts, rings, sr)


def brass_chord(rng: Generator, n: int, sr: int) -> Array:
    """Music heard in a street: three notes over a beat."""
    root = 220 * 2 ** (rng.integers(-5, 7) / 12)
    beat = 0.5 + 0.5 * dying(n, sr, 8.0)
    notes = [tone(np.full(n, root * r), rolloff(20, 6), sr) for r in (1.0, 1.26, 1.5)]
    chord: Array = np.sum(notes, axis=0)
    drum = knocks(rng, n, sr, rng.uniform(2, 3.2), 0.0, band(60, 5000, 1), 0.12)
    return beat * chord + 1.5 * unit(drum)
