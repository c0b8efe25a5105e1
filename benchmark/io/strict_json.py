"""JSON as results are written in it: without NaN, which it lacks, and with each key once.

Of a key that is there twice Python would take the last, and somebody else perhaps the first.
"""

from __future__ import annotations

import json
import math
from typing import Any


def parse(text: str) -> Any:
    """What a JSON text holds.

    Raises ValueError, also for a key that is there twice, NaN, a number too large for one, and text
    that cannot be written as UTF-8.
    """
    found = json.loads(
        text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_float
    )
    if "\\ud" in text.lower():  # half of a pair, as an escape, is no text
        json.dumps(found, ensure_ascii=False).encode()
    return found


def without_nan(value: Any) -> Any:
    """A value of dicts, lists and numbers with null for what is not finite."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the key {twice!r:.80} twice in one object")
    return found


def _float(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _no_number(digits)


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")
