"""Items of clips without audio, and the tasks over them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from earmark.benchmark.probe.items import Items
from earmark.benchmark.protocol import STRICT, Protocol
from earmark.benchmark.score import Scored, score_items
from earmark.tasks import LabelRule, ProbeSettings, SourceRule, TaskSpec

PROTOCOL = dataclasses.replace(STRICT, seeds=3, bootstrap_resamples=200)


def make_spec(kind: str, parts: dict[str, str], *, folds: bool) -> TaskSpec:
    return TaskSpec(
        name="toy", title="Toy", abbreviation="T", domain="sound", description="", licence="",
        citation="", url="", folder="toy", label=LabelRule(kind, "label"),
        classes=("a", "b", "c"), probe=ProbeSettings(4, 16, 0.01),
        metric="accuracy" if kind == "class" else "mAP", source=SourceRule("recording"),
        knn=kind == "class", folds=parts if folds else {}, splits={} if folds else parts,
    )  # fmt: skip


def make_items(kind: str, sizes: dict[str, int]) -> Items:
    """Three clips a source; embeddings that tell part of the labels."""
    rng = np.random.default_rng(4)
    splits = np.repeat(list(sizes), list(sizes.values()))
    count = len(splits)
    # a source lies within one split: 7, 8 or 9 clips long where a split ends
    sources = np.unique([f"{s}{i // 3:03d}" for i, s in enumerate(splits)], return_inverse=True)[1]
    scores = rng.standard_normal((count, 3))
    noisy = scores + 0.7 * rng.standard_normal((count, 3))
    labels: Any = noisy.argmax(axis=1) if kind == "class" else noisy > 0.4
    embeddings = np.concatenate([scores, rng.standard_normal((count, 4))], axis=1)
    return Items(
        embeddings=embeddings.astype(np.float32), labels=labels, splits=splits,
        keys=np.array([f"k{i:04d}" for i in range(count)]),
        crops=np.zeros(count, np.int64), sources=sources,
        source_names=[f"r{i}" for i in range(sources.max() + 1)], guessed_sources=0,
    )  # fmt: skip


def scored(
    kind: str, sizes: dict[str, int], *, folds: bool, protocol: Protocol = PROTOCOL
) -> tuple[Items, Scored]:
    items = make_items(kind, sizes)
    spec = make_spec(kind, {name: f"{name}.tar" for name in sizes}, folds=folds)
    return items, score_items(items, spec, protocol)


FOLDS = {"1": 60, "2": 100, "3": 40}
