"""Results made by hand, for tests of what reads them."""

from __future__ import annotations

from typing import Any

from earmark.benchmark.io.fields import read_fields
from earmark.benchmark.protocol import REVISIONS
from earmark.benchmark.result.facts import (
    DataFacts,
    EncoderFacts,
    FileFact,
    RunFacts,
    TaskFacts,
)
from earmark.benchmark.result.schema import RunResult, Score


def make_score(value: float, interval: list[float] | None = None, **changes: Any) -> Score:
    facts: dict[str, Any] = {
        "metric": "accuracy", "value": value, "per_seed": [value], "spread": None,
        "interval": interval, "confidence": 0.95, "items": 50, "sources": 10,
        "per_split": {"test": value},
    }  # fmt: skip
    return Score(**facts | changes)


_PARTS = {
    "task": TaskFacts, "encoder": EncoderFacts, "data": DataFacts, "run": RunFacts,
    "predictions": FileFact,
}  # fmt: skip


def typed_result(**facts: Any) -> RunResult:
    """A result of parts that may be given as the objects of its file."""
    for name, kind in _PARTS.items():
        if isinstance(facts.get(name), dict):
            facts[name] = read_fields(kind, facts[name], name)
    return RunResult(**facts)


def make_result(
    task: str = "one", linear: float | None = 0.5, knn: float | None = None, *,
    encoder: str = "logmel", fingerprint: str = "aaaaaaaa11", domain: str = "speech",
    weight: float = 1.0, title: str | None = None, shard: str = "00", synthetic: bool = False,
    protocol: str | dict[str, Any] = "strict", seeds: int = 5, limit: int | None = None,
    error: str | None = None, interval: list[float] | None = None, **data: Any,
) -> RunResult:  # fmt: skip
    """A result; failed where there is an `error`. protocol: its name, or all its fields."""
    if isinstance(protocol, str):
        protocol = {"name": protocol, "revision": REVISIONS.get(protocol, 1)}
    values = {"linear": linear, "knn": knn}
    scores = {p: make_score(v, interval) for p, v in values.items() if v is not None and not error}
    facts: dict[str, Any] = {
        "limit": limit, "clips": 100, "failed_clips": 0, "failures": [], "sources": 10,
        "source_unit": "file", "guessed_sources": 0, "straddling_sources": 0,
        "labels": 100, "label_faults": 0, "faults": [],
        "shards": [{"name": "a.tar", "split": "test", "sha256": shard}],
    }  # fmt: skip
    return typed_result(
        status="failed" if error else "done",
        synthetic=synthetic,
        task={
            "name": task, "title": title or f"Task {task}", "domain": domain, "weight": weight,
            "metric": "accuracy", "digest": "d", "licence": "CC0",
            "probes": [probe for probe, value in values.items() if value is not None],
        },
        encoder={"name": encoder, "fingerprint": fingerprint, "spec": encoder},
        protocol={**protocol, "seeds": seeds},
        scores=scores,
        data={"limit": limit} if error else facts | data,
        error=error,
    )  # fmt: skip
