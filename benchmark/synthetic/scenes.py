"""Twin of DESED: sounds of a home, each from a known time to a known time, in a room's noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from earmark.benchmark.synthetic import nature
from earmark.benchmark.synthetic.nature import Source, motor
from earmark.benchmark.synthetic.recipe import (
    Draw,
    Plan,
    Recipe,
    SyntheticClip,
    plan_of,
    video_name,
)
from earmark.benchmark.synthetic.signals import (
    Array,
    Generator,
    adsr,
    band,
    chain,
    colour,
    contour,
    filtered,
    noise,
    partials,
    peaks,
    place,
    record,
    rolloff,
    slope,
    tone,
    unit,
)
from earmark.benchmark.synthetic.voices import Manner, babble, draw_speaker, say
from earmark.tasks import TaskSpec

SR = 16_000

# --- sounds that last exactly as long as their label says -----------------------------------------


def _row(rng: Generator, n: int, sr: int, sound: Array, gap: float) -> Array:
    """A sound again and again, about `gap` seconds apart; the first begins and the last ends it."""
    last = max(0.0, (n - len(sound)) / sr)
    count = max(2, round(last / gap) + 1) if last > gap / 2 else 1
    starts = np.linspace(0, last, count)
    starts[1:-1] += rng.uniform(-0.1, 0.1, max(0, count - 2)) * gap
    return place(n, starts, [sound] * count, sr)


def _cat(rng: Generator, n: int, sr: int) -> Array:
    size = min(n, int(rng.uniform(0.6, 0.9) * sr))
    pitch = contour(size, [0.85, 1.1, 1.05, 0.8]) * rng.uniform(480, 750)
    cry = filtered(tone(pitch, rolloff(30, 3), sr), sr, peaks((rng.uniform(1500, 2000), 0.4, 24)))
    return _row(rng, n, sr, cry * adsr(size, sr, 0.05, 0.1, 0.8, 0.1), 0.85)


def _dog(rng: Generator, n: int, sr: int) -> Array:
    size = int(0.17 * sr)
    pitch = contour(size, [0.8, 1.25, 0.75]) * rng.uniform(330, 560)
    bark: Array = tone(pitch, rolloff(40, 4), sr) + 0.5 * rng.standard_normal(size)
    bark = filtered(bark * np.hanning(size), sr, peaks((rng.uniform(800, 1100), 0.5, 24)))
    return _row(rng, n, sr, bark, rng.uniform(0.24, 0.32))


def _dishes(rng: Generator, n: int, sr: int) -> Array:
    size = int(0.15 * sr)
    pitches = rng.uniform(4000, 6000, 6)
    clink = partials(pitches, np.ones(6), np.full(6, 0.2), size, sr)
    return _row(rng, n, sr, clink, rng.uniform(0.11, 0.16))


def _speech(rng: Generator, n: int, sr: int) -> Array:
    speaker = draw_speaker(rng, "MF"[int(rng.integers(2))], 1.3)
    # said from the start again where it is too short: no silence at its end
    return np.resize(say(babble(rng, 1.2 * n / sr), speaker, rng, Manner(accent=3)), n)


def _water(rng: Generator, n: int, sr: int) -> Array:
    return nature.stream(rng, n, sr) + noise(rng, n, sr, band(250, 900))


def _shaver(rng: Generator, n: int, sr: int) -> Array:
    return filtered(motor(rng, n, sr, rng.uniform(110, 140), 1.5, 0.1), sr, peaks((2500, 0.4, 20)))


def _vacuum(rng: Generator, n: int, sr: int) -> Array:
    return filtered(nature.vacuum(rng, n, sr), sr, peaks((330, 0.5, 20)))


def _blender(rng: Generator, n: int, sr: int) -> Array:
    rise = np.interp(np.arange(n) / sr, [0, 0.4], [0.8, 1.0])
    whine = tone(rise * rng.uniform(500, 800), rolloff(14, 4), sr)
    return whine + 0.6 * noise(rng, n, sr, chain(slope(-2), band(300, 5000)))


def _frying(rng: Generator, n: int, sr: int) -> Array:
    hiss = noise(rng, n, sr, chain(slope(2), band(3500, 7800)))
    return hiss + 0.5 * nature.knocks(rng, n, sr, 30, 1.0, band(2500, 7000), 0.01)


SOUNDS: dict[str, Source] = {
    "Cat": _cat, "Speech": _speech, "Running_water": _water, "Dishes": _dishes,
    "Electric_shaver_toothbrush": _shaver, "Vacuum_cleaner": _vacuum, "Blender": _blender,
    "Alarm_bell_ringing": nature.telephone, "Dog": _dog, "Frying": _frying,
}  # fmt: skip
LASTING = frozenset(
    ("Running_water", "Electric_shaver_toothbrush", "Vacuum_cleaner", "Blender", "Frying")
)

# --- scenes ---------------------------------------------------------------------------------------


def scene(
    rng: Generator, first: str, names: tuple[str, ...], seconds: float
) -> list[dict[str, Any]]:
    """Events of one clip in order of time, each of another class, the class `first` among them."""
    others = [name for name in names if name != first]
    chosen = [first, *rng.permutation(others)[: int(rng.choice([0, 1, 1, 2, 3]))]]
    spare = [name for name in others if name not in chosen]
    events = []
    for name in chosen:
        longest = 4.0 if name in LASTING else 2.5
        length = rng.uniform(0.8 if name not in LASTING else 1.5, longest)
        onset = rng.uniform(0.1, seconds - 0.1 - length)
        label = str(name)
        if rng.uniform() < 0.12:  # two at once
            label = ",".join(sorted([label, spare.pop(int(rng.integers(len(spare))))]))
        events.append(
            {"onset": round(onset, 3), "offset": round(onset + length, 3), "label": label}
        )
    return sorted(events, key=lambda event: (event["onset"], event["label"]))


def desed(spec: TaskSpec, draw: Draw) -> Plan:
    """Ten classes, up to four events that may overlap; two clips of a recording."""

    def make(part: str, label: str, number: int) -> SyntheticClip:
        video = video_name(draw("video", part, label, number // 2))
        start = 30 * (number % 2)
        key = f"Y{video}_{start}_000_{start + 10}_000"
        chooser = draw("scene", part, label, number)
        seconds = float(chooser.uniform(4.6, 5.6))
        events = scene(chooser, label, spec.classes, seconds)

        def render(rng: Generator) -> Array:
            room = draw("room", video)
            n = int(seconds * SR)
            heard = np.zeros(n)
            for event in events:
                size = int((event["offset"] - event["onset"]) * SR)
                for name in event["label"].split(","):
                    sound = unit(SOUNDS[name](rng, size, SR)) * adsr(size, SR, 0.01, 0.1, 1, 0.02)
                    level = 10 ** (rng.uniform(-4, 4) / 20)
                    heard = heard + level * place(n, [event["onset"]], [sound], SR)
            return record(heard, rng, SR, channel=colour(room, 1.5), depth=1.0, snr=(11, 17))

        return SyntheticClip(key, events, render, SR)

    return plan_of(spec, spec.classes, {"train": 36, "test": 6}, make)


RECIPES: dict[str, Recipe] = {"desed": desed}
