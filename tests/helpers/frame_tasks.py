"""Small tasks of events, notes, captions and transcripts, written by tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from clips import audio_bytes, clip_members, write_tar

RATE = 16_000
COUNTS = {"train": 8, "valid": 3, "test": 4}
Members = list[tuple[str, bytes]]

HEAD = """\
title: {name}
abbreviation: {name}
domain: sound
description: made by tests
licence: CC0
citation: none
url: https://example.org
folder: {folder}
splits: {{train: train-*.tar, valid: valid-*.tar, test: test-*.tar}}
source: {{unit: file}}
knn: false
"""
BODIES = {
    "events": """\
label: {kind: events}
classes: [low, mid, high]
segment_seconds: 0.5
probe: {epochs: 3, batch_size: 4}
metric: segment_f1_macro
""",
    "notes": """\
label: {kind: notes}
classes: [60, 64, 67]
segment_seconds: 0.1
probe: {epochs: 3, batch_size: 1, positive_weight: 10}
metric: segment_f1_micro
""",
    "captions": """\
label: {kind: captions, fields: [one, two]}
crop_seconds: 30
probe: {epochs: 2, batch_size: 8}
metric: recall@1
""",
    "transcript": """\
label: {kind: transcript, field: trans}
probe: {epochs: 3, batch_size: 4}
metric: WER_inv
""",
    # over the shards of `transcript`, as LibriSpeech-MF is over LibriSpeech-100h's
    "gender": """\
label: {kind: class, field: gender}
classes: [M, F]
crop_seconds: 0.5
probe: {epochs: 3, batch_size: 8}
metric: accuracy
""",
}
NAMES = ("low", "mid", "high")
PITCHES = (261.6, 329.6, 392.0)
LETTERS = {"a": 400.0, "b": 900.0, "c": 1500.0, " ": 0.0}


def write_task(folder: Path, kind: str, data: str | None = None) -> Path:
    """The file of a task named by its kind; data: the folder of its shards, else its kind's."""
    path = folder / f"{kind}.yaml"
    path.write_text(HEAD.format(name=kind, folder=data or kind) + BODIES[kind])
    return path


def write_shards(
    data: Path,
    kind: str,
    counts: Mapping[str, int] = COUNTS,
    shards: int = 1,
    extra: Mapping[str, Members] | None = None,
) -> dict[str, Members]:
    """Shards of a kind below `data`, and the members of each split as they were written."""
    rng = np.random.default_rng(5)
    written: dict[str, Members] = {}
    for split, count in counts.items():
        parts: list[Members] = [[] for _ in range(shards)]
        for i in range(count):
            samples, label = MAKERS[kind](rng)
            samples = samples + 0.02 * rng.standard_normal(len(samples))
            parts[i % shards] += clip_members(f"{split}{i:03d}", audio_bytes(samples, RATE), label)
        parts[0] += (extra or {}).get(split, [])
        for number, members in enumerate(parts):
            write_tar(data / kind / f"{split}-{number:03d}.tar", members)
        written[split] = [member for part in parts for member in part]
    return written


def make_task(folder: Path, kind: str, **options: Any) -> Path:
    """A task file below `folder` and its shards below `folder`/data."""
    write_shards(folder / "data", kind, **options)
    return write_task(folder, kind)


def tone(samples: np.ndarray, start: float, end: float, pitch: float) -> None:
    """Add a tone from `start` to `end` seconds."""
    first, last = round(start * RATE), round(end * RATE)
    samples[first:last] += 0.2 * np.sin(2 * np.pi * pitch * np.arange(last - first) / RATE)


def spans(rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[float, float, int]]]:
    """1.0 to 1.6 s of silence for up to three tones, and where these are to be."""
    length = int(rng.uniform(1.0, 1.6) * RATE)
    found = []
    for which in rng.permutation(3)[: rng.integers(1, 4)].tolist():
        start, lasts = rng.uniform(0, 0.6), rng.uniform(0.15, 0.4)
        found.append((round(start, 3), round(start + lasts, 3), which))
    return np.zeros(length), found


def events(rng: np.random.Generator) -> tuple[np.ndarray, Any]:
    samples, found = spans(rng)
    for start, end, which in found:
        tone(samples, start, end, (300.0, 1000.0, 3000.0)[which])
    return samples, [{"onset": a, "offset": b, "label": NAMES[w]} for a, b, w in found]


def notes(rng: np.random.Generator) -> tuple[np.ndarray, Any]:
    samples, found = spans(rng)
    for start, end, which in found:
        tone(samples, start, end, PITCHES[which])
    return samples, [{"start": a, "end": b, "note": (60, 64, 67)[w]} for a, b, w in found]


def captions(rng: np.random.Generator) -> tuple[np.ndarray, Any]:
    samples, found = spans(rng)
    for start, end, which in found:
        tone(samples, start, end, (300.0, 1000.0, 3000.0)[which])
    heard = " and ".join(NAMES[which] for *_, which in found)
    return samples, {"one": f"A {heard} tone", "two": f"Somebody plays {heard}."}


def transcript(rng: np.random.Generator) -> tuple[np.ndarray, Any]:
    words = ["".join(rng.permutation(list("abc"))[: rng.integers(2, 4)]) for _ in range(2)]
    text = " ".join(words)
    samples = np.zeros(int((0.16 * len(text) + rng.uniform(0.1, 0.5)) * RATE))
    for i, letter in enumerate(text):
        tone(samples, 0.05 + 0.16 * i, 0.15 + 0.16 * i, LETTERS[letter])
    return samples, {"trans": text.upper(), "gender": "MF"[int(rng.integers(2))]}


MAKERS: dict[str, Callable[[np.random.Generator], tuple[np.ndarray, Any]]] = {
    "events": events, "notes": notes, "captions": captions, "transcript": transcript,
}  # fmt: skip
