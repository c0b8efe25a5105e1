"""Columns that follow each other along something, as hidden layers do: what is drawn as a line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}
# `Mine(ckpt=10k)`, as a sweep over one argument names its columns
_SWEPT = re.compile(
    r"(?P<base>[^()]+)\((?P<key>[A-Za-z_]\w*)=(?P<value>[^=,()]+)\)(?P<rest>(?::[^:]+)*)"
)
_LAST_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([kKmMbB]?)(?![A-Za-z0-9])(?!.*\d)")
_LAYER = re.compile(r"(?P<base>.+):layer-(?P<number>\d+)(?P<control>:permuted(?:-\d+)?)?")


def series_of(columns: Sequence[str]) -> list[dict[str, Any]]:
    """The layers of each encoder that has two or more among the columns; and its sweeps.

    Returns {name, along, points: [column's place, number]} by number; `along` is `layer`, or the
    argument that is swept, whose number is the last in its value (`step-10k`: 10 000).
    """
    found: dict[tuple[str, str], list[list[float]]] = {}
    for place, column in enumerate(columns):
        layer, swept = _LAYER.fullmatch(column), _SWEPT.fullmatch(column)
        if layer is not None:
            key = layer["base"] + (layer["control"] or ""), "layer"
            found.setdefault(key, []).append([place, int(layer["number"])])
        elif swept is not None and (number := _number(swept["value"])) is not None:
            key = swept["base"] + swept["rest"], swept["key"]
            found.setdefault(key, []).append([place, number])
    return [
        {"name": name, "along": along, "points": sorted(points, key=lambda point: point[1])}
        for (name, along), points in found.items()
        if len({number for _, number in points}) > 1
    ]


def _number(value: str) -> float | None:
    """The last number in a swept value; None where it holds none."""
    last = _LAST_NUMBER.search(value)
    if last is None:
        return None
    number = float(last[1]) * _UNITS[last[2].lower()]
    return int(number) if number.is_integer() else number
