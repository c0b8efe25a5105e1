"""Twin of Clotho: something is heard in a place, in some manner, and five captions say so."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from earmark.benchmark.synthetic import nature
from earmark.benchmark.synthetic.instruments import kick
from earmark.benchmark.synthetic.nature import Source
from earmark.benchmark.synthetic.recipe import Draw, Plan, Recipe, SyntheticClip
from earmark.benchmark.synthetic.signals import Array, Generator, adsr, place, record, unit
from earmark.tasks import TaskSpec

SR = 16_000


class Thing(NamedTuple):
    """What is heard. Its words are (subject, verb, participle), two ways of saying it."""

    source: Source
    words: tuple[tuple[str, str, str], tuple[str, str, str]]


class Place(NamedTuple):
    """What goes on behind it. clauses can stand alone, nouns cannot."""

    source: Source
    clauses: tuple[str, str]
    nouns: tuple[str, str]


class Manner(NamedTuple):
    """How the thing is heard: once or again and again, its level over the place in dB."""

    once: bool
    level: float
    words: tuple[str, str, str]


def _drum(rng: Generator, n: int, sr: int) -> Array:
    return place(n, [0.0, 0.22, 0.44], [kick(rng, sr)] * 3, sr)


THINGS = {
    "dog": Thing(nature.dog, (("a dog", "barks", "barking"), ("a hound", "yaps", "yapping"))),
    "cat": Thing(nature.cat, (("a cat", "meows", "meowing"), ("a kitten", "cries", "crying"))),
    "crow": Thing(nature.crow, (("a crow", "caws", "cawing"), ("a raven", "calls", "calling"))),
    "birds": Thing(nature.birds, (("a bird", "chirps", "chirping"),
                                  ("a songbird", "sings", "singing"))),
    "cricket": Thing(nature.crickets, (("a cricket", "trills", "trilling"),
                                       ("an insect", "buzzes", "buzzing"))),
    "bell": Thing(nature.bell, (("a bell", "tolls", "tolling"), ("a bell", "rings", "ringing"))),
    "siren": Thing(nature.siren, (("a siren", "wails", "wailing"),
                                  ("an alarm", "howls", "howling"))),
    "telephone": Thing(nature.telephone, (("a telephone", "rings", "ringing"),
                                          ("a phone", "beeps", "beeping"))),
    "voice": Thing(nature.speech, (("a person", "talks", "talking"),
                                   ("somebody", "speaks", "speaking"))),
    "knock": Thing(nature.door_knock, (("a hand", "knocks", "knocking"),
                                       ("someone", "raps", "rapping"))),
    "drum": Thing(_drum, (("a drum", "thumps", "thumping"), ("a bass", "pounds", "pounding"))),
    "keys": Thing(nature.keys, (("a key chain", "jingles", "jingling"),
                                ("metal", "rattles", "rattling"))),
}  # fmt: skip
PLACES = {
    "rain": Place(nature.rain, ("rain falls", "it is raining"), ("rain", "a rain shower")),
    "wind": Place(nature.wind, ("the wind blows", "it is windy"), ("wind", "a gusty wind")),
    "sea": Place(nature.waves, ("waves roll in", "the sea washes ashore"),
                 ("waves", "the surf of the sea")),
    "stream": Place(nature.stream, ("water flows", "a stream runs"),
                    ("flowing water", "a stream")),
    "fire": Place(nature.fire, ("a fire crackles", "wood burns"),
                  ("a crackling fire", "burning wood")),
    "engine": Place(nature.engine, ("an engine idles", "a motor runs"),
                    ("an engine", "an idling motor")),
    "vacuum": Place(nature.vacuum, ("a vacuum cleaner hums", "someone vacuums"),
                    ("a vacuum cleaner", "vacuuming")),
    "applause": Place(nature.applause, ("a crowd applauds", "people clap"),
                      ("applause", "a clapping crowd")),
    "helicopter": Place(nature.helicopter, ("a helicopter hovers", "rotor blades beat"),
                        ("a helicopter", "beating rotor blades")),
}  # fmt: skip
MANNERS = {
    "loud": Manner(False, 12, ("loudly", "close by", "very near")),
    "faint": Manner(False, -2, ("faintly", "far away", "in the distance")),
    "once": Manner(True, 12, ("once", "a single time", "only one time")),
}


def captions_of(rng: Generator, thing: Thing, behind: Place, manner: Manner) -> list[str]:
    """Five sentences that say the same in other words and another order."""

    def pick(words: tuple[str, ...]) -> str:
        return words[int(rng.integers(len(words)))]

    texts = []
    for form in rng.permutation(5):
        subject, verb, doing = thing.words[int(rng.integers(2))]
        how, clause, noun = pick(manner.words), pick(behind.clauses), pick(behind.nouns)
        text = (
            f"{subject} {verb} {how} while {clause}",
            f"{clause} as {subject} {verb} {how}",
            f"the sound of {subject} {doing} {how} over {noun}",
            f"{noun} is heard, and {subject} {verb} {how}",
            f"{subject} is {doing} {how} with {noun} in the background",
        )[form]
        texts.append(f"{text[0].upper()}{text[1:]}.")
    return texts


def clotho(spec: TaskSpec, draw: Draw) -> Plan:
    """280 of the 324 scenes that 12 things, 9 places and 3 manners make, each once."""
    counts = {"train": 200, "valid": 40, "test": 40}
    scenes = list(product(THINGS, PLACES, MANNERS))
    order = iter(draw("order").permutation(len(scenes)))

    def make(what: str, where: str, how: str) -> SyntheticClip:
        key = f"{what}_{where}_{how}"  # as Freesound's names tell what is heard
        thing, behind, manner = THINGS[what], PLACES[where], MANNERS[how]
        writer = draw("captions", key)
        texts = captions_of(writer, thing, behind, manner)

        def render(rng: Generator) -> Array:
            seconds = rng.uniform(3.0, 4.5)
            n, size = int(seconds * SR), int(0.75 * SR)
            sound = unit(thing.source(rng, size, SR)) * adsr(size, SR, 0.005, 0.1, 1, 0.05)
            first = rng.uniform(0.1, seconds - 0.85 if manner.once else 0.3)
            starts = [first] if manner.once else [first + 0.95 * i for i in range(int(seconds))]
            over = place(n, starts, [sound] * len(starts), SR)
            level = 10 ** ((manner.level + rng.normal(0, 1.5)) / 20)
            heard = unit(behind.source(rng, n, SR)) + level * over
            return record(heard, rng, SR, depth=1.0, snr=(20, 35))

        return SyntheticClip(key, dict(zip(spec.label.fields, texts, strict=True)), render, SR)

    return {
        part: [make(*scenes[next(order)]) for _ in range(counts[part])]
        for part in spec.shard_patterns
    }


RECIPES: dict[str, Recipe] = {"clotho": clotho}
