"""Where and how to run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from earmark.benchmark import synthetic
from earmark.benchmark.bounds import check_device, check_positive, check_positive_int
from earmark.benchmark.controls import checked_controls
from earmark.benchmark.paths import default_cache, default_data
from earmark.benchmark.protocol import STRICT, Protocol
from earmark.benchmark.readouts import checked_readouts
from earmark.benchmark.shots import Shots, checked_shots
from earmark.benchmark.zenodo.status import shards_folder
from earmark.tasks import TaskSpec

SYNTHETIC = "synthetic"
BATCH_SECONDS = 120.0
# A GPU is not filled by less: an H200 embeds 10 s clips 1.3 times as fast as with 120 s.
BATCH_SECONDS_ON_GPU = 320.0


@dataclass(frozen=True)
class RunSettings:
    """Where and how to run. Only `data`, `limit`, `protocol` and `shots` decide what comes out.

    Raises ValueError, in one line, for a value that cannot be.

    data: folder with the tasks' folders in it, or the word `synthetic`; a Path is always a folder.
    results, cache: folders for result files, and for embeddings and synthetic audio.
    limit: at most so many clips of each split or fold.
    device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`. batch_seconds: audio in one batch; None: 120,
    on CUDA 320. workers: decoding threads. force: compute again what is there already. not_fetched:
    by a task's name, why its shards, where they are not there, were not fetched; said in its
    failure. shots: numbers of clips a class, and `all`, at which label efficiency is measured
    beside the scores, which stay as they are; it has none for tasks whose clips have no classes.
    readouts: those that the linear probe is scored on beside the mean (`READOUTS`, or `all`), and
    the best of them by validation; likewise. Of tasks by frames `WINDOWS` (`windows`: all of them).
    control: `permuted`, `labels`: which controls of each encoder are scored too.
    """

    data: str | Path = dataclasses.field(default_factory=default_data)
    results: Path = Path("results/runs")
    cache: Path = dataclasses.field(default_factory=default_cache)
    limit: int | None = None
    protocol: Protocol = STRICT
    device: str = "auto"
    batch_seconds: float | None = None
    workers: int = max(1, min(8, os.cpu_count() or 1))
    force: bool = False
    not_fetched: Mapping[str, str] = dataclasses.field(default_factory=dict)
    shots: tuple[Shots, ...] = ()
    readouts: tuple[str, ...] = ()
    control: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("results", "cache"):
            object.__setattr__(self, name, Path(getattr(self, name)))
        if isinstance(self.data, Path) and str(self.data) == SYNTHETIC:
            # a folder of that name, and still one where it is written into a command
            object.__setattr__(self, "data", f"./{SYNTHETIC}")
        check_positive_int("workers", self.workers)
        if self.limit is not None:
            check_positive_int("limit", self.limit)
        if self.batch_seconds is not None:
            check_positive("batch_seconds", self.batch_seconds)
        object.__setattr__(self, "shots", checked_shots(self.shots))
        object.__setattr__(self, "readouts", checked_readouts(self.readouts))
        for what in ("shots", "readouts"):
            if getattr(self, what) and self.protocol.linear_probe != "logistic regression":
                raise ValueError(
                    f"{what} are of logistic regression, which protocol {self.protocol.name} does "
                    "not train; omit them, or take strict"
                )
        object.__setattr__(self, "control", checked_controls(self.control))
        check_device(self.device)

    @property
    def seconds_in_batch(self) -> float:
        """Seconds of audio in one batch, on the device that is chosen."""
        if self.batch_seconds is not None:
            return self.batch_seconds
        return BATCH_SECONDS_ON_GPU if self.device.startswith("cuda") else BATCH_SECONDS

    @property
    def is_synthetic(self) -> bool:
        """Whether synthetic audio was asked for, and is made where it is not there."""
        return self.data == SYNTHETIC

    def is_twin(self, spec: TaskSpec) -> bool:
        """Whether a task's audio is synthetic: asked for, or a copy of it in a folder."""
        return self.is_synthetic or synthetic.is_twin(shards_folder(spec, self.data_folder))

    @property
    def data_folder(self) -> Path:
        """Where the tasks' folders lie."""
        if self.is_synthetic:
            return self.cache / SYNTHETIC / f"v{synthetic.VERSION}"
        return Path(self.data)
