"""Where and how to reconstruct, and which data sets that means."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from earmark.benchmark.bounds import (
    check_device,
    check_fraction,
    check_positive,
    check_positive_int,
)
from earmark.benchmark.reconstruction.clips import ClipSet, open_material
from earmark.benchmark.reconstruction.metric import registry as measured
from earmark.benchmark.reconstruction.presets import PRESETS, open_preset
from earmark.benchmark.reconstruction.synthetic import synthetic_materials
from earmark.benchmark.settings import SYNTHETIC, default_cache
from earmark.benchmark.shards.dataset import DataError

_HIGHEST_RATE = 192_000


@dataclass(frozen=True)
class ReconstructionSettings:
    """Where and how to run. Raises ValueError, in one line, for a value that cannot be.

    preset: name of a data set with a usual layout (`PRESETS`); None: the data as they are.
    source_key: see `open_material`. crop_seconds: of consecutive crops; None: as a preset says,
    else whole clips. rates: in Hz, of mel and STFT distances. limit: at most so many clips.
    results, cache: folders for results, and for what has been measured already. failed_share: a
    data set has failed where more than this share of its clips did. device: `auto`, `cpu`,
    `cuda`, `cuda:1` or `mps`. workers: processes that measure, and threads that decode.
    save_audio, plots: folders for pairs of sounds and of spectrograms. force: measure again what
    has been.
    """

    preset: str | None = None
    source_key: str | None = None
    crop_seconds: float | None = None
    rates: tuple[int, ...] = (measured.RATE,)
    limit: int | None = None
    results: Path = Path("results/runs")
    cache: Path = field(default_factory=default_cache)
    failed_share: float = 0.01
    device: str = "auto"
    workers: int = max(1, os.cpu_count() or 1)
    save_audio: Path | None = None
    plots: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        for name in ("results", "cache", "save_audio", "plots"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else Path(value))
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, not {self.preset!r}")
        if self.crop_seconds is not None:
            check_positive("crop_seconds", self.crop_seconds)
        if self.limit is not None:
            check_positive_int("limit", self.limit)
        object.__setattr__(self, "rates", tuple(self.rates))
        for rate in self.rates:
            check_positive_int("rates", rate)
            if not measured.LOWEST_RATE <= rate <= _HIGHEST_RATE:
                raise ValueError(f"rates must be {measured.LOWEST_RATE} to {_HIGHEST_RATE} Hz")
        check_positive_int("workers", self.workers)
        check_fraction("failed_share", self.failed_share)
        check_device(self.device)


def open_materials(
    data: str | Path | Sequence[str | Path], settings: ReconstructionSettings
) -> list[ClipSet]:
    """The data sets asked for. data: folders, shards or manifests, or the word `synthetic`.

    Raises DataError, ShardError.
    """
    places = [data] if isinstance(data, str | Path) else list(data)
    found: list[ClipSet] = []
    for place in dict.fromkeys(places):
        if place == SYNTHETIC and not isinstance(place, Path):
            if settings.preset is not None:
                raise DataError(f"preset {settings.preset} is real data; leave out {SYNTHETIC}")
            found += synthetic_materials()
        elif settings.preset is not None:
            found.append(open_preset(settings.preset, Path(place)))
        else:
            found.append(open_material(Path(place), settings.source_key))
    cropped = settings.crop_seconds
    if cropped is not None:
        found = [
            dataclasses.replace(
                material,
                crop_seconds=cropped,
                # what is published of it is of other crops
                known_as=material.known_as if cropped == material.crop_seconds else None,
            )
            for material in found
        ]
    return [material.limited(settings.limit) for material in found]
