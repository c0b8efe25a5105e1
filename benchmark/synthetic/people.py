"""Twins of tasks about how something is said, by whom, and in which language."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from earmark.benchmark.synthetic.recipe import (
    Draw,
    Plan,
    Recipe,
    SyntheticClip,
    part_index,
    plan_of,
    video_name,
)
from earmark.benchmark.synthetic.signals import Array, Generator, chain, colour, record
from earmark.benchmark.synthetic.speech import any_speaker
from earmark.benchmark.synthetic.voices import (
    PHONES,
    VOICE_RATE,
    Manner,
    Phone,
    Speaker,
    babble,
    draw_speaker,
    phones_of,
    say,
    track_of,
    varied,
    vocalise,
)
from earmark.tasks import TaskSpec

SR = VOICE_RATE

# --- emotion --------------------------------------------------------------------------------------

EMOTIONS = {
    "neutral": Manner(),
    "calm": Manner(pitch=0.95, tempo=0.88, accent=1.2, tilt=2.2, breath=0.03),
    "happy": Manner(pitch=1.25, tempo=1.12, accent=5.0, drift=-1.0, tilt=-1.5),
    "sad": Manner(pitch=0.92, tempo=0.8, accent=0.8, drift=-4.0, tilt=4.5, breath=0.05, swell=-6),
    "angry": Manner(pitch=1.2, tempo=1.18, accent=4.0, tilt=-5.0, swing=4.0),
    "fearful": Manner(pitch=1.4, tempo=1.25, accent=1.5, tremor=0.7, breath=0.1),
    "disgust": Manner(pitch=0.95, tempo=0.85, accent=3.0, drift=-7.0, tilt=1.0, swing=4.0),
    "surprised": Manner(pitch=1.35, tempo=1.05, accent=3.0, drift=9.0, tilt=-0.5),
}


def acted(text: str, emotion: str, actor: Generator, rng: Generator) -> Array:
    """A line said by an actor, who has a voice and a temper of his own."""
    manner = EMOTIONS[emotion]
    speaker = replace(any_speaker(actor, 0.5), breath=0.08)
    channel = colour(actor, 1.0)
    # actors differ in how far they go
    force = rng.normal(0, 0.6)
    played = replace(
        manner,
        pitch=manner.pitch * 2 ** (rng.normal(0, 1.0) / 12),
        tempo=1.45 * manner.tempo * float(np.exp(rng.normal(0, 0.06))),
        tilt=manner.tilt + force,
    )
    spoken = say(phones_of(text), varied(speaker, rng), rng, played)
    return record(spoken, rng, SR, channel=channel, depth=1.0, snr=(20, 35))


SENTENCES = {
    "IEO": "its eleven oclock", "TIE": "that is exactly it", "IOM": "Im on my way",
    "IWW": "I wonder what this is", "TAI": "the airplane is full", "MTI": "maybe tomorrow",
    "DFA": "dont forget a jacket", "ITS": "I think Ive seen it", "TSI": "the surface is slick",
}  # fmt: skip


def crema_d(spec: TaskSpec, draw: Draw) -> Plan:
    """Six emotions by 40 actors, none in two splits."""
    names = {"A": "angry", "D": "disgust", "F": "fearful", "H": "happy", "N": "neutral",
             "S": "sad"}  # fmt: skip
    codes = {"A": "ANG", "D": "DIS", "F": "FEA", "H": "HAP", "N": "NEU", "S": "SAD"}
    actors = {"train": 24, "valid": 6, "test": 10}
    first = {"train": 1001, "valid": 1031, "test": 1051}

    def make(part: str, label: str, number: int) -> SyntheticClip:
        actor = first[part] + number % actors[part]
        code = list(SENTENCES)[(number + number // actors[part]) % len(SENTENCES)]
        level = ("LO", "MD", "HI", "XX")[number // actors[part] % 4]
        key = f"{actor}_{code}_{codes[label]}_{level}"

        def render(rng: Generator) -> Array:
            return acted(SENTENCES[code], names[label], draw("actor", actor), rng)

        return SyntheticClip(key, {spec.label.field: label}, render)

    return plan_of(spec, spec.classes, {"train": 50, "valid": 8, "test": 20}, make)


def ravdess(spec: TaskSpec, draw: Draw) -> Plan:
    """Eight emotions by 24 actors, six in each fold."""
    lines = ("kids are talking by", "dogs are sitting by")

    def make(part: str, emotion: str, number: int) -> SyntheticClip:
        actor = 6 * part_index(spec, part) + number % 6 + 1
        line, take = number // 6 % 2, number // 12
        code = spec.classes.index(emotion) + 1
        key = f"03-01-{code:02d}-01-{line + 1:02d}-{take + 1:02d}-{actor:02d}"

        def render(rng: Generator) -> Array:
            return acted(lines[line], emotion, draw("actor", actor), rng)

        return SyntheticClip(key, {spec.label.field: emotion}, render)

    return plan_of(spec, spec.classes, 15, make)


# --- sounds of the body ---------------------------------------------------------------------------

_OPEN = (700.0, 1250.0, 2500.0)


def _air(seconds: float, level: float, friction: float = 0.0, centre: float = 3000.0) -> Phone:
    return Phone(_OPEN, 0.0, level, friction, centre, 1200, seconds)


def body_sound(kind: str, rng: Generator) -> tuple[list[Phone], Manner]:
    """Phones and manner of a laugh, sigh, cough, sneeze, sniff or clearing of the throat."""
    vowel = PHONES["aE@o"[int(rng.integers(4))]]
    rest = _air(rng.uniform(0.05, 0.15), 0.0)
    match kind:
        case "laughter":
            note = [replace(PHONES["h"], seconds=0.08), replace(vowel, seconds=0.09)]
            return note * int(rng.integers(3, 7)), Manner(1.35, accent=3, drift=-5, breath=0.05)
        case "sigh":
            voice = replace(vowel, voiced=rng.uniform(0, 0.4), breath=0.5, seconds=0.4)
            return [_air(0.2, 0.3), voice, _air(0.3, 0.3)], Manner(0.9, drift=-6, swell=-12)
        case "throatclearing":
            rough = Phone((450, 1100, 2300), 0.8, 0.5, 0.1, 2500, seconds=0.25)
            return [rough, rest, replace(rough, seconds=0.35)], Manner(0.75, tremor=2.5, swing=4)
        case "cough":
            bark = [_air(0.06, 1.3, 0.3), replace(vowel, voiced=0.5, breath=0.8, seconds=0.12)]
            return [*bark, rest] * int(rng.integers(1, 4)), Manner(1.1, swing=3)
        case "sneeze":
            gasp = _air(0.25, 0.25, 0.05, 2000)
            return [gasp, rest, vowel, _air(0.2, 0.6, 1.2, 4200)], Manner(1.3, drift=6, swell=8)
        case _:  # sniff
            whiff = _air(rng.uniform(0.12, 0.25), 0.15, 0.5, rng.uniform(2200, 4500))
            return [whiff, rest] * int(rng.integers(1, 4)), Manner(swell=2)


def vocalsound(spec: TaskSpec, draw: Draw) -> Plan:
    """Six sounds of the body by 52 people, none in two splits."""
    people, first = {"train": 30, "valid": 8, "test": 14}, {"train": 3, "valid": 1003, "test": 2003}

    def make(part: str, label: str, number: int) -> SyntheticClip:
        who = first[part] + number % people[part]
        sex = "fm"[who % 2]
        key = f"{sex}{who:04d}_{number // people[part]}_{label}"

        def render(rng: Generator) -> Array:
            voice = draw("voice", who)
            speaker, channel = draw_speaker(voice, sex.upper(), 0.9), colour(voice, 1.5)
            phones, manner = body_sound(label, rng)
            loose = np.exp(rng.normal(0, 0.5, len(phones)))
            phones = [replace(p, breath=p.breath * f) for p, f in zip(phones, loose, strict=True)]
            track = track_of(phones, varied(speaker, rng, 2.0), manner, rng)
            made = vocalise(track, speaker, rng, tilt=manner.tilt)
            return record(made, rng, SR, channel=channel, depth=1.5, snr=(10, 28))

        return SyntheticClip(key, {spec.label.field: label}, render)

    return plan_of(spec, spec.classes, {"train": 50, "valid": 8, "test": 20}, make)


# --- speaker and language -------------------------------------------------------------------------


def voxceleb1(spec: TaskSpec, draw: Draw) -> Plan:
    """20 speakers, in all splits; each video in one only, with a room of its own."""
    known = spec.classes[::60][:20]

    def make(part: str, who: str, number: int) -> SyntheticClip:
        video = video_name(draw("video", part, who, number // 2))
        key = f"{who}-{video}-{number % 2 + 1:05d}"
        # a few are long enough for two crops of 6 s
        long = part != "valid" and number == 0 and known.index(who) % 7 == 0

        def render(rng: Generator) -> Array:
            voice, room = draw("voice", who), draw("room", video)
            speaker = replace(any_speaker(voice, 1.2), timbre=colour(voice, 4.0))
            spoken = say(babble(rng, 13.5 if long else 0.72), varied(speaker, rng, 1.0), rng)
            return record(spoken, rng, SR, channel=colour(room, 3.0), depth=1.0, snr=(10, 25))

        return SyntheticClip(key, {spec.label.field: who}, render, suffix="flac")

    return plan_of(spec, known, {"train": 16, "valid": 2, "test": 6}, make)


def voxlingua33(spec: TaskSpec, draw: Draw) -> Plan:
    """16 made-up languages: each has its vowels, consonants, syllables, rhythm and melody."""
    known = spec.classes[:16]

    def make(part: str, language: str, number: int) -> SyntheticClip:
        video = video_name(draw("video", part, language, number // 2))
        start = 34.12 + 60 * (number % 2)
        long = number == 0 and known.index(language) % 16 == 0
        end = start + (20.5 if long else 1.2)
        # as X-ARES's shards have it: for webdataset a key ends at its first dot
        key = f"{video}__U__S{number % 2}---{start:08.3f}-{end:08.3f}".replace(".", "_")

        def render(rng: Generator) -> Array:
            room = draw("room", video)
            speaker, channel = any_speaker(room, 0.7), colour(room, 1.2)
            spoken = foreign(draw("language", language), speaker, rng, 22.0 if long else 0.75)
            return record(spoken, rng, SR, channel=channel, depth=1.0, snr=(12, 30))

        return SyntheticClip(key, {spec.label.field: language}, render, suffix="flac")

    return plan_of(spec, known, {"train": 24, "test": 8}, make)


def foreign(language: Generator, speaker: Speaker, rng: Generator, seconds: float) -> Array:
    """Speech in the language that `language` draws."""
    vowels = "".join(language.permutation(list("iIeEaAOouy2@"))[: language.integers(3, 6)])
    onsets = "".join(language.permutation(list("pbtdkgmnNlrwjhszSZfvTx"))[:6])
    closed = language.uniform(0, 0.6)
    manner = Manner(
        tempo=language.uniform(0.85, 1.25),
        accent=language.uniform(0.5, 5),
        drift=language.uniform(-7, 4),
        tilt=language.normal(0, 1.0),
        swing=language.uniform(1, 5),
    )
    setting = colour(language, 6.0)  # how the mouth is held
    local = replace(speaker, timbre=chain(setting, colour(rng, 0.5)))
    return say(babble(rng, seconds * manner.tempo, vowels, onsets, closed), local, rng, manner)


RECIPES: dict[str, Recipe] = {
    "crema_d": crema_d,
    "ravdess": ravdess,
    "vocalsound": vocalsound,
    "voxceleb1": voxceleb1,
    "voxlingua33": voxlingua33,
}
