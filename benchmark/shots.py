"""Label efficiency: what is asked for (`8,32,128,all`), and what a result keeps of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

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
    value: float
    interval: list[float] | None = None
    per_draw: list[float] = field(default_factory=list)
    spread: float | None = None
    clips: float = math.nan
    per_class: float = math.nan
    short: int = 0
    strengths: dict[str, list[float]] = field(default_factory=dict)
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


def read_shots(raw: list[dict[str, Any]]) -> list[ShotScore]:
    """What a result file holds, null for NaN. Raises ValueError, in a few words."""
    names = {one.name for one in fields(ShotScore)}
    found = []
    for one in raw:
        facts = {name: value for name, value in one.items() if name in names}
        checked_shots([facts["shots"]])
        for name in ("value", "clips", "per_class"):
            facts[name] = math.nan if facts.get(name) is None else float(facts[name])
        draws = facts.get("per_draw") or []
        facts["per_draw"] = [math.nan if value is None else value for value in draws]
        bounds = facts.get("interval")
        if bounds is not None:
            low, high = bounds
            facts["interval"] = None if None in (low, high) else [float(low), float(high)]
        found.append(ShotScore(**facts))
    return found
