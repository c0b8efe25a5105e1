"""Where and how to run."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from benchmark import synthetic
from benchmark.embed import EmbedSettings
from benchmark.protocol import STRICT, Protocol

SYNTHETIC = "synthetic"


def default_data() -> Path:
    """Where shards are looked for: $EARMARK_DATA, else `data`."""
    return Path(os.environ.get("EARMARK_DATA") or "data")


def default_cache() -> Path:
    """Where embeddings and synthetic audio are kept: $EARMARK_CACHE, else ~/.cache/earmark."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("EARMARK_CACHE") or Path(base) / "earmark")


@dataclass(frozen=True)
class RunSettings:
    """Where and how to run. Only `data`, `limit` and `protocol` decide what comes out.

    data: folder with the tasks' folders in it, or `synthetic`.
    results, cache: folders for result files, and for embeddings and synthetic audio.
    limit: at most so many clips of each split or fold.
    device: `auto`, `cpu` or `cuda`. batch_seconds: audio in one batch. workers: decoding threads.
    force: compute again what is there already.
    """

    data: str | Path = dataclasses.field(default_factory=default_data)
    results: Path = Path("results/runs")
    cache: Path = dataclasses.field(default_factory=default_cache)
    limit: int | None = None
    protocol: Protocol = STRICT
    device: str = "auto"
    batch_seconds: float = EmbedSettings.batch_seconds
    workers: int = max(1, min(8, os.cpu_count() or 1))
    force: bool = False

    def __post_init__(self) -> None:
        for name in ("results", "cache"):
            object.__setattr__(self, name, Path(getattr(self, name)))

    @property
    def is_synthetic(self) -> bool:
        return str(self.data) == SYNTHETIC

    @property
    def data_folder(self) -> Path:
        """Where the tasks' folders lie."""
        if self.is_synthetic:
            return self.cache / SYNTHETIC / f"v{synthetic.VERSION}"
        return Path(self.data)
