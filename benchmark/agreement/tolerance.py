"""How far a score may be from its reference.

The tolerance of a cell is the larger of a stated floor and the distance from a score to the bound
of its own interval on the side where the other value lies. That is: the other value must lie within
the interval, widened to `floor` on either side where it is narrower. Intervals are not
symmetric (`uncertainty/jackknife.py`); half their width would allow too much on one side and too
little on the other.

Against reference results it is the reference's interval: it was fixed before the check, and a
fault that widens intervals cannot excuse itself. Published values have none; there it is that of
the measured cell.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

from earmark.benchmark.bounds import check_fraction
from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.reconstruction.result import MetricScore
from earmark.benchmark.result.schema import Score

AnyScore = Score | MetricScore

FLOOR = 0.02
_ROUNDING = 1e-12  # of the subtraction, not of the scores
_COUNTS = {"items": "test items", "sources": "sources", "not_computed": "classes left out"}


@dataclass(frozen=True)
class Tolerance:
    """What is held to be in agreement. Raises ValueError for a share outside 0..1.

    floor: the least tolerance, in the metric's own unit, a share. 0.02 by default: as far as an
        independent rerun of X-ARES lies from its published table on all kNN cells and on 36 of 42
        linear ones.
    intervals: whether a cell's own interval may widen the tolerance.
    changed: the share of a cell's predictions that may change; None: any.
    exact: results made on one kind of machine with the same versions must be equal in every bit;
        the rest of the rule is for the others.
    """

    floor: float = FLOOR
    intervals: bool = True
    changed: float | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        check_fraction("floor", self.floor)
        if self.changed is not None:
            check_fraction("changed", self.changed)

    def tolerance(self, score: AnyScore, other: float) -> float:
        """How far `other` may be from a score."""
        return max(self.floor, _reach(score, other)) if self.intervals else self.floor

    def __str__(self) -> str:
        words = f"within {self.floor:g}"
        if self.intervals:
            words += " or the cell's own interval, whichever is wider"
        if self.changed is not None:
            words += f"; at most {self.changed:.1%} of its predictions changed"
        return words


def _reach(score: AnyScore, other: float) -> float:
    """From a score to the bound of its interval on the side of `other`; 0 without an interval."""
    if score.interval is None or not math.isfinite(score.value):
        return 0.0
    low, high = score.interval
    if other == score.value:
        return (high - low) / 2
    return max(0.0, high - score.value if other > score.value else score.value - low)


def exceeds(difference: float, tolerance: float) -> bool:
    """Whether a difference is more than may be; one that is not a number is."""
    return not abs(difference) <= tolerance + _ROUNDING


def faults_of(measured: AnyScore, reference: AnyScore, rule: Tolerance) -> list[str]:
    """In what a score is out of agreement with a reference, each in a few words."""
    faults = [
        f"{getattr(measured, name)} {what}, in the reference {getattr(reference, name)}"
        for name, what in _COUNTS.items()
        if getattr(measured, name) != getattr(reference, name)
    ]
    finite = math.isfinite(measured.value), math.isfinite(reference.value)
    if finite[0] != finite[1]:
        there = "in the reference" if finite[1] else "but not in the reference"
        what = "not computable" if finite[1] else "computable"
        return [*faults, f"{what}, {'computable ' if finite[1] else ''}{there}"]
    if not finite[0]:
        return faults
    allowed = rule.tolerance(reference, measured.value)
    difference = measured.value - reference.value
    if exceeds(difference, allowed):  # its interval has moved with it
        return [*faults, off_by(difference, allowed)]
    if (measured.interval is None) != (reference.interval is None):
        has = measured.interval is not None
        faults.append("has an interval, the reference none" if has else "has no interval any more")
    for side, mine, theirs in zip(
        ("lower", "upper"), measured.interval or (), reference.interval or (), strict=False
    ):
        allowed = rule.tolerance(reference, theirs)
        if exceeds(mine - theirs, allowed):
            faults.append(f"{side} bound of the interval {off_by(mine - theirs, allowed)}")
    return faults


def unequal_fields(measured: Score, reference: Score) -> list[str]:
    """The fields of two scores that differ in any bit."""
    mine, theirs = asdict(measured), asdict(reference)
    if theirs["majority"] is None:  # of before it was kept
        mine["majority"] = None
    # as text, so that what cannot be computed equals itself
    return [name for name in mine if json.dumps(mine[name]) != json.dumps(theirs[name])]


def off_by(difference: float, allowed: float) -> str:
    """A difference in words, with what would have been allowed."""
    return f"off by {rounded(difference, sign=True)}, more than {rounded(allowed)}"
