"""`reconstruct` in a folder, and what it left there."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from earmark import reconstruct
from earmark.benchmark.reconstruction.result import ReconstructionResult


def run(folder: Path, codec: Any, data: Any, **changes: Any) -> list[ReconstructionResult]:
    facts = {"results": folder / "results", "cache": folder / "cache", "workers": 1}
    return reconstruct(codec, data, **facts | changes)


def table_of(folder: Path) -> list[dict[str, str]]:
    (path,) = (folder / "results").rglob("*.clips.csv")
    return list(csv.DictReader(path.open()))


def facts(result: ReconstructionResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.to_json())
    for part in ("run", "command", "versions"):
        found.pop(part)
    return found
