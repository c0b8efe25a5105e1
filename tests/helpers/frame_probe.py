"""Frames with events, and what a head on them learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from earmark.benchmark.probe.events import EventObjective
from earmark.benchmark.probe.splits import Split
from earmark.tasks.spec import Event

RATE, SEGMENT, CLASSES, DIMENSION = 10.0, 0.5, 3, 6


class Raw(EventObjective):
    """Predicts logits (F, C), not bits, so that weights can be compared closely."""

    def decide(self, logits: torch.Tensor) -> Any:
        return logits.numpy()

    def decode(self, decided: Any, clip: int) -> list[Any]:
        return list(decided.transpose(1, 0, 2))

    def quality(self, predicted: list[list[Any]], clips: Any) -> list[float]:
        packed = [[np.packbits(one >= 0, axis=1) for one in seeds] for seeds in predicted]
        return super().quality(packed, clips)


def make_clips(count: int = 16) -> tuple[list[Any], list[list[Event]]]:
    """Clips of 7 to 60 frames that tell part of what is active in them."""
    rng = np.random.default_rng(5)
    mixing = rng.standard_normal((CLASSES, DIMENSION))
    frames, events = [], []
    for _ in range(count):
        length = int(rng.integers(7, 60))
        own = []
        for label in range(CLASSES):
            onset, duration = rng.uniform(0, length / RATE), rng.uniform(0.2, 2)
            own.append(Event(float(onset), float(onset + duration), label))
        active = np.array([[inside(e, j, RATE) for e in own] for j in range(length)], float)
        noise = rng.standard_normal((length, DIMENSION))
        frames.append((2 * active @ mixing + noise + 3).astype(np.float16))
        events.append(own)
    return frames, events


def inside(event: Event, frame: int, rate: float) -> bool:
    return event.onset <= (frame + 0.5) / rate < event.offset


def make_objective(
    frames: list[Any], events: list[list[Event]], kind: type[EventObjective] = Raw, **changes: Any
) -> Any:
    lengths = [len(one) for one in frames]
    settings = {"frame_rate": RATE, "segment_s": SEGMENT, "classes": CLASSES, "average": "macro"}
    return kind(events, lengths, np.array(lengths) / RATE, **(settings | changes))


FRAMES, EVENTS = make_clips()


_PARTS = [np.arange(9), np.arange(9, 12), np.array([12, 15, 13])]


SPLIT = Split("test", *_PARTS, given_train=np.concatenate(_PARTS[:2]))


def brute_f1(logits: list[Any], clips: Any, frames: list[Any], events: Any) -> dict[str, float]:
    """Macro and micro F1 over half-second segments of five frames, by counting one by one."""
    counts = np.zeros((CLASSES, 3))
    for one, clip in zip(logits, clips, strict=True):
        for start in range(0, len(frames[clip]), 5):
            for c in range(CLASSES):
                low, high = start / RATE, (start + 5) / RATE
                wanted = any(
                    e.label == c and e.onset < high and e.offset > low for e in events[clip]
                )
                found = bool((one[start : start + 5, c] >= 0).any())
                counts[c] += [wanted and found, found and not wanted, wanted and not found]
    each = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in counts if tp + fn]
    tp, fp, fn = counts.sum(axis=0)
    micro = 2 * tp / (2 * tp + fp + fn) if tp + fn else 0.0
    return {"macro": float(np.mean(each)) if each else 0.0, "micro": float(micro)}
