"""Twins of tasks about what is spoken, by how many, and whether by a human at all."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from earmark.benchmark.synthetic.recipe import (
    Draw,
    Plan,
    Recipe,
    SyntheticClip,
    hex_name,
    part_index,
    plan_of,
)
from earmark.benchmark.synthetic.signals import (
    Array,
    Generator,
    band,
    chain,
    colour,
    filtered,
    noise,
    record,
    slope,
    unit,
)
from earmark.benchmark.synthetic.voices import (
    PHONES,
    VOICE_RATE,
    VOWELS,
    Manner,
    Speaker,
    babble,
    draw_speaker,
    fitted,
    phones_of,
    say,
    track_of,
    varied,
    vocalise,
)
from earmark.tasks import TaskSpec

SR = VOICE_RATE
VOICES = 16  # people in one fold of LibriCount


def any_speaker(rng: Generator, spread: float = 1.0) -> Speaker:
    """A woman or a man."""
    return draw_speaker(rng, "MF"[int(rng.integers(2))], spread)


def vary_text(phones: str, rng: Generator, slips: float) -> str:
    """Phones as somebody happens to say them: some vowels blurred to another."""
    blurred = [
        VOWELS[int(rng.integers(len(VOWELS)))] if p in VOWELS and rng.uniform() < slips else p
        for p in phones
    ]
    return "".join(blurred)


# --- spoken words ---------------------------------------------------------------------------------


def speech_commands(spec: TaskSpec, draw: Draw) -> Plan:
    """14 of the 30 words; 28 speakers, none in two splits."""
    speakers = {"train": 15, "valid": 4, "test": 9}

    def make(part: str, word: str, number: int) -> SyntheticClip:
        name = hex_name(draw("name", part, number % speakers[part]), 8)
        # official keys repeat from word to word; one tar needs the word in front
        key = f"{word}_{name}_nohash_{number // speakers[part]}"

        def render(rng: Generator) -> Array:
            voice = draw("voice", name)
            speaker, channel = varied(any_speaker(voice, 0.7), rng), colour(voice, 1.0)
            manner = Manner(accent=3, tempo=0.8)
            spoken = say(vary_text(phones_of(word), rng, 0.05), speaker, rng, manner)
            spoken = fitted(spoken, rng, int(0.55 * SR))
            return record(spoken, rng, SR, channel=channel, depth=1.0, snr=(15, 30))

        return SyntheticClip(key, {spec.label.field: word}, render)

    return plan_of(spec, spec.classes[:14], {"train": 36, "valid": 4, "test": 9}, make)


TRANSCRIPTS = (
    "Turn the volume up", "Turn up the volume", "Turn the volume down", "Turn down the volume",
    "Lights on", "Lamp off", "Stop music", "Bring my socks", "Fetch my shoes", "Bring juice",
    "Too quiet", "Far too loud", "Heat up", "Switch language", "Make it louder", "Pause",
)  # fmt: skip


def fsc(spec: TaskSpec, draw: Draw) -> Plan:
    """16 of the transcripts; some hold the same words in another order. 34 speakers."""
    speakers = {"train": 20, "valid": 4, "test": 10}

    def make(part: str, text: str, number: int) -> SyntheticClip:
        name = hex_name(draw("name", part, number % speakers[part]), 16)
        code = hex_name(draw("key", part, text, number), 32)
        key = "-".join(code[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))

        def render(rng: Generator) -> Array:
            voice = draw("voice", name)
            speaker, channel = varied(any_speaker(voice, 0.5), rng), colour(voice, 0.7)
            spoken = say(vary_text(phones_of(text), rng, 0.03), speaker, rng)
            return record(spoken, rng, SR, channel=channel, depth=1.0, snr=(15, 30))

        return SyntheticClip(key, {spec.label.field: text, "speakerId": name}, render)

    return plan_of(spec, TRANSCRIPTS, {"train": 22, "valid": 3, "test": 9}, make)


BOOK = (
    "the old man saw seven ships", "she was not at home that evening", "rain fell over the hills",
    "he gave no answer", "a light was burning in the house", "they went down to the river",
    "no one had heard of it", "my brother left in the spring", "it was late and very cold",
    "there were three of us then",
)  # fmt: skip


def librispeech_mf(spec: TaskSpec, draw: Draw) -> Plan:
    """Women and men reading; their pitch and formants overlap. A few clips make two crops."""
    first = {"train": 84, "valid": 1272, "test": 1089}
    speakers = {"train": 26, "valid": 6, "test": 14}  # of each sex

    def make(part: str, sex: str, number: int) -> SyntheticClip:
        who = first[part] + 2 * (number % speakers[part]) + (sex == "F")
        key = f"{who}-{121_123 + part_index(spec, part)}-{number // speakers[part]:04d}"
        lines = draw("text", key).permutation(len(BOOK))
        text = " ".join(BOOK[i] for i in (lines if number in (0, 30) else lines[:1]))

        def render(rng: Generator) -> Array:
            voice = draw("voice", who)
            speaker, channel = draw_speaker(voice, sex, 1.6), colour(voice, 2.0)
            spoken = say(phones_of(text), varied(speaker, rng), rng, Manner(tempo=1.5))
            return record(spoken, rng, SR, channel=channel, snr=(10, 25))

        metadata = {"trans": text.upper(), spec.label.field: sex, "speaker": who}
        return SyntheticClip(key, metadata, render, suffix="flac")

    return plan_of(spec, ("M", "F"), {"train": 120, "valid": 18, "test": 60}, make)


# --- human or machine -----------------------------------------------------------------------------


def asv2015(spec: TaskSpec, draw: Draw) -> Plan:
    """Half human, half from ten vocoders, of which the evaluation part hears five for itself."""

    bright = slope(6.0)  # a close microphone: the high band is where vocoders fail

    def make(part: str, label: str, number: int) -> SyntheticClip:
        place_in_part = 2 * number + (label == "spoof")
        key = f"{'TDE'[part_index(spec, part)]}{1_000_001 + place_in_part}"
        known = part != "test" or number % 2 == 0
        attack = number // 2 % 5 + (0 if known else 5)

        def render(rng: Generator) -> Array:
            who = int(rng.integers(20))
            voice = draw("voice", part, who)
            speaker = varied(any_speaker(voice, 0.7), rng, 1.0)
            text = babble(rng, 0.6)
            if label == "spoof":
                spoken = spoofed(text, speaker, rng, attack)
            else:
                spoken = say(text, speaker, rng, Manner(breath=0.12))
            return record(spoken, rng, SR, channel=bright, depth=1.2, snr=(30, 45))

        system = f"S{attack + 1}" if label == "spoof" else "human"
        return SyntheticClip(key, {spec.label.field: label, "system": system}, render)

    return plan_of(spec, spec.classes, {"train": 210, "valid": 24, "test": 70}, make)


def spoofed(text: str, speaker: Speaker, rng: Generator, attack: int) -> Array:
    """Speech with the artefacts of one of ten vocoders (0..9); some leave the spectrum alone."""
    flat = attack in (1, 3, 5, 8)
    machine = replace(speaker, breath=0.02)
    track = track_of([PHONES[p] for p in text], machine, Manner(accent=1.0), rng)
    if attack in (2, 7):  # over-smoothed, as a statistical model's mean is
        kernel = np.ones(9) / 9
        rows = [np.convolve(np.pad(f, 4, "edge"), kernel, "valid") for f in track.formants.T]
        track = replace(track, formants=np.stack(rows, axis=1))
    if attack in (3, 9):  # pitch in steps
        held = np.repeat(track.pitch[::8], 8)[: len(track.pitch)]
        track = replace(track, pitch=held)
    spoken = vocalise(track, machine, rng, flat_phase=flat)
    if attack not in (3, 5, 7):  # no high band
        spoken = filtered(spoken, SR, band(40, rng.uniform(3000, 4500), order=6))
    if attack in (4, 7):  # echo of the frame rate: a comb
        spoken = spoken + 0.6 * np.roll(spoken, 40)
    if attack in (5, 8):  # hiss of coarse quantisation
        spoken = spoken + noise(rng, len(spoken), SR, band(5000, 7800)) * 0.02
    return unit(spoken)


# --- how many -------------------------------------------------------------------------------------


def libricount(spec: TaskSpec, draw: Draw) -> Plan:
    """0 to 10 of a fold's 16 people speaking at once over the noise of the room."""

    effort = 1.0  # dB by which everybody speaks up for each of the others

    @cache
    def monologue(part: str, who: int) -> Array:
        rng = draw("voice", part, who)
        return say(babble(rng, 2.2), any_speaker(rng, 0.5), rng)

    def make(part: str, speakers: int, number: int) -> SyntheticClip:
        code = part_index(spec, part) * 1000 + speakers * 50 + number
        key = f"{speakers}_{code:05d}"

        def render(rng: Generator) -> Array:
            n = int(0.6 * SR)
            heard = 0.4 * noise(rng, n, SR, chain(slope(1.5), band(80, 7800)))
            for who in rng.permutation(VOICES)[:speakers]:
                spoken = monologue(part, int(who))
                start = rng.integers(0, len(spoken) - n)
                loud = effort * (speakers - 1) + rng.normal(0, 0.8)
                heard += spoken[start : start + n] * 10 ** (loud / 20)
            return record(heard, rng, SR, depth=0.7, snr=(38, 45))

        return SyntheticClip(key, {spec.label.field: speakers}, render)

    return plan_of(spec, range(spec.num_classes), 11, make)


RECIPES: dict[str, Recipe] = {
    "asv2015": asv2015,
    "fsc": fsc,
    "libricount": libricount,
    "librispeech_mf": librispeech_mf,
    "speech_commands_v1": speech_commands,
}
