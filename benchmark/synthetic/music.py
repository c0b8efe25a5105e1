"""Twins of tasks about music: genres and instruments."""

from __future__ import annotations

from earmark.benchmark.synthetic.instruments import TIMBRES, Style, hertz, note, own, piece
from earmark.benchmark.synthetic.recipe import Draw, Plan, Recipe, SyntheticClip, plan_of
from earmark.benchmark.synthetic.signals import Array, Generator, colour, record, unit
from earmark.tasks import TaskSpec

MAJOR, MINOR, SEVENTH = (0, 4, 7), (0, 3, 7), (0, 4, 7, 10)

GTZAN = {
    "blues": Style((75, 100), "x...x...", "....x...", "guitar", "guitar", SEVENTH, swing=0.3,
                   busy=0.5),
    "classical": Style((70, 120), "", "", "string", "string", MAJOR, drums=0, bass=0.3, busy=0.7),
    "country": Style((95, 125), "x...x...", "..x...x.", "guitar", "guitar", MAJOR, low=52,
                     busy=0.8),
    "disco": Style((115, 130), "x.x.x.x.", "..x...x.", "string", "keyboard", MINOR, hats=0.9),
    "hiphop": Style((80, 100), "x..x....", "....x...", "vocal", "keyboard", MINOR, bass=1.4,
                    drums=1.1, busy=0.3),
    "jazz": Style((110, 160), "x.......", "", "brass", "keyboard", (0, 4, 7, 11), swing=0.33,
                  drums=0.3),
    "metal": Style((130, 180), "xxxxxxxx", "..x...x.", "synth_lead", "synth_lead", (0, 7), low=40,
                   drive=1.0, drums=0.9),
    "pop": Style((95, 125), "x...x.x.", "..x...x.", "vocal", "keyboard", MAJOR),
    "reggae": Style((70, 95), "....x...", "....x...", "organ", "guitar", MINOR, bass=1.3, busy=0.3),
    "rock": Style((105, 140), "x...xx..", "..x...x.", "guitar", "synth_lead", (0, 7), drive=0.5),
}  # fmt: skip

FMA = {
    "Hip-Hop": Style((80, 100), "x..x....", "....x...", "vocal", "keyboard", MINOR, bass=1.5,
                     drums=1.2, busy=0.2),
    "Pop": Style((95, 125), "x...x.x.", "..x...x.", "vocal", "keyboard", MAJOR),
    "Folk": Style((80, 120), "", "", "vocal", "guitar", MAJOR, drums=0, bass=0.2),
    "Experimental": Style((50, 160), "x.....x.", "", "synth_lead", "mallet", (0, 1, 6), hats=0.2,
                          drums=0.4, busy=0.4),
    "Rock": Style((105, 140), "x...xx..", "..x...x.", "guitar", "synth_lead", (0, 7), drive=0.6),
    "International": Style((90, 130), "x..x..x.", "", "reed", "mallet", (0, 5, 7), drums=0.5),
    "Electronic": Style((120, 140), "x.x.x.x.", "..x...x.", "synth_lead", "organ", MINOR, hats=1.0,
                        drums=1.0),
    "Instrumental": Style((60, 100), "", "", "keyboard", "string", MAJOR, drums=0, bass=0.4,
                          busy=0.4),
}  # fmt: skip


def gtzan(spec: TaskSpec, draw: Draw) -> Plan:
    """Ten genres at 22.05 kHz: tempo, drums, chords and who plays them."""

    def make(part: str, genre: str, number: int) -> SyntheticClip:
        key = f"{genre}_{int(part) * 10 + number:05d}"  # a dot would end it for webdataset

        def render(rng: Generator) -> Array:
            n = int(1.0 * 22_050)
            music = piece(GTZAN[genre], rng, n, 22_050, draw("track", key))
            return record(music, rng, 22_050, depth=1.2, snr=(15, 35))

        return SyntheticClip(key, {spec.label.field: genre}, render, 22_050)

    return plan_of(spec, spec.classes, 4, make)


def fma_small(spec: TaskSpec, draw: Draw) -> Plan:
    """Eight genres. A few clips make two crops."""
    first = {"train": 2, "valid": 60_000, "test": 120_000}

    def make(part: str, genre: str, number: int) -> SyntheticClip:
        which = spec.classes.index(genre)
        key = f"{first[part] + 8 * number + which:06d}"
        long = part != "valid" and number == 0 and which % 4 == 0

        def render(rng: Generator) -> Array:
            n = int((20.3 if long else 0.95) * 16_000)
            music = piece(FMA[genre], rng, n, 16_000, draw("track", key))
            return record(music, rng, 16_000, depth=2.0, snr=(15, 35))

        return SyntheticClip(key, {spec.label.field: genre}, render, suffix="flac")

    return plan_of(spec, spec.classes, {"train": 46, "valid": 4, "test": 14}, make)


NSYNTH_RANGE = {
    "guitar": (40, 64), "bass": (28, 45), "organ": (40, 70), "keyboard": (40, 76),
    "vocal": (48, 70), "string": (55, 80), "reed": (46, 70),
    "flute": (65, 88), "mallet": (65, 88), "brass": (45, 68), "synth_lead": (48, 76),
}  # fmt: skip


def nsynth(spec: TaskSpec, draw: Draw) -> Plan:
    """Single notes of eleven families; each instrument in one split only."""
    first = {"train": 0, "valid": 40, "test": 60}

    def make(part: str, family: str, number: int) -> SyntheticClip:
        kind = ("acoustic", "electronic", "synthetic")[number // 2 % 3]
        instrument = f"{family}_{kind}_{first[part] + number // 2:03d}"
        pitch = int(draw("pitch", instrument, number).integers(*NSYNTH_RANGE[family]))
        velocity = (25, 50, 75, 100, 127)[number % 5]
        key = f"{instrument}-{pitch:03d}-{velocity:03d}"

        def render(rng: Generator) -> Array:
            maker = draw("instrument", instrument)
            n = int(0.6 * 16_000)
            timbre, body = own(TIMBRES[family], maker, 0.6), colour(maker, 1.0)
            played = note(timbre, hertz(pitch), n, 16_000, rng, (velocity - 75) / 10)
            return record(unit(played), rng, 16_000, channel=body, depth=1.0, snr=(25, 45))

        metadata = {
            spec.label.field: family, "instrument_str": instrument, "pitch": pitch,
            "velocity": velocity, "instrument_source_str": kind,
        }  # fmt: skip
        return SyntheticClip(key, metadata, render)

    return plan_of(spec, spec.classes, {"train": 36, "valid": 4, "test": 12}, make)


RECIPES: dict[str, Recipe] = {"fma_small": fma_small, "gtzan": gtzan, "nsynth": nsynth}
