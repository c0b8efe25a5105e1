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
# of tasks by frames: a frame with so many on either side; `window-0`, the frame alone, is the score
WINDOWS = ("window-0", "window-1", "window-2", "window-4")
EVERY, EVERY_WINDOW = "all", "windows"  # what stands for all of either


@dataclass(frozen=True)
class ReadoutScore:
    """The score of the linear probe on one readout.

    readout: of `READOUTS` or `WINDOWS`; or `best`: in each fold the one with the least loss on the
        validation items, of all that were asked for together. The test items take no part in it.
    value, per_split: as of the cell. interval: [low, high] at the cell's confidence; null with too
        few sources.
    losses: by fold, the least validation loss over the strengths; empty of a fold without one. Of
        windows 1 minus the validation metric.
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
    """Readouts in their order, those of clips first. Raises ValueError, in one line.

    `all` stands for every one of clips, `windows` for those of frames, which cost a training each.
    With more than one of a kind, `best` is among what is computed; the first of a kind always is.

    Example:
        >>> checked_readouts(["mean+std"])
        ('mean', 'mean+std')
        >>> checked_readouts(["window-2"])
        ('window-0', 'window-2')
    """
    if isinstance(asked, str) or not isinstance(asked, Iterable):
        raise ValueError(f"readouts must be a list such as ['mean+std', 'max'], not {asked!r}")
    named = list(asked)
    known = (*READOUTS, *WINDOWS, EVERY, EVERY_WINDOW)
    for one in named:
        if one not in known:
            raise ValueError(f"unknown readout {one!r}; known are {', '.join(known)}")
    found: list[str] = []
    for kind, every in ((READOUTS, EVERY), (WINDOWS, EVERY_WINDOW)):
        wanted = {*kind} if every in named else {*named}.intersection(kind)
        found += [one for one in kind if one in wanted or (wanted and one == kind[0])]
    return tuple(found)


def clip_readouts(asked: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are of clips."""
    return tuple(one for one in asked if one in READOUTS)


def windows_of(asked: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are of frames."""
    return tuple(one for one in asked if one in WINDOWS)


def reach_of(window: str) -> int:
    """`window-2` -> 2 frames on either side."""
    return int(window.rpartition("-")[2])


def has_all(known: list[ReadoutScore] | None, asked: tuple[str, ...]) -> bool:
    """Whether a score holds what is asked for: every readout, and the best of just these."""
    if len(asked) < 2:
        return True
    return [one.readout for one in known or ()] == [*asked, BEST]
