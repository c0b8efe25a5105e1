"""Numbers and repeated facts as the page holds them: short, and each fact once."""

from __future__ import annotations

import json
import math
from typing import Any

from earmark.benchmark.io.rounding import EXACT


def exact(value: float | None) -> float | None:
    """A number as it is, or null where there is none: it is rounded once, where it is shown."""
    return None if value is None or not math.isfinite(value) else float(value)


def score(value: float | None) -> float | None:
    """What stands beside a score, such as that of one seed, or null where there is none."""
    return None if value is None or not math.isfinite(value) else round(float(value), EXACT)


def short(value: float | None) -> float | None:
    """A measured quantity to four digits, or null."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


class Pool:
    """Facts that many cells share (versions, protocol, shards), each kept once.

    facts: all of them; a cell holds the number that `add` returned.
    """

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self._places: dict[str, int] = {}

    def add(self, fact: Any) -> int:
        """Place of a fact made of plain JSON values."""
        text = json.dumps(fact, sort_keys=True)
        if text not in self._places:
            self._places[text] = len(self.facts)
            self.facts.append(fact)
        return self._places[text]
