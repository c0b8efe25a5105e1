"""What a table must say of how the probe behind a cell was trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from earmark.benchmark.result.schema import Score


def training_notes(score: Score, protocol: Mapping[str, Any]) -> list[str]:
    """Lines on a probe that was still learning, and on rates at an end of their grid.

    protocol: its fields, as a result holds them.
    """
    notes = []
    learning = _flat(score.still_learning)
    if any(learning):
        notes.append(
            f"still learning ({_of(sum(learning), len(learning))} heads): the validation metric "
            "rose in the last fifth of the training"
        )
    chosen, grid = _flat(score.learning_rates), protocol.get("learning_rates") or []
    if len(grid) > 1:
        for end, rate in (("least", min(grid)), ("largest", max(grid))):
            count = sum(one == rate for one in chosen)
            if count:
                notes.append(
                    f"the learning rate chosen is the {end} of the grid, {rate:g} "
                    f"({_of(count, len(chosen))} heads)"
                )
    return notes


def _of(count: int, total: int) -> str:
    return f"all {total}" if count == total else f"{count} of {total}"


def _flat(by_split: dict[str, list[Any]] | None) -> list[Any]:
    return [one for own in (by_split or {}).values() for one in own]
