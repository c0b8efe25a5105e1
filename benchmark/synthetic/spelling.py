"""Twin of LibriSpeech-100h: words spelt letter by letter, each letter a sound of its own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from earmark.benchmark.synthetic.recipe import (
    Draw,
    Plan,
    Recipe,
    SyntheticClip,
    part_index,
    plan_of,
)
from earmark.benchmark.synthetic.signals import (
    Array,
    Generator,
    adsr,
    chain,
    colour,
    noise,
    peaks,
    record,
    slope,
    tone,
    unit,
)
from earmark.tasks import TaskSpec

SR = 16_000
PAUSE = 0.03  # seconds of silence after a letter

WORDS = (
    "a", "after", "and", "back", "been", "box", "but", "came", "can't", "child", "day", "don't",
    "down", "eye", "far", "first", "fox", "give", "good", "had", "he's", "hill", "house", "I'd",
    "in", "it's", "joy", "just", "keep", "kind", "king", "know", "law", "left", "little", "lazy",
    "man", "may", "moon", "my", "no", "of", "off", "old", "queen", "quick", "rain", "river",
    "see", "seven", "she", "ship", "size", "tree", "two", "up", "very", "was", "well", "young",
)  # fmt: skip


BANDS = tuple(430 * 1.46**i for i in range(8))
"""Centres in Hz of the eight bands; a letter sounds in two of them."""

# the commonest letters first: they get bands far apart
LETTERS = dict(
    zip(
        "etaoinshrdlcumwfgypbvkxjqz' ",
        sorted(combinations(range(8), 2), key=lambda pair: pair[0] - pair[1]),
        strict=True,
    )
)


@dataclass(frozen=True)
class Speller:
    """Who spells: pitch in Hz, factor on the bands, dB an octave, seconds a letter."""

    pitch: float
    tract: float
    tilt: float
    seconds: float


def draw_speller(rng: Generator, sex: str) -> Speller:
    """A woman or a man; the bands move little, for letters are told by them."""
    return Speller(
        pitch=(115.0 if sex == "M" else 195.0) * 2 ** (rng.normal(0, 1.5) / 12),
        tract=float(rng.uniform(0.95, 1.05)),
        tilt=float(rng.normal(-3, 1.5)),
        seconds=float(rng.uniform(0.075, 0.095)),
    )


def spell(text: str, speller: Speller, rng: Generator, sr: int) -> Array:
    """One sound a letter, each with a short silence after it, so that two equal ones are two."""
    tilt, harmonics, pieces = slope(speller.tilt), np.arange(1, 100), []
    for letter in text:
        bands = [BANDS[i] * speller.tract * np.exp(rng.normal(0, 0.06)) for i in LETTERS[letter]]
        body = chain(peaks(*((centre, 0.15, 36) for centre in bands)), tilt)
        n = int(speller.seconds * np.exp(rng.normal(0, 0.08)) * sr)
        pitch = np.full(n, speller.pitch * 2 ** (rng.normal(0, 1) / 12))
        voiced = tone(pitch, body(harmonics * pitch[0]), sr, rng.uniform(0, 6.28, 99))
        sound = unit(voiced + 0.4 * noise(rng, n, sr, body)) * adsr(n, sr, 0.01, 0.02, 0.9, 0.02)
        pieces += [sound * 10 ** (rng.normal(0, 2) / 20), np.zeros(int(PAUSE * sr))]
    return np.concatenate(pieces)


def librispeech_100h(spec: TaskSpec, draw: Draw) -> Plan:
    """Two to five of 60 words; women and men, none in two splits."""
    first = {"train": 84, "valid": 1272, "test": 1089}
    speakers = {"train": 20, "valid": 6, "test": 10}

    def make(part: str, sex: str, number: int) -> SyntheticClip:
        who = first[part] + 2 * (number % speakers[part]) + (sex == "F")
        key = f"{who}-{121_123 + part_index(spec, part)}-{number // speakers[part]:04d}"
        chooser = draw("text", key)
        text = " ".join(chooser.choice(WORDS, int(chooser.integers(2, 6))))

        def render(rng: Generator) -> Array:
            voice = draw("voice", who)
            spoken = spell(text.lower(), draw_speller(voice, sex), rng, SR)
            return record(spoken, rng, SR, channel=colour(voice, 1.0), depth=1.0, snr=(8, 20))

        metadata = {spec.label.field: text.upper(), "gender": sex, "speaker": who}
        return SyntheticClip(key, metadata, render, suffix="flac")

    return plan_of(spec, ("M", "F"), {"train": 190, "valid": 20, "test": 30}, make)


RECIPES: dict[str, Recipe] = {"librispeech_100h": librispeech_100h}
