"""Tasks by frames on windows of neighbouring frames, and the best window by validation.

Each window is a probe of its own, trained as the score's is: rate and epoch by the validation part,
seed by seed. One more choice of the same kind is made for `best`: in each fold the window with the
highest validation metric, mean of the seeds at their chosen checkpoints; of equal ones the
narrowest. Test items take no part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.search import Chosen
from earmark.benchmark.probe.splits import make_splits
from earmark.benchmark.probe.windows import Windowed
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.readouts import BEST, ReadoutScore, reach_of
from earmark.benchmark.result.scores import Score
from earmark.benchmark.score.events import score_of_frames, train_on_events
from earmark.benchmark.score.scored import ScoreInputs
from earmark.benchmark.score.transcripts import score_of_texts, train_on_texts
from earmark.tasks import TaskSpec


class _Way(NamedTuple):
    """How a kind of task is trained, one result a fold, and what score such results are."""

    train: Callable[[ScoreInputs], list[Any]]
    score: Callable[[ScoreInputs, list[Any]], Score]


_EVENTS = _Way(train_on_events, score_of_frames)
WAYS = {"events": _EVENTS, "notes": _EVENTS, "transcript": _Way(train_on_texts, score_of_texts)}


def add_windows(
    score: Score,
    items: Items,
    spec: TaskSpec,
    protocol: Protocol,
    asked: tuple[str, ...],
    *,
    frame_rate: float,
    device: str = "cpu",
    track: ProgressFactory = no_progress,
) -> None:
    """Compute the windows asked for and the best of them into the score of a task by frames.

    asked: as `windows_of` gives them, two at least. frame_rate: of the encoder, in Hz.
    """
    way = WAYS[spec.label.kind]
    splits = make_splits(items, spec, protocol)
    plain = ScoreInputs(items, splits, spec, protocol, frame_rate, device, track)
    tried = {name: way.train(replace(plain, items=seen(items, name))) for name in asked}
    found = []
    for name in asked:
        shortfall = [1 - validated(one) for one in tried[name]]
        found.append(_scored(name, way.score(plain, tried[name]), shortfall))
    folds = range(len(splits))
    chosen = [max(asked, key=lambda name: validated(tried[name][fold])) for fold in folds]
    best = [tried[name][fold] for fold, name in enumerate(chosen)]
    names = {split.name: name for split, name in zip(splits, chosen, strict=True)}
    shortfall = [1 - validated(one) for one in best]
    whole = _scored(BEST, way.score(plain, best), shortfall)
    score.readouts = [*found, replace(whole, chosen=names)]


def seen(items: Items, name: str) -> Items:
    """Items with their frames in windows; `window-0` is the frames alone."""
    reach = reach_of(name)
    if reach == 0:
        return items
    frames: list[Any] = [Windowed(frames, reach) for frames in items.frames]
    return replace(items, frames=frames)


def validated(result: Chosen) -> float:
    """The validation metric, mean of the seeds, each at its chosen checkpoint."""
    rows = [int(np.flatnonzero(result.checkpoints == epoch)[0]) for epoch in result.best_epochs]
    return float(np.mean([result.validation[row, seed] for seed, row in enumerate(rows)]))


def _scored(name: str, score: Score, shortfall: list[float]) -> ReadoutScore:
    losses = dict(zip(score.per_split, shortfall, strict=True))
    return ReadoutScore(name, score.value, score.interval, score.per_split, losses)
