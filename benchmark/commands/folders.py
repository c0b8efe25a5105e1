"""What must be so with the folders before a command starts."""

from __future__ import annotations

import os

from benchmark.exits import CannotStartError
from benchmark.settings import RunSettings


def check_folders(settings: RunSettings) -> None:
    """Raise CannotStartError where there is no data, or results cannot be written."""
    if not settings.is_synthetic and not settings.data_folder.is_dir():
        raise CannotStartError(
            f"no folder {settings.data_folder}; give the folder of shards with --data DIR or "
            "$EARMARK_DATA, or try --data synthetic"
        )
    there = next(p for p in (settings.results, *settings.results.parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise CannotStartError(
            f"{settings.results}: results cannot be written there; choose another folder with "
            "--results DIR"
        )
