"""Whether an encoder does what it claims, by the checks that users run."""

from __future__ import annotations

from earmark.benchmark.conformance.run import validate
from earmark.encoders import AudioEncoder


def breaches(encoder: AudioEncoder) -> list[str]:
    """What `validate` finds wrong, on the CPU and without 10 minutes of audio; empty: nothing."""
    return [
        f"{check.what}: {check.measured}, not {check.claimed}"
        for check in validate(encoder, device="cpu", quick=True)
        if check.verdict == "BREACH"
    ]
