"""Clips that tests of the audit plant in shards, and what is found then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from clips import audio_bytes, clip_members

from earmark import audit_tasks
from earmark.benchmark.result.audit_report import AuditReport

Members = list[tuple[str, bytes]]
RATE = 16_000
NOTHING = {
    "in_two_splits": 0, "twice_in_one_split": 0, "label_conflicts": 0, "straddling_sources": 0,
    "silent": 0, "failed_clips": 0, "unlabelled": 0,
}  # fmt: skip


def noise(seed: int, count: int = 5000) -> Any:
    samples = np.random.default_rng(seed).integers(-9000, 9000, count).astype(np.int16)
    samples[[0, -1]] = 9
    return samples


def planted(key: str, samples: Any, label: Any = "low", suffix: str = "wav") -> Members:
    return clip_members(key, audio_bytes(samples, RATE, suffix), {"label": label}, suffix)


def audit(task: Path, data: Path, results: Path, **settings: Any) -> AuditReport:
    (finding,) = audit_tasks(str(task), data=data, results=results, **settings)
    assert finding.error is None
    return finding


def counts(**found: int) -> dict[str, int]:
    return {**NOTHING, **found}
