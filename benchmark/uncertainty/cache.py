"""Values without each source on the disk: mAP of ten thousand clips takes seconds.

8 bytes a source and score, in the cache, under a name that covers the predictions, the data and
the code: what is out of date is never found. A file that cannot be written counts as not there.
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

from earmark.benchmark.io.sealed import read_sealed, write_sealed
from earmark.benchmark.result.schema import RunResult

_FOLDER = "jackknife"
_PROBE = "probe "  # before a probe's name, that no array of another meaning is taken for one


@dataclass(frozen=True)
class Values:
    """What a cell's scores are without each source.

    items: fingerprint of the items. drawn: fingerprint of the sources and the data they are in.
    sizes: (g,) items of each source, sorted by its name. by_probe: the score, then without each
    source, (1 + g,).
    """

    items: str
    drawn: str
    sizes: NDArray[np.int64]
    by_probe: dict[str, NDArray[np.float64]]

    @property
    def count(self) -> int:
        """How many items there are."""
        return int(self.sizes.sum())

    @property
    def sources(self) -> int:
        return len(self.sizes)


def key_of(results: Sequence[RunResult]) -> str:
    """Name of the values of the first result, on the items that it shares with the others."""
    facts = [
        {
            "predictions": result.predictions.sha256 if result.predictions else None,
            "shards": sorted(shard.sha256 for shard in result.data.shards),
            "scores": {probe: [s.metric, s.value] for probe, s in result.scores.items()},
            "classes": result.task.classes,
            "protocol": result.protocol,
        }
        for result in results
    ]
    text = json.dumps([facts, _code()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load_values(folder: Path, key: str) -> Values | None:
    """The values of that name; None where there are none that are whole."""
    content = read_sealed(_path(folder, key))
    if content is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Values(
            str(arrays["items"]), str(arrays["drawn"]), np.asarray(arrays["sizes"], np.int64),
            {
                name.removeprefix(_PROBE): arrays[name]
                for name in arrays.files
                if name.startswith(_PROBE)
            },
        )  # fmt: skip


def save_values(folder: Path, key: str, values: Values) -> None:
    """Write values for later; a folder that cannot be written makes nothing worse but slower."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {
        "items": values.items, "drawn": values.drawn, "sizes": values.sizes,
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
        *sorted(here.glob("*.py")), *sorted((here.parent / "metric").glob("*.py")),
    ):  # fmt: skip
        digest.update(path.read_bytes())
    return digest.hexdigest()
