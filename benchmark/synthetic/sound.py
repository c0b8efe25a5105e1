"""Twins of tasks about the sounds of things."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from earmark.benchmark.synthetic import nature
from earmark.benchmark.synthetic.instruments import TIMBRES, hat, hertz, kick, note, own
from earmark.benchmark.synthetic.nature import Source
from earmark.benchmark.synthetic.recipe import (
    Draw,
    Plan,
    Recipe,
    SyntheticClip,
    part_index,
    plan_of,
)
from earmark.benchmark.synthetic.signals import Array, Generator, colour, place, record, times, unit
from earmark.benchmark.synthetic.voices import PHONES, VOICE_RATE, Manner, draw_speaker, fitted, say
from earmark.tasks import TaskSpec

# class index of ESC-50 -> sound
ESC50: dict[int, Source] = {
    0: nature.dog, 4: nature.frog, 5: nature.cat, 7: nature.bees, 9: nature.crow, 10: nature.rain,
    11: nature.waves, 12: nature.fire, 13: nature.crickets, 14: nature.birds, 15: nature.drips,
    16: nature.wind, 20: nature.crying, 25: nature.footsteps, 30: nature.door_knock,
    32: nature.keyboard, 36: nature.vacuum, 38: nature.clock, 40: nature.helicopter,
    46: nature.bell,
}  # fmt: skip


def esc50(spec: TaskSpec, draw: Draw) -> Plan:
    """20 of the 50 classes at 44.1 kHz, two takes of a recording in one fold."""

    def make(part: str, label: int, number: int) -> SyntheticClip:
        recording = 100_000 + 1000 * int(part) + 10 * label + number // 2
        key = f"{part}-{recording}-{'AB'[number % 2]}-{label}"

        def render(rng: Generator) -> Array:
            place_of = draw("recording", recording)
            sr, n = 44_100, int(rng.uniform(0.5, 0.75) * 44_100)
            made = unit(ESC50[label](rng, n, sr))
            return record(made, rng, sr, channel=colour(place_of, 1.5), depth=1.5, snr=(8, 28))

        return SyntheticClip(key, {spec.label.field: label, "fold": int(part)}, render, 44_100)

    return plan_of(spec, ESC50, 4, make)


URBAN: dict[str, Source] = {
    "air_conditioner": nature.air_conditioner, "car_horn": nature.car_horn,
    "children_playing": nature.children, "dog_bark": nature.dog, "drilling": nature.drilling,
    "engine_idling": nature.engine, "gun_shot": nature.gun, "jackhammer": nature.jackhammer,
    "siren": nature.siren, "street_music": nature.brass_chord,
}  # fmt: skip


def urbansound8k(spec: TaskSpec, draw: Draw) -> Plan:
    """Ten classes in ten folds, over traffic; rates and channels as mixed as the original's."""

    def make(part: str, label: str, number: int) -> SyntheticClip:
        kind = spec.classes.index(label)
        recording = 100_000 + 100 * int(part) + 4 * kind + number // 2
        key = f"{recording}-{kind}-0-{number % 2}"
        source = draw("recording", recording)
        sr = int(source.choice([16_000, 22_050, 44_100, 48_000], p=[0.7, 0.16, 0.08, 0.06]))
        stereo = source.uniform() < 0.25
        response = colour(source, 1.5)

        def render(rng: Generator) -> Array:
            n = int(rng.uniform(0.55, 0.9) * sr)
            made = unit(URBAN[label](rng, n, sr))
            heard = record(made, rng, sr, channel=response, depth=1.5, snr=(6, 24))
            if not stereo:
                return heard
            lag = int(0.0004 * sr)
            return np.stack([heard, 0.7 * np.roll(heard, lag)], axis=1)

        return SyntheticClip(key, {spec.label.field: label}, render, sr)

    return plan_of(spec, spec.classes, 4, make)


def instrument(name: str, low: int, high: int) -> Source:
    """A note or two of an instrument, between two MIDI numbers."""

    def source(rng: Generator, n: int, sr: int) -> Array:
        timbre = own(TIMBRES[name], rng)
        starts = times(rng, n / sr, rng.uniform(1.2, 3.0), 0.1)
        notes = [note(timbre, hertz(int(rng.integers(low, high))), n // 2, sr, rng) for _ in starts]
        return place(n, starts, notes, sr)

    return source


def _hit(drum: Callable[[Generator, int], Array]) -> Source:
    """A drum hit a few times."""

    def source(rng: Generator, n: int, sr: int) -> Array:
        starts = times(rng, n / sr, rng.uniform(1.5, 4), 0.1)
        return place(n, starts, [drum(rng, sr)] * len(starts), sr)

    return source


FSD18: dict[str, Source] = {
    "Hi-hat": _hit(hat), "Bass_drum": _hit(kick),
    "Flute": instrument("flute", 60, 84), "Double_bass": instrument("bass", 28, 45),
    "Violin_or_fiddle": instrument("string", 60, 84), "Trumpet": instrument("brass", 55, 75),
    "Knock": nature.door_knock, "Bark": nature.dog,
    "Keys_jangling": nature.keys, "Telephone": nature.telephone,
}  # fmt: skip


def fsd18_kaggle(spec: TaskSpec, draw: Draw) -> Plan:
    """10 of the 41 classes, one Freesound clip each."""

    def make(part: str, label: str, number: int) -> SyntheticClip:
        code = hash_number(draw, part, label, number)

        def render(rng: Generator) -> Array:
            n = int(rng.uniform(0.4, 0.7) * 16_000)
            made = unit(FSD18[label](rng, n, 16_000))
            return record(made, rng, 16_000, depth=1.5, snr=(10, 30))

        return SyntheticClip(f"{code:08x}", {spec.label.field: label}, render)

    return plan_of(spec, FSD18, {"train": 56, "test": 14}, make)


def hash_number(draw: Draw, *names: object) -> int:
    """Number of eight hexadecimal digits for a clip without a name."""
    return int(draw("name", *names).integers(16**8))


FSD50K: dict[str, Source] = {
    "Rain": nature.rain, "Wind": nature.wind, "Stream": nature.stream, "Crackle": nature.fire,
    "Bark": nature.dog, "Crow": nature.crow, "Cricket": nature.crickets,
    "Chirp_and_tweet": nature.birds, "Speech": nature.speech, "Engine": nature.engine,
    "Siren": nature.siren, "Telephone": nature.telephone, "Clapping": nature.applause,
}  # fmt: skip


def fsd50k(spec: TaskSpec, draw: Draw) -> Plan:
    """Mixtures of one to three of 13 sounds. A few clips make two crops."""
    names = sorted(FSD50K)
    first = {"train": 1000, "valid": 50_000, "test": 90_000}

    def make(part: str, label: str, number: int) -> SyntheticClip:
        code = first[part] + 100 * names.index(label) + number
        chooser = draw("labels", part, label, number)
        others = chooser.permutation([name for name in names if name != label])
        labels = sorted([label, *others[: int(chooser.choice([0, 1, 2], p=[0.4, 0.4, 0.2]))]])
        long = part != "valid" and number == 0 and names.index(label) % 13 == 0

        def render(rng: Generator) -> Array:
            n = int((20.4 if long else rng.uniform(0.6, 0.9)) * 16_000)
            levels = 10 ** (rng.normal(0, 3, len(labels)) / 20)
            parts = [unit(FSD50K[k](rng, n, 16_000)) for k in labels]
            made = np.asarray(levels @ np.stack(parts), dtype=np.float64)
            return record(made, rng, 16_000, depth=1.5, snr=(15, 35))

        return SyntheticClip(
            str(code), {spec.label.field: spec.label.separator.join(labels)}, render
        )

    return plan_of(spec, names, {"train": 34, "valid": 3, "test": 9}, make)


# --- imitations by voice --------------------------------------------------------------------------

# number of the class -> what the imitator utters, and how
IMITATED: dict[int, tuple[str, Manner]] = {
    0: ("rrrrrrrr", Manner(0.7, tremor=1.5, accent=1)),  # growling
    1: ("hsssssss", Manner()),  # hiss
    2: ("mIIaauu", Manner(1.8, accent=1, drift=-6)),  # meow
    4: ("wuf wuf wuf", Manner(1.2, accent=6)),  # bark
    6: ("auuuuuuuu", Manner(1.7, drift=9)),  # howl
    8: ("muuuuuuu", Manner(0.7, drift=-3)),  # moo
    11: ("kwEk kwEk kwEk", Manner(1.3)),  # quack
    22: ("hu huuuuu", Manner(1.2, drift=-5)),  # hoot
    25: ("zzzzzzzzz", Manner(0.9)),  # buzz
    62: ("haaaaah", Manner(0.9, drift=-9, breath=0.3, swell=-12)),  # sigh
    68: ("xxxxx hhhh xxxxx", Manner(0.6, breath=0.1)),  # snoring
    105: ("pum pum pum", Manner(0.7, tempo=1.2)),  # bass drum
    142: ("SSSSSSSSS", Manner(swing=1)),  # rain
    146: ("uuuuuuuuu", Manner(1.0, breath=0.6, accent=6, drift=4)),  # howling wind
    157: ("uuuuuuuuu", Manner(1.6, drift=14, accent=0)),  # civil defence siren
    165: ("bip bip bip", Manner(2.2, accent=1, drift=0)),  # dialling
    166: ("bEEEp bEEEp", Manner(1.6, accent=0)),  # car horn
    201: ("brbrbrbrbrbr", Manner(0.6, tempo=1.5)),  # engine idling
    214: ("tatatatatata", Manner(0.9, tempo=1.6)),  # machine gun
    231: ("tik tOk tik tOk", Manner(1.0, tempo=1.1, drift=0)),  # tick-tock
}


def vocal_imitation(spec: TaskSpec, draw: Draw) -> Plan:
    """20 of the 302 sounds, imitated by women and men who are more or less good at it."""

    def make(part: str, index: int, number: int) -> SyntheticClip:
        name = spec.classes[index]
        key = f"{name.removesuffix('_reference')}_{100 * part_index(spec, part) + number:04d}"

        def render(rng: Generator) -> Array:
            text, manner = IMITATED[index]
            vague = "".join(
                str(rng.choice(list(PHONES))) if p != " " and rng.uniform() < 0.08 else p
                for p in text
            )
            speaker = draw_speaker(rng, "MF"[int(rng.integers(2))], 1.5)
            n = int(rng.uniform(0.7, 0.9) * VOICE_RATE)
            made = fitted(say(vague, speaker, rng, manner), rng, n)
            return record(made, rng, VOICE_RATE, depth=2.5, snr=(10, 28))

        return SyntheticClip(key, {spec.label.field: name}, render)

    return plan_of(spec, IMITATED, 7, make)


RECIPES: dict[str, Recipe] = {
    "esc50": esc50,
    "fsd18_kaggle": fsd18_kaggle,
    "fsd50k": fsd50k,
    "urbansound8k": urbansound8k,
    "vocal_imitation": vocal_imitation,
}
