"""Twin of MAESTRO: up to four notes at a time on a piano of harmonic tones."""

from __future__ import annotations

from typing import Any

from earmark.benchmark.synthetic.instruments import Timbre, hertz, note, own
from earmark.benchmark.synthetic.recipe import Draw, Plan, Recipe, SyntheticClip
from earmark.benchmark.synthetic.signals import Array, Generator, colour, place, record
from earmark.tasks import TaskSpec

SR = 16_000
PIANO = Timbre(9, body=600, attack=0.005, ring=3.0)
VOICES = ((40, 54), (55, 65), (66, 76), (77, 96))
"""MIDI numbers each voice plays, from and to: apart, so that no note is struck while it sounds."""
SCALE = (0, 2, 4, 5, 7, 9, 11)


def score(rng: Generator, seconds: float) -> list[dict[str, Any]]:
    """Notes of one piece in order of time: four voices of one note at a time, with rests."""
    root, beat = int(rng.integers(12)), float(rng.uniform(0.22, 0.34))
    notes: list[dict[str, Any]] = []
    for low, high in VOICES:
        pitches = [p for p in range(low, high + 1) if (p - root) % 12 in SCALE]
        busy, time = rng.uniform(0.35, 0.75), rng.uniform(0.1, 0.6)
        while True:
            length = beat * float(rng.choice([0.5, 1, 1, 2, 3]))
            if time + length > seconds - 0.1:
                break
            if rng.uniform() < busy:
                start, end = round(time + rng.uniform(0, 0.02), 3), round(time + 0.9 * length, 3)
                notes.append({"start": start, "end": end, "note": int(rng.choice(pitches))})
            time += length
    return sorted(notes, key=lambda one: (one["start"], one["note"]))


def maestro(spec: TaskSpec, draw: Draw) -> Plan:
    """Pieces of 10 to 20 s, each on a piano of its own in a room of its own."""
    pieces = {"train": 24, "valid": 4, "test": 8}

    def make(part: str, number: int) -> SyntheticClip:
        year = {"train": 2004, "valid": 2009, "test": 2014}[part]
        session = f"{number // 4 + 1:02d}_R1_{year}"
        key = f"MIDI-Unprocessed_{session}_MID--AUDIO_{session}_wav--{number % 4 + 1}"
        composer = draw("score", key)
        seconds = float(composer.uniform(10, 20))
        notes = score(composer, seconds)

        def render(rng: Generator) -> Array:
            timbre = own(PIANO, rng, 0.3)
            sounds = [
                note(timbre, hertz(one["note"]), int((one["end"] - one["start"]) * SR), SR, rng,
                     float(rng.normal(0, 2)))
                for one in notes
            ]  # fmt: skip
            music = place(int(seconds * SR), [one["start"] for one in notes], sounds, SR)
            return record(music, rng, SR, channel=colour(rng, 1.0), depth=1.0, snr=(25, 40))

        return SyntheticClip(key, notes, render, SR, suffix="flac")

    return {part: [make(part, i) for i in range(pieces[part])] for part in spec.shard_patterns}


RECIPES: dict[str, Recipe] = {"maestro": maestro}
