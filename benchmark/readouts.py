"""Readouts: which statistics over a clip's frames a probe sees, and what a result keeps of them.

The mean is the headline: what the paper, X-ARES and HEAR take. The others say how far a score, and
the order of encoders, rests on that choice. Statistics pooling: Snyder et al. (ICASSP 2018); a
sweep over poolings chosen on validation: DINOv2's linear evaluation (arXiv 2304.07193).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from earmark.benchmark.io.fields import Interval, MaybeNaN

MEAN, BEST = "mean", "best"
BEST_LAYER = "layer-best"  # the output of an encoder, in names, that is the best of its layers
# in the order of how much a probe sees
READOUTS = (MEAN, "max", "mean+max", "mean+std", "mean+std+max")


@dataclass(frozen=True)
class ReadoutScore:
    """The score of the linear probe on one readout.

    readout: of `READOUTS`; or `best`: in each fold the one with the least loss on the validation
        items, of all that were asked for together. The test items take no part in the choice.
    value, per_split: as of the cell. interval: [low, high] at the cell's confidence; null with too
        few sources.
    losses: by fold, the least validation loss over the strengths; empty of a fold without one.
    chosen: by fold, the readout that `best` took; empty of the others. Of a best layer (see
        `score/grid.py`) layer and readout, `layer-3 mean+std`.
    converged: whether all fits were.
    """

    readout: str
    value: MaybeNaN
    interval: Interval = None
    per_split: dict[str, MaybeNaN] = field(default_factory=dict)
    losses: dict[str, MaybeNaN] = field(default_factory=dict)
    chosen: dict[str, str] = field(default_factory=dict)
    converged: bool = True


def checked_readouts(asked: object) -> tuple[str, ...]:
    """Readouts in their order, `all` for every one. Raises ValueError, in one line.

    With more than one, `best` is among what is computed; `mean` is always.

    Example:
        >>> checked_readouts(["mean+std"])
        ('mean', 'mean+std')
    """
    if isinstance(asked, str) or not isinstance(asked, Iterable):
        raise ValueError(f"readouts must be a list such as ['mean+std', 'max'], not {asked!r}")
    named = list(asked)
    for one in named:
        if one not in (*READOUTS, "all"):
            raise ValueError(f"unknown readout {one!r}; known are {', '.join(READOUTS)} and all")
    if not named:
        return ()
    wanted = {*READOUTS} if "all" in named else {MEAN, *named}
    return tuple(one for one in READOUTS if one in wanted)


def has_all(known: list[ReadoutScore] | None, asked: tuple[str, ...]) -> bool:
    """Whether a score holds what is asked for: every readout, and the best of just these."""
    if len(asked) < 2:
        return True
    return [one.readout for one in known or ()] == [*asked, BEST]
