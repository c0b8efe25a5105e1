"""From two cells' values to a difference with its interval and p-value; Holm's correction.

The difference is Student's test over sources, with the variance by the jackknife and an interval
that excludes 0 exactly where p is below the level: `uncertainty/jackknife.py` has the method, which
the intervals of single scores rest on too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from earmark.benchmark.uncertainty.cache import Values
from earmark.benchmark.uncertainty.jackknife import (
    Spread,
    combined,
    difference_interval,
    freedom_of,
    spread_of,
)


@dataclass(frozen=True)
class Difference:
    """First less second. low, high: interval at the confidence asked for; p: two-sided.

    The three are None where there are too few sources, and where one of them has all that a score
    can be computed from.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None

    def differs(self, alpha: float) -> bool | None:
        """Whether 0 is excluded at this level; None where nothing can be said."""
        return None if self.p is None else self.p < alpha


ABOVE, BELOW, NOT_APART, NOT_TESTED = "above", "below", "not told apart", "not tested"


@dataclass(frozen=True)
class ControlTest:
    """One score against its control.

    control: the control's column. verdict: `above`, `below`, `not told apart`, or `not tested`.
    difference: score less control; None where it was not tested. why: in a line, why not.
    """

    control: str
    verdict: str
    difference: Difference | None = None
    why: str = ""


def difference_of(first: Values, second: Values, probe: str, confidence: float) -> Difference:
    """Difference of two encoders by a probe; their values must be of the same items."""
    gap = first.by_probe[probe] - second.by_probe[probe]
    spread = spread_of(gap, first.sizes)
    if spread is None:
        return Difference(float(gap[0]))
    return _difference(float(gap[0]), spread, len(first.sizes), confidence)


def mean_difference(
    pairs: Sequence[tuple[Values, Values]], probe: str, confidence: float
) -> Difference:
    """Difference of the means over tasks, which are taken as given: nothing is said of others.

    Tasks over the same sources of the same data are left out source by source together; others
    are independent, and their variances are added.
    """
    gaps = [one.by_probe[probe] - other.by_probe[probe] for one, other in pairs]
    value = float(np.mean([gap[0] for gap in gaps]))
    together: dict[str, list[int]] = {}
    for place, (one, _) in enumerate(pairs):
        together.setdefault(one.drawn, []).append(place)
    spreads: list[Spread] = []
    for places in together.values():
        total = np.sum([gaps[place] for place in places], axis=0) / len(pairs)
        # of sources of differing sizes in these tasks the most uneven ones count
        sizes = min((pairs[place][0].sizes for place in places), key=freedom_of)
        spread = spread_of(total, sizes)
        if spread is None:
            return Difference(value)
        spreads.append(spread)
    sources = min(one.sources for one, _ in pairs)
    return _difference(value, combined(spreads), sources, confidence)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (1979): p-values for all of a family; None is in none.

    Rejecting what is below a level keeps the chance of any false rejection below that level,
    however the tests depend on each other.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = highest
    return adjusted


def _difference(value: float, spread: Spread, sources: int, confidence: float) -> Difference:
    low, high, p = difference_interval(value, spread, sources, confidence)
    return Difference(0.0 if low == high == 0.0 else value, low, high, p)
