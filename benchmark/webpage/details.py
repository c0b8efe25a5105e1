"""What reproduces a cell: command, encoder, versions, protocol, seeds, counts, failures, time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from earmark.benchmark.io.fields import plain
from earmark.benchmark.result.linear_fit import LinearFit
from earmark.benchmark.result.schema import RunResult, Score
from earmark.benchmark.webpage.numbers import Pool, exact, score, short

_FAILURES = 5  # shown of a cell; its file names more
_POINTS = 60  # of a learning curve
_OF_DATA = (
    "limit", "clips", "items", "parts", "sources", "source_unit", "guessed_sources",
    "straddling_sources", "seconds", "failed_clips", "padded_clips",
    "cut_clips", "labels", "label_faults", "audit",
)  # fmt: skip


def details_of(result: RunResult, pool: Pool) -> dict[str, Any]:
    """A result as its cell opens it; what many share is a place in the pool."""
    data = plain(result.data)
    facts: dict[str, Any] = {
        "status": result.status,
        "command": result.command,
        "protocol": pool.add(result.protocol),
        "versions": pool.add(result.versions),
        "encoder": pool.add(plain(result.encoder)),
        "licence": result.task.licence,
        "data": pool.add({name: data[name] for name in _OF_DATA if name in data}),
        "shards": pool.add([[s.name, s.split, s.sha256] for s in result.data.shards]),
        "run": _run(plain(result.run), pool),
        "file": result.path.name if result.path is not None else "",
    }
    if result.error is not None:
        facts["error"] = result.error
    for name, lost in (("failures", result.data.failures), ("faults", result.data.faults)):
        if lost:
            facts[name] = [f"{one.shard}/{one.key}: {one.reason}" for one in lost[:_FAILURES]]
    if result.scores:
        facts["scores"] = {probe: _score(one) for probe, one in result.scores.items()}
    return facts


def _run(run: dict[str, Any], pool: Pool) -> dict[str, Any]:
    """Times of the cell; the machine, which most share, by its place."""
    times = {name: run[name] for name in run if name == "started" or name.endswith("seconds")}
    machine = {name: value for name, value in run.items() if name not in times}
    machine.pop("traceback", None)  # of paths on somebody's machine
    speed = machine.pop("embedding", None)
    if speed is not None:
        took, device = speed["seconds"], speed["device"]
        times["embedding"] = f"{speed['audio_seconds']:g} s of audio in {took:.4g} s on {device}"
    return {**times, "machine": pool.add(machine)}


def _score(one: Score) -> dict[str, Any]:
    """What of a score is not in the table itself."""
    facts: dict[str, Any] = {
        "seeds": [score(value) for value in one.per_seed],
        "items": one.items,
        "sources": one.sources,
        "confidence": one.confidence,
        "spread": exact(one.spread),  # 0.0 where all seeds agree, null of one run
        "splits": {name: score(value) for name, value in one.per_split.items()},
    }
    optional = {
        "epochs": one.best_epochs,
        "missing": one.not_computed,
        "also": {name: exact(value) for name, value in one.also.items()},
        "tokens": one.tokens,
        "too_short": one.too_short,
        "loss": _curve(one.training_loss, one.checkpoints),
        "validation": _curve(one.validation, one.checkpoints),
        "path": _path(one.fits or {}),
        "fits": {name: _fit(fit) for name, fit in (one.fits or {}).items()},
    }
    return facts | {name: value for name, value in optional.items() if value}


def _path(fits: Mapping[str, LinearFit]) -> list[list[float | None]]:
    """[log10 of a strength, mean validation loss of the splits that tried it], strong to weak."""
    losses: dict[float, list[float]] = {}
    for fit in fits.values():
        for strength, loss in zip(fit.strengths, fit.validation_loss, strict=True):
            losses.setdefault(round(math.log10(strength), 6), []).append(loss)
    # where some splits ended their path earlier, a mean of the others would jump
    whole = [power for power, found in losses.items() if len(found) == len(fits)]
    return [
        [power, short(sum(losses[power]) / len(losses[power]))]
        for power in sorted(whole, reverse=True)
    ]


def _fit(fit: LinearFit) -> str:
    ended = "" if fit.converged else ", not converged"
    return f"{fit.strength:.2g} ({fit.passes} passes{ended})"


def _curve(
    values: list[float] | None, checkpoints: dict[str, list[int]] | None
) -> list[list[float | None]] | None:
    """[epoch from 1, value] pairs; of long ones evenly spaced epochs, the last among them.

    Folds that differ in their epochs are shown over those of the first.
    """
    if values is None:
        return None
    epochs = next(iter((checkpoints or {}).values()), range(1, len(values) + 1))
    step = -(-len(values) // _POINTS)
    chosen = sorted({*range(0, len(values), step), len(values) - 1}) if values else []
    return [[epochs[place], short(values[place])] for place in chosen]
