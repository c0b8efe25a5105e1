"""How a linear probe was fitted, as results keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from earmark.benchmark.io.fields import MaybeNaN


@dataclass(frozen=True)
class LinearFit:
    """How a probe was fitted to one split; the result keeps it.

    strength: the one chosen. strengths: all that were tried, from strong to weak.
    validation_loss: at each of them, mean over the clips of the validation part; empty where no
        validation clip is of a class that was trained on, so that `strength` is a default.
    passes: over the data, all strengths and the refit together. gradient_norm: of the objective
        where the fit that was tested ended. converged: whether it, and every strength tried, got
        there.
    at_end: whether the best strength was the last that was tried at an end of the grid.
    refitted: whether it was fitted again on all training items, the validation part included.
    """

    strength: MaybeNaN
    strengths: list[float] = field(default_factory=list)
    validation_loss: list[MaybeNaN] = field(default_factory=list)
    passes: int = 0
    gradient_norm: MaybeNaN = 0.0
    converged: bool = True
    at_end: bool = False
    refitted: bool = False


def fit_notes(fits: Mapping[str, LinearFit]) -> list[str]:
    """What a table's reader is told of the fits of a cell's splits, where there is something."""
    notes = []
    for words, found in (
        (
            "its linear probe had not converged when its passes were used up",
            [split for split, fit in fits.items() if not fit.converged],
        ),
        (
            "no validation clip is of a class that was trained on; a default strength was taken",
            [split for split, fit in fits.items() if not fit.validation_loss],
        ),
        (
            "the best strength is the last one tried, at an end of the grid",
            [split for split, fit in fits.items() if fit.at_end],
        ),
    ):
        if found:
            of = f" ({', '.join(found)} of {len(fits)} folds)" if len(fits) > 1 else ""
            notes.append(words + of)
    return notes
