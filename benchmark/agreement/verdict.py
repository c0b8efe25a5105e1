"""What a check found: a verdict on every cell, worst first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from earmark.benchmark.agreement.changes import Changes
from earmark.benchmark.agreement.loading import Conditions
from earmark.benchmark.io.exits import ALL_DONE, CHECK_FAILED, NOT_ALL_DONE

OK, BREACH, NOT_CHECKED = "ok", "breach", "not checked"
VERDICTS = (BREACH, NOT_CHECKED, OK)  # in the order of how much they ask for attention


@dataclass(frozen=True)
class Checked:
    """One encoder, task and probe, held against one reference.

    encoder: its name, with digits of its fingerprint where two of one name are there.
    measured, reference: values of the metric; NaN where there is none.
    tolerance: how far apart they may be, 0 where they must be equal; NaN where nothing is said.
    why: what a breach consists in, or why nothing could be checked.
    source: of a published value, its key in `sources.yaml`, else empty. primary: False where that
        is second-hand.
    changes: predictions that changed; None where they were not compared.
    exact: whether it was held to be equal in every bit.
    conditions: under which the reference was measured; None of published values.
    """

    encoder: str
    task: str
    probe: str
    metric: str
    verdict: str
    measured: float = math.nan
    reference: float = math.nan
    tolerance: float = math.nan
    why: tuple[str, ...] = ()
    source: str = ""
    primary: bool = True
    changes: Changes | None = None
    exact: bool = False
    conditions: Conditions | None = None

    @property
    def difference(self) -> float:
        """Measured less reference; NaN where one of them is missing."""
        return self.measured - self.reference

    @property
    def ratio(self) -> float:
        """How much of the tolerance is used; infinite where there must be none or no value is."""
        difference = abs(self.difference)
        if difference == 0 or (math.isnan(difference) and self.verdict == OK):
            return 0.0
        return difference / self.tolerance if difference and self.tolerance > 0 else math.inf


@dataclass(frozen=True)
class Agreement:
    """A whole check.

    against: what results were held against, in words. rule: the tolerance, in words.
    cells: worst first. unreadable: a line for each file that could not be read.
    beyond: what was measured but is not in the reference, a line for each encoder and conditions.
    citations: of the cells' sources, by key.
    """

    against: str
    rule: str
    cells: tuple[Checked, ...]
    unreadable: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    citations: Mapping[str, str] = field(default_factory=dict)

    def of(self, verdict: str) -> list[Checked]:
        """The cells with a verdict."""
        return [cell for cell in self.cells if cell.verdict == verdict]

    @property
    def status(self) -> int:
        """Exit status: 1 where anything is in breach, else 3 where anything was not checked."""
        if self.of(BREACH):
            return CHECK_FAILED
        return NOT_ALL_DONE if self.of(NOT_CHECKED) or self.unreadable else ALL_DONE

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        breaches = len(self.of(BREACH))
        words = [
            f"{breaches} breach{'' if breaches == 1 else 'es'}",
            f"{len(self.of(NOT_CHECKED))} not checked",
            f"{len(self.of(OK))} ok",
        ]
        if self.unreadable:
            count = len(self.unreadable)
            words.append(f"{count} file{'' if count == 1 else 's'} not readable")
        return f"{', '.join(words)}: against {self.against}"


def worst_first(cells: list[Checked]) -> tuple[Checked, ...]:
    """Breaches, then what was not checked, then the rest.

    In each by how much of the tolerance is used, then by the share of changed predictions.
    """

    def rank(cell: Checked) -> tuple[int, float, float]:
        changed = cell.changes.share if cell.changes is not None else 0.0
        return VERDICTS.index(cell.verdict), -cell.ratio, -changed

    return tuple(sorted(cells, key=rank))
