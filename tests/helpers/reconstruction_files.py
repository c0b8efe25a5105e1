"""Audio and results made by hand, for tests of reconstruction."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from clips import audio_bytes

from earmark.benchmark.io.fields import read_fields
from earmark.benchmark.reconstruction.metric.registry import all_metrics, settings
from earmark.benchmark.reconstruction.result import Alignment, MetricScore, ReconstructionResult
from earmark.benchmark.reconstruction.worker import answer
from earmark.benchmark.result.facts import CodecFacts, ReconstructionData, RunFacts


def voice(seconds: float, seed: int = 0, rate: int = 16_000) -> np.ndarray:
    """A buzz with a syllable every quarter of a second, of a pitch by seed; at most 0.6."""
    t = np.arange(round(seconds * rate)) / rate
    pitch = 100 + 10 * (seed % 13)
    buzz = sum(np.sin(2 * np.pi * pitch * k * t + k * k) / k for k in range(1, 30))
    hiss = np.random.default_rng(seed).standard_normal(len(t))
    return (0.1 * buzz * (0.02 + np.sin(2 * np.pi * 2 * t) ** 2) + 0.003 * hiss).astype("f4")


def write_clips(folder: Path, count: int = 3, seconds: float = 1.0, rate: int = 16_000) -> Path:
    """`s0-0.wav`, `s0-1.wav`, `s1-2.wav`, ...: two clips a source, 32-bit float."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        data = audio_bytes(voice(seconds + 0.1 * i, i, rate), rate, subtype="FLOAT")
        (folder / f"s{i // 2}-{i}.wav").write_bytes(data)
    return folder


class InThisProcess:
    """Workers that start no process: their jobs and answers pass through JSON all the same."""

    def __init__(self, count: int) -> None:
        assert count > 0

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *args: object) -> None:
        pass

    def submit(self, job: dict[str, Any]) -> Future[dict[str, Any]]:
        future: Future[dict[str, Any]] = Future()
        future.set_result(json.loads(json.dumps(answer(json.loads(json.dumps(job))))))
        return future


def make_score(name: str, value: float, **changes: Any) -> MetricScore:
    metric = next(metric for metric in all_metrics() if metric.name == name)
    facts: dict[str, Any] = {
        "value": value, "interval": [value - 0.1, value + 0.1], "confidence": 0.95, "items": 20,
        "sources": 12, "not_computed": 0, "reasons": {}, "label": metric.label,
        "unit": metric.unit, "higher": metric.higher, "digits": metric.digits, "rate": metric.rate,
    }  # fmt: skip
    return MetricScore(**facts | changes)


def make_result(
    codec: str = "mulaw", values: dict[str, float] | None = None, *, fingerprint: str = "aaaaaaaa",
    data: str = "clips", digest: str = "dd" * 32, limit: int | None = None,
    known_as: str | None = None, place: str = "", synthetic: bool = False, error: str | None = None,
    scores: dict[str, MetricScore] | None = None, **changes: Any,
) -> ReconstructionResult:  # fmt: skip
    """A result; failed where there is an `error`."""
    values = {"pesq_wb": 4.0, "mel_distance_16k": 0.2} if values is None else values
    made = {name: make_score(name, value) for name, value in values.items()} | (scores or {})
    facts: dict[str, Any] = {
        "status": "failed" if error else "done",
        "synthetic": synthetic,
        "codec": {
            "name": codec, "spec": codec, "fingerprint": fingerprint, "sample_rate": 16_000,
            "embedding_dim": 64, "frame_rate": 25.0, "values_per_second": 1600.0,
        },
        "data": {
            "name": data, "kind": "folder", "known_as": known_as, "source_unit": "file",
            "crop_seconds": None, "place": place, "limit": limit,
            "digest": "" if error else digest, "clips": 20, "items": 20, "sources": 12,
            "failed_clips": 0, "failures": [],
        },
        "settings": dict(settings()),
        "scores": {} if error else made,
        "error": error,
        "versions": {"pesq": "0.0.4"},
        "run": {"device": "cpu x", "speed": 12.34, "seconds": 1.0},
    }  # fmt: skip
    facts |= changes
    parts = {
        "codec": CodecFacts,
        "data": ReconstructionData,
        "run": RunFacts,
        "alignment": Alignment,
    }
    for part, kind in parts.items():
        if isinstance(facts.get(part), dict):
            facts[part] = read_fields(kind, facts[part], part)
    return ReconstructionResult(**facts)
