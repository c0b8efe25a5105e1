"""Controls: what an encoder's score is held against, besides what a guess would reach.

permuted: the same encoder with permuted weights (`encoders/control.py`). labels: probes taught
shuffled labels (`evaluation/shuffled.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

PERMUTED, LABELS = "permuted", "labels"
CONTROLS = (PERMUTED, LABELS)


def checked_controls(asked: object) -> tuple[str, ...]:
    """Controls in their order, each once. Raises ValueError, in one line."""
    if isinstance(asked, str) or not isinstance(asked, Iterable):
        raise ValueError(f"control must be a list of {', '.join(CONTROLS)}, not {asked!r}")
    named = list(asked)
    for one in named:
        if one not in CONTROLS:
            raise ValueError(f"unknown control {one!r}; known are {', '.join(CONTROLS)}")
    return tuple(one for one in CONTROLS if one in named)
