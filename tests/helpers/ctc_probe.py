"""Frames with transcripts, and what a head on them learns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from earmark.benchmark.probe.splits import Split

LETTERS = "_ 'abcdefghijklmnopqrstuvwxyz"  # the blank, then the spec's order


SYMBOLS = 29


def encoded(text: str) -> list[int]:
    return [LETTERS.index(letter) for letter in text]


def toy(rate: float = 50.0, noise: float = 0.1) -> tuple[list[Any], list[str], int]:
    """Each letter sounds for a frame or two and is followed by a frame of nothing."""
    rng = np.random.default_rng(7)
    frames, texts = [], []
    per = max(1, math.ceil(50 / rate))
    codes = 3 * rng.standard_normal((SYMBOLS, 12))
    for _ in range(40):
        words = ["".join(rng.choice(list("abcd'"), rng.integers(1, 4))) for _ in range(2)]
        text = " ".join(words)
        steps: list[int] = [0]
        for symbol in encoded(text):
            steps += [symbol] * int(rng.integers(1, 3)) + [0]
        steps += [0] * (-len(steps) % per)
        values = codes[steps] + noise * rng.standard_normal((len(steps), 12))
        frames.append(values.reshape(len(steps) // per, per * 12).astype(np.float16))
        texts.append(text)
    return frames, texts, per


_PARTS = [np.arange(26), np.arange(26, 32), np.arange(32, 40)]


SPLIT = Split("test", *_PARTS, given_train=np.concatenate(_PARTS[:2]))
