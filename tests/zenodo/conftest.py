"""A server on loopback with the record of a task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from task_files import load, task
from zenodo import Zenodo, serving
from zenodo_task import FILES, NUMBER

from earmark.benchmark.zenodo import server as server_module
from earmark.tasks import TaskSpec


@pytest.fixture
def zenodo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zenodo]:
    """A server with the record of the task; waits between tries are noted, not waited for."""
    with serving() as server:
        server.add(NUMBER, dict(FILES))
        monkeypatch.setenv("EARMARK_ZENODO", server.address)
        yield server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited for between tries."""
    waited: list[float] = []
    monkeypatch.setattr(server_module.time, "sleep", waited.append)
    return waited


@pytest.fixture
def spec(tmp_path: Path) -> TaskSpec:
    return load(task(zenodo_record=NUMBER), tmp_path)
