"""A folder of results that the command reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from result_files import make_result

from earmark.benchmark.result.files import (
    failed_path,
    result_path,
    write_result,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Result files: two that are whole, a failure, one broken and one of another version."""
    for result in (make_result("a", 0.625), make_result("b", 0.875, encoder="mfcc")):
        place = result_path(
            tmp_path, encoder=result.encoder.name, fingerprint=result.encoder.fingerprint,
            protocol="strict", task=result.task.name, synthetic=False, limit=None,
        )  # fmt: skip
        place.parent.mkdir(parents=True)
        place.write_text(result.to_json())
    write_result(tmp_path / "c.json", make_result("c", error="no folder"), None)
    assert failed_path(tmp_path / "c.json").is_file()
    (tmp_path / "broken.json").write_text('{"schema": 1, "stat')
    (tmp_path / "old.json").write_text('{"schema": 0}')
    return tmp_path
