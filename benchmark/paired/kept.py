"""Bootstrap values on the disk: mAP of ten thousand clips takes seconds, transcripts likewise.

80 KB a score, in the cache, under a name that covers the predictions, the data and the code: what
is out of date is never found. A file that cannot be written counts as not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.result import RunResult
from benchmark.sealed import read_sealed, write_sealed

_FOLDER = "bootstrap"
_PROBE = "probe "  # before a probe's name, that no array of another meaning is taken for one


@dataclass(frozen=True)
class Values:
    """Bootstrap values of a cell.

    items: fingerprint of the items. count: how many these are. sources: how many were drawn from.
    by_probe: the score, then the score in each of R resamples, (1 + R,).
    """

    items: str
    count: int
    sources: int
    by_probe: dict[str, NDArray[np.float64]]


def key_of(results: Sequence[RunResult], resamples: int) -> str:
    """Name of the values of the first result, on the items that it shares with the others."""
    facts = [
        {
            "predictions": (result.predictions or {}).get("sha256"),
            "shards": sorted(shard["sha256"] for shard in result.data["shards"]),
            "scores": {probe: [s.metric, s.value] for probe, s in result.scores.items()},
            "classes": result.task.get("classes"),
            "protocol": result.protocol,
        }
        for result in results
    ]
    text = json.dumps([facts, resamples, _code()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def kept(folder: Path, key: str) -> Values | None:
    """The values of that name; None where there are none that are whole."""
    content = read_sealed(_path(folder, key))
    if content is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Values(
            str(arrays["items"]), int(arrays["count"]), int(arrays["sources"]),
            {
                name.removeprefix(_PROBE): arrays[name]
                for name in arrays.files
                if name.startswith(_PROBE)
            },
        )  # fmt: skip


def keep(folder: Path, key: str, values: Values) -> None:
    """Write values for later; a folder that cannot be written makes nothing worse but slower."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {
        "items": values.items, "count": values.count, "sources": values.sources,
        **{f"{_PROBE}{probe}": array for probe, array in values.by_probe.items()},
    }  # fmt: skip
    np.savez(buffer, **arrays)
    with contextlib.suppress(OSError):
        write_sealed(_path(folder, key), buffer.getvalue())


def _path(folder: Path, key: str) -> Path:
    return folder / _FOLDER / f"{key}.values"


@cache
def _code() -> str:
    """SHA-256 of the source of everything between predictions and values."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in (
        here.parent / "interval.py", *sorted(here.glob("*.py")),
        *sorted((here.parent / "metric").glob("*.py")),
    ):  # fmt: skip
        digest.update(path.read_bytes())
    return digest.hexdigest()
