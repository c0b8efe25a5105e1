"""Events, notes and captions as clips have them."""

from __future__ import annotations

from typing import Any

from task_files import DROP

CLASSES = {"Cat": 0, "Dog": 1, "Running_water": 2}
KEYS = {str(note): note - 21 for note in range(21, 108)}
FIELDS = ("caption_1", "caption_2", "caption_3")
GOOD_EVENT = {"onset": 0.5, "offset": 1, "label": "Dog"}
GOOD_NOTE = {"start": 0.5, "end": 1, "note": 60}


def event(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**GOOD_EVENT, **changes}.items() if value is not DROP}


def note(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**GOOD_NOTE, **changes}.items() if value is not DROP}
