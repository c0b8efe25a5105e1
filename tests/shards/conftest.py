"""A task of three classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_files import three_classes

from earmark.tasks import TaskSpec


@pytest.fixture
def spec(tmp_path: Path) -> TaskSpec:
    return three_classes(tmp_path)
