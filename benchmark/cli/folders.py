"""What must be so with the folders before a command starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from earmark.benchmark.io.exits import CannotStartError
from earmark.benchmark.settings import RunSettings
from earmark.tasks import TaskSpec


def check_folders(settings: RunSettings) -> None:
    """Raise CannotStartError where there is no data, or results cannot be written."""
    check_data(settings)
    check_results(settings)


def check_data(settings: RunSettings, not_fetched: Mapping[str, str] | None = None) -> None:
    """Raise CannotStartError where there is no folder of data.

    not_fetched: why nothing was fetched into it, by task, where that was tried.
    """
    if settings.is_synthetic or settings.data_folder.is_dir():
        return
    tried = "; ".join(dict.fromkeys((not_fetched or {}).values()))
    raise CannotStartError(
        f"no folder {settings.data_folder}{f' ({tried})' if tried else ''}; give the folder of "
        "shards with --data DIR or $EARMARK_DATA, fetch them with `download TASKS --data DIR`, or "
        "try --data synthetic"
    )


def check_results(settings: RunSettings) -> None:
    """Raise CannotStartError where results cannot be written."""
    there = next(p for p in (settings.results, *settings.results.parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise CannotStartError(
            f"{settings.results}: results cannot be written there; choose another folder with "
            "--results DIR"
        )


def may_be_made(asked: str | None, specs: Iterable[TaskSpec]) -> bool:
    """Whether a run may make the folder of data that is not there, to fetch into it.

    Only the folder that is meant where none is named: a name that somebody typed and that is not
    there is misspelt, or a disk that is not mounted, and neither is a place for a data set.
    """
    named = asked is not None or bool(os.environ.get("EARMARK_DATA"))
    return not named and any(spec.zenodo_record is not None for spec in specs)
