"""Whether an encoder does what it claims, by the checks that users run."""

from __future__ import annotations

from unittest import mock

from earmark.benchmark.conformance import run
from earmark.encoders import AudioEncoder

SHORTER = ("noise-0.5", "noise-1", "noise-2.33", "noise-4")


def breaches(encoder: AudioEncoder) -> list[str]:
    """What `validate` finds wrong, on the CPU; empty: nothing.

    Without 10 minutes of audio, and by clips of 4 s at most.
    """
    with mock.patch.object(run, "LENGTHS", SHORTER):
        checks = run.validate(encoder, device="cpu", quick=True)
    return [
        f"{check.what}: {check.measured}, not {check.claimed}"
        for check in checks
        if check.verdict == "BREACH"
    ]
