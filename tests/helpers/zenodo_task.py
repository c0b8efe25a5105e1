"""A task whose shards are a record on the server of `zenodo.py`, and what was fetched of it."""

from __future__ import annotations

import random
from pathlib import Path

from zenodo import content

from earmark import download
from earmark.tasks import TaskSpec

NUMBER = "123"
FILES = {
    "train-0.tar": random.Random(0).randbytes(300_000),
    "train-1.tar": random.Random(1).randbytes(1000),
    "valid-0.tar": random.Random(2).randbytes(2000),
    "test-0.tar": random.Random(3).randbytes(70_000),
}
FIRST = content(NUMBER, "train-0.tar")


def fetched(spec: TaskSpec | list[TaskSpec], data: Path) -> tuple[str | None, list[str]]:
    """The only task's error, and the lines that were said."""
    lines: list[str] = []
    outcomes = download(spec, data, say=lines.append)
    for text in [*lines, *(one.error for one in outcomes if one.error)]:
        assert len(text.splitlines()) == 1
    return outcomes[0].error, lines


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}


def parts(folder: Path) -> list[Path]:
    return list((folder / ".earmark").glob("*.part"))
