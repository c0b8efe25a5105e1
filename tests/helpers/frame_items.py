"""Items of frames without audio, and the tasks over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from earmark.benchmark.probe.items import Items
from earmark.tasks import LabelRule, ProbeSettings, SourceRule, TaskSpec
from earmark.tasks.spec import Event

RATE, DIMENSION = 10.0, 6


SPLITS = {"train": 20, "valid": 6, "test": 11}


def make_spec(
    kind: str, metric: str, sizes: dict[str, int], probe: ProbeSettings, **changes: Any
) -> TaskSpec:
    parts = {name: f"{name}.tar" for name in sizes}
    return TaskSpec(
        name="toy", title="Toy", abbreviation="T", domain="sound", description="", licence="",
        citation="", url="", folder="toy", label=LabelRule(kind), probe=probe, metric=metric,
        source=SourceRule("recording"), knn=False,
        **{"classes": ("a", "b", "c"), "segment_seconds": 0.5} | changes,
        **({"splits": parts} if "train" in sizes else {"folds": parts}),
    )  # fmt: skip


def make_items(sizes: dict[str, int], annotations: list[Any], **fields: Any) -> Items:
    """Two or three clips a source, each within its split."""
    splits = np.repeat(list(sizes), list(sizes.values()))
    sources = np.unique([f"{s}{i // 3:03d}" for i, s in enumerate(splits)], return_inverse=True)[1]
    return Items(
        **{"embeddings": np.zeros((0, DIMENSION), np.float32)} | fields,
        labels=np.zeros(0, np.int64), splits=splits,
        keys=np.array([f"k{i:04d}" for i in range(len(splits))]),
        crops=np.zeros(len(splits), np.int64), sources=sources,
        source_names=[f"r{i}" for i in range(sources.max() + 1)], guessed_sources=0,
        annotations=annotations,
    )  # fmt: skip


def timed_items(sizes: dict[str, int], classes: int = 3) -> Items:
    """Clips of 2 to 6 s; each class sounds for a second or so, and frames tell part of it."""
    rng = np.random.default_rng(8)
    mixing = rng.standard_normal((classes, DIMENSION))
    frames, events, seconds = [], [], []
    for _ in range(sum(sizes.values())):
        length = int(rng.integers(20, 60))
        active = np.zeros((length, classes))
        own = []
        for label in range(classes):
            on = int(rng.integers(0, length - 5))
            off = min(length, on + int(rng.integers(5, 20)))
            own.append(Event(on / RATE, off / RATE, label))
            active[on:off, label] = 1
        noise = 0.8 * rng.standard_normal((length, DIMENSION))
        frames.append((1.5 * active @ mixing + noise).astype(np.float16))
        events.append(tuple(sorted(own)))
        seconds.append(length / RATE)
    return make_items(sizes, events, frames=frames, seconds=np.array(seconds))
