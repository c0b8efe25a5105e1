"""Reconstruction without processes of its own and without the trial of a codec."""

from __future__ import annotations

import pytest
from reconstruction_files import InThisProcess

from earmark.benchmark.reconstruction import evaluator as running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No child processes, no trial of speed, no trial of the contract."""
    monkeypatch.setattr(running, "speed", lambda codec, device: 5.0)
    monkeypatch.setattr(
        "earmark.benchmark.reconstruction.run.Workers", InThisProcess
    )  # the true ones: test_workers.py
    monkeypatch.setattr(running.Preflight, "check", lambda gate, codec: None)  # test_codec.py
