"""`check` from the command line, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from reference_files import Shell


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.setenv("COLUMNS", "100")
    return Shell(tmp_path, capsys)
