"""Columns that follow each other along something, as hidden layers do: what is drawn as a line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_LAYER = re.compile(r"(?P<base>.+):layer-(?P<number>\d+)(?P<control>:permuted(?:-\d+)?)?")


def series_of(columns: Sequence[str]) -> list[dict[str, Any]]:
    """The layers of each encoder that has two or more among the columns.

    Returns {name, along, points: [column's place, number]} by number; `along` is `layer`.
    """
    found: dict[str, list[list[int]]] = {}
    for place, column in enumerate(columns):
        layer = _LAYER.fullmatch(column)
        if layer is not None:
            name = layer["base"] + (layer["control"] or "")
            found.setdefault(name, []).append([place, int(layer["number"])])
    return [
        {"name": name, "along": "layer", "points": sorted(points, key=lambda point: point[1])}
        for name, points in found.items()
        if len({number for _, number in points}) > 1
    ]
