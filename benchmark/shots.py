"""Label efficiency: what is asked for (`8,32,128,all`), and what a result keeps of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from earmark.benchmark.io.fields import Interval, MaybeNaN
from earmark.tasks import LABEL_KINDS

ALL = "all"
DRAWS = 10
# of tasks whose clips have classes; others have no clips a class
METRICS = tuple(name for kind in LABEL_KINDS.values() if kind.of_clips for name in kind.metrics)

Shots = int | str  # a number of clips, or `all`


@dataclass(frozen=True)
class ShotScore:
    """The score of the linear probe where so many clips a class are trained on.

    shots: k, the clips drawn of each class; `all`: the cell's own score, not computed again, with
        its own interval, and its strength chosen on the task's validation part.
    value: mean over the draws; of each draw the metric is that of the cell: by clips, over the test
        items of all folds together, mAP as the mean over folds.
    per_draw: the value of each draw; spread: their standard deviation (n - 1). None of `all`.
    interval: [low, high] at the cell's confidence, of the mean over draws: over the sources that
        were tested and over draws from this training part (`score/shots.py`); null with too
        few sources.
    clips: clips that were trained on, mean over draws and folds. per_class: of each class, mean
        over the classes that occur; with several labels more than k, where classes share clips.
    short: classes with fewer than k clips, in the fold that has most of them: they give all.
    strengths: by test fold, the strength of each draw. converged: whether all fits were.
    subsets: SHA-256 (16 digits) of the keys of what was drawn: the same for every encoder that
        could embed the same clips.
    """

    shots: Shots
    value: MaybeNaN
    interval: Interval = None
    per_draw: list[MaybeNaN] = field(default_factory=list)
    spread: float | None = None
    clips: MaybeNaN = math.nan
    per_class: MaybeNaN = math.nan
    short: int = 0
    strengths: dict[str, list[MaybeNaN]] = field(default_factory=dict)
    converged: bool = True
    subsets: str = ""


def checked_shots(shots: object) -> tuple[Shots, ...]:
    """Numbers of clips a class in order, `all` last. Raises ValueError, in one line."""
    if isinstance(shots, str) or not isinstance(shots, Iterable):
        raise ValueError(f"shots must be a list such as [8, 32, 'all'], not {shots!r}")
    found: list[Shots] = []
    for one in shots:
        whole = isinstance(one, int) and not isinstance(one, bool) and one > 0
        if not whole and one != ALL:
            raise ValueError(f"shots must be whole numbers above 0, or {ALL!r}, not {one!r}")
        if one in found:
            raise ValueError(f"shots must differ from each other, {one!r} is there twice")
        found.append(one)
    return tuple(sorted(found, key=order))


def order(shots: Shots) -> float:
    """Where shots stand among others: numbers in order, `all` last."""
    return math.inf if isinstance(shots, str) else shots


def has_all(known: list[ShotScore] | None, asked: Iterable[Shots]) -> bool:
    """Whether a score has every one that is asked for."""
    return set(asked) <= {one.shots for one in known or ()}
