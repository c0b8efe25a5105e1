"""What `gpu.py` measures: figures with their bounds, the file they are kept in, and the table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.io.files import write_atomically

SCHEMA = 1
AT_MOST, AT_LEAST = "at most", "at least"


@dataclass(frozen=True)
class Settings:
    """device: `cpu` or `cuda`. tiny: everything small, to try the script itself on a CPU."""

    device: str
    tiny: bool = False


@dataclass(frozen=True)
class Figure:
    """One number. relation: `at most` or `at least` the bound; without a bound it is only told."""

    name: str
    value: float
    unit: str = ""
    bound: float | None = None
    relation: str = AT_MOST
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether it keeps its bound; NaN never does. None where there is no bound."""
        if self.bound is None:
            return None
        if self.relation == AT_LEAST:
            return self.value >= self.bound
        return self.value <= self.bound

    def facts(self) -> dict[str, Any]:
        """For JSON, which knows no NaN and no infinity: null."""
        value = self.value if math.isfinite(self.value) else None
        return asdict(self) | {"value": value, "met": self.met}


@dataclass(frozen=True)
class Facts:
    """What is no number to be judged: names, versions, clocks."""

    values: dict[str, Any]


Measured = Iterator[Figure | Facts]


@dataclass
class Part:
    """What came of one part. error: why it has no more figures; None where it went to its end."""

    name: str
    seconds: float = 0.0
    error: str | None = None
    figures: list[dict[str, Any]] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """Whether it went to its end and no figure misses its bound."""
        return self.error is None and all(one["met"] is not False for one in self.figures)


def relative_error(found: Any, expected: Any) -> float:
    """||found - expected|| / ||expected|| in float64; infinite where shapes differ."""
    a, b = _float64(found), _float64(expected)
    if a.shape != b.shape:
        return math.inf
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def differing_share(found: Any, expected: Any) -> float:
    """Share of the elements that are not equal; 1 where shapes differ."""
    a, b = np.asarray(found), np.asarray(expected)
    return float((a != b).mean()) if a.shape == b.shape else 1.0


def _float64(values: Any) -> NDArray[np.float64]:
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    return np.asarray(values, np.float64).reshape(-1)


def write_line(path: Path, one: Figure | Facts) -> None:
    """Add one to what a part has measured so far: a part that is stopped keeps its figures."""
    values = {"facts": one.values} if isinstance(one, Facts) else {"figure": one.facts()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")


def read_lines(path: Path, part: Part, facts: dict[str, Any]) -> None:
    """What a part wrote, into the part and the facts."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            values = json.loads(line)
        except ValueError:  # cut off while it was written
            continue
        facts.update(values.get("facts", {}))
        if "figure" in values:
            part.figures.append(values["figure"])


def report(parts: Iterable[Part], facts: dict[str, Any], started: str) -> dict[str, Any]:
    """All of it, as it is written."""
    parts = list(parts)
    return {
        "schema": SCHEMA,
        "started": started,
        "device": facts.get("device", "unknown"),
        "machine": facts,
        "all_met": bool(parts) and all(part.met for part in parts),
        "parts": {
            part.name: {
                "seconds": round(part.seconds, 1), "error": part.error, "figures": part.figures,
            } for part in parts
        },
    }  # fmt: skip


def write_report(path: Path, values: dict[str, Any]) -> None:
    """Write the JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def line_of(figure: dict[str, Any]) -> str:
    """One row of the table."""
    value = "not finite" if figure["value"] is None else f"{figure['value']:.4g}"
    bound = "" if figure["bound"] is None else f"{figure['relation']} {figure['bound']:g}"
    verdict = {True: "met", False: "MISSED", None: ""}[figure["met"]]
    row = f"  {figure['name']:<58} {value:>10} {figure['unit']:<9} {bound:<16} {verdict:<6}"
    return f"{row} {figure['note']}".rstrip()


def table(values: dict[str, Any]) -> str:
    """The report as text: a line a figure, what was missed last."""
    lines = [f"{values['device']}, {values['started']}"]
    missed = []
    for name, part in values["parts"].items():
        lines.append(f"{name} ({part['seconds']:.0f} s)")
        lines += [line_of(one) for one in part["figures"]]
        if part["error"] is not None:
            lines.append(f"  FAILED: {part['error']}")
            missed.append(f"{name}: {part['error']}")
        missed += [f"{name}: {one['name']}" for one in part["figures"] if one["met"] is False]
    lines.append("all met" if values["all_met"] else f"missed: {'; '.join(missed)}")
    return "\n".join(lines)
