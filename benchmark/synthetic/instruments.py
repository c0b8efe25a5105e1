"""Notes of instruments, drums, and short pieces of music in a style.

A `Timbre` holds what makes an instrument: its harmonics, its envelope, its noise. A `Style` holds
what makes a genre: tempo, drum pattern, chords, and who plays them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from earmark.benchmark.synthetic.signals import (
    Array,
    Generator,
    adsr,
    band,
    chain,
    click,
    dying,
    noise,
    partials,
    peaks,
    place,
    rolloff,
    tone,
    unit,
)


@dataclass(frozen=True)
class Timbre:
    """An instrument.

    drop: dB an octave; even: level of even harmonics; body: resonance in Hz; attack, ring: seconds
    (ring: decay by 60 dB; 0 = held); vibrato: semitones; air: noise level; stretch: factor between
    partials of a struck body (1 = harmonic).
    """

    drop: float
    even: float = 1.0
    body: float = 800.0
    attack: float = 0.01
    ring: float = 0.0
    vibrato: float = 0.0
    air: float = 0.01
    stretch: float = 1.0


TIMBRES = {
    "guitar": Timbre(6, body=400, attack=0.004, ring=1.2),
    "bass": Timbre(9, body=150, attack=0.006, ring=1.5),
    "organ": Timbre(4, even=1.2, body=700, attack=0.02),
    "keyboard": Timbre(8, body=500, attack=0.004, ring=2.0),
    "vocal": Timbre(7, body=1100, attack=0.06, vibrato=0.35, air=0.04),
    "string": Timbre(5, body=1000, attack=0.08, vibrato=0.25, air=0.03),
    "reed": Timbre(6, even=0.35, body=1300, attack=0.03, air=0.03),
    "flute": Timbre(13, body=900, attack=0.05, vibrato=0.15, air=0.09),
    "mallet": Timbre(10, body=1200, attack=0.002, ring=0.6, stretch=1.9),
    "brass": Timbre(4, body=1500, attack=0.05, air=0.01),
    "synth_lead": Timbre(3, body=2500, attack=0.005, air=0.0),
}


def own(timbre: Timbre, rng: Generator, spread: float = 1.0) -> Timbre:
    """One maker's instrument of the kind."""
    return replace(
        timbre,
        drop=max(1.0, timbre.drop + spread * rng.normal(0, 1.5)),
        even=timbre.even * float(np.exp(spread * rng.normal(0, 0.3))),
        body=timbre.body * float(np.exp(spread * rng.normal(0, 0.35))),
        attack=timbre.attack * float(np.exp(spread * rng.normal(0, 0.4))),
        ring=timbre.ring * float(np.exp(spread * rng.normal(0, 0.3))),
        air=timbre.air * float(np.exp(spread * rng.normal(0, 0.5))),
    )


def note(timbre: Timbre, pitch: float, n: int, sr: int, rng: Generator, loud: float = 0.0) -> Array:
    """One note of n samples; loud (dB) also brightens it."""
    drop = max(0.5, timbre.drop - loud / 8)
    body = peaks((timbre.body, 0.8, 10))
    if timbre.stretch > 1:
        ratios = timbre.stretch ** np.arange(5) * np.exp(rng.normal(0, 0.01, 5))
        struck = ratios ** (-drop / 6.02) * body(pitch * ratios)
        sound = partials(pitch * ratios, struck, timbre.ring / np.sqrt(ratios), n, sr)
    else:
        harmonics = rolloff(60, drop, timbre.even) * body(pitch * np.arange(1, 61))
        line = np.full(n, pitch)
        if timbre.vibrato:
            turn = 2 * np.pi * (5.5 / sr * np.arange(n) + rng.uniform())
            line *= 1 + timbre.vibrato * 0.0578 * np.sin(turn)  # 0.0578: a semitone
        sound = tone(line, harmonics, sr, rng.uniform(0, 2 * np.pi, 60))
        if timbre.ring:
            sound *= dying(n, sr, timbre.ring)
    if timbre.air > 0.02:
        sound += timbre.air * noise(rng, n, sr, chain(band(pitch, 8 * pitch), body))
    return 10 ** (loud / 20) * sound * adsr(n, sr, timbre.attack, 0.1, 0.8, 0.05)


def hertz(midi: float) -> float:
    """Pitch of a MIDI note number."""
    return 440.0 * 2 ** ((midi - 69) / 12)


# --- drums ----------------------------------------------------------------------------------------


def kick(rng: Generator, sr: int) -> Array:
    """Bass drum."""
    n = int(0.22 * sr)
    pitch = rng.uniform(45, 60) * (1 + 2.5 * dying(n, sr, 0.1))
    return 1.6 * tone(pitch, np.ones(1), sr) * dying(n, sr, 0.25)


def snare(rng: Generator, sr: int) -> Array:
    """Snare drum."""
    n = int(0.16 * sr)
    skin = tone(np.full(n, rng.uniform(170, 230)), np.ones(2), sr)
    return (0.5 * skin + noise(rng, n, sr, band(700, 7000, 1))) * dying(n, sr, 0.18)


def hat(rng: Generator, sr: int) -> Array:
    """Closed hi-hat."""
    return 0.5 * unit(click(rng, sr, 0.06, band(6000, 12000)))


# --- styles ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Style:
    """A genre.

    tempo: beats a minute (from, to); kicks, snares: "x" where an eighth note is hit; lead, chords:
    instruments; scale: semitones over the root; low: MIDI number of the root; bass, drums, hats:
    levels; drive: distortion, 0 = none; swing: delay of every second eighth (share of it); busy:
    share of eighths with a note of the melody.
    """

    tempo: tuple[int, int]
    kicks: str
    snares: str
    lead: str
    chords: str
    scale: tuple[int, ...] = (0, 4, 7)
    low: int = 48
    bass: float = 0.7
    drums: float = 0.7
    hats: float = 0.5
    drive: float = 0.0
    swing: float = 0.0
    busy: float = 0.6


def piece(style: Style, rng: Generator, n: int, sr: int, track: Generator) -> Array:
    """n samples in a style; `track` draws what is the same all through one recording."""
    tempo = track.uniform(*style.tempo)
    root = style.low + int(track.integers(-3, 4))
    lead, chords = own(TIMBRES[style.lead], track, 0.4), own(TIMBRES[style.chords], track, 0.4)
    levels = np.exp(track.normal(0, 0.15, 4))
    eighth = 30 / tempo
    first = int(rng.integers(8))
    steps = np.arange(int(n / sr / eighth) + 1)
    starts = (steps + style.swing * ((steps + first) % 2)) * eighth
    music = np.zeros(n)

    def lay(hits: list[int], sounds: list[Array], level: float) -> None:
        nonlocal music
        music = music + level * place(n, starts[hits], sounds, sr)

    def on(pattern: str) -> list[int]:
        return [int(s) for s in steps if pattern and pattern[(s + first) % len(pattern)] == "x"]

    size = int(eighth * sr * 1.9)
    for step in range(0, len(steps), 4):
        degree = int(rng.choice([0, 5, 7]))
        long = int(min(4 * eighth * sr, n))
        for tone_step in style.scale:
            pitch = hertz(root + 12 + degree + tone_step)
            lay([step], [note(chords, pitch, long, sr, rng)], 0.35 * levels[0])
        if style.bass:
            low = note(TIMBRES["bass"], hertz(root - 12 + degree), long // 2, sr, rng)
            lay([step], [low], style.bass * levels[1])
    melody = [int(s) for s in steps if rng.uniform() < style.busy]
    notes = [note(lead, hertz(root + 24 + int(rng.choice(style.scale))), size, sr, rng)
             for _ in melody]  # fmt: skip
    lay(melody, notes, 0.5 * levels[2])
    if style.drums:
        for pattern, drum in ((style.kicks, kick), (style.snares, snare)):
            hits = on(pattern)
            lay(hits, [drum(rng, sr)] * len(hits), style.drums * levels[3])
        lay([int(s) for s in steps], [hat(rng, sr)] * len(steps), style.hats * levels[3])
    if style.drive:
        music = np.tanh((1 + 6 * style.drive) * unit(music))
    return unit(music)
