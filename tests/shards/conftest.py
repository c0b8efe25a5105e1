"""A task of three classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from clips import TASK_YAML

from earmark.tasks import TaskSpec, read_task

CLASSES = ("cat", "dog", "7")


@pytest.fixture
def spec(tmp_path: Path) -> TaskSpec:
    file = tmp_path / "toy.yaml"
    file.write_text(TASK_YAML)
    return dataclasses.replace(read_task(file), classes=CLASSES)
