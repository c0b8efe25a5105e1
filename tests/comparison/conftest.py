"""A folder of results of two encoders on three tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparison_runs import cell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A is better on `one`, alike on `two`, worse on `three`."""
    for encoder, shares in (("A", (0.8, 0.5, 0.3)), ("B", (0.5, 0.5, 0.7))):
        for task, share in zip(("one", "two", "three"), shares, strict=True):
            domain = "music" if task == "three" else "speech"
            cell(tmp_path / "runs", share, encoder, task, domain=domain)
    return tmp_path / "runs"
