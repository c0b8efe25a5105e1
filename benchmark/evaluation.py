"""Evaluate encoders on tasks: the Python face of the benchmark.

from benchmark import evaluate
results = evaluate("logmel", ["esc50"], data="data")
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from benchmark.cell import CellMaker, blank_result
from benchmark.embed import choose_device
from benchmark.result import FAILED, RunResult
from benchmark.settings import RunSettings
from encoders import (
    AudioEncoder,
    EncoderError,
    find_encoder,
    left_as_found,
    load_encoder,
    ready_encoder,
)
from tasks import TaskError, TaskSpec, select_tasks


def evaluate(
    encoder: str | AudioEncoder | Sequence[str | AudioEncoder],
    tasks: str | TaskSpec | Sequence[str | TaskSpec] = "all",
    *,
    seeds: int | None = None,
    failed_share: float | None = None,
    on_result: Callable[[RunResult], None] | None = None,
    **settings: Any,
) -> list[RunResult]:
    """Score encoders on tasks and return one RunResult for each pair, encoder by encoder.

    encoder: names, `path/to/file.py:Class`, or loaded encoders, which are given back in the mode
    and on the device that they came in. tasks: names, domains, `all`, paths of task files, or
    TaskSpecs. seeds: heads trained a fold (default 5). failed_share: the share of a task's clips
    that may fail before the task has (default 0.01). settings: fields of `RunSettings`.
    on_result is called as each result is there.

    A task that cannot be scored comes back with status `failed` and its reason in `error`; the
    others go on, and so do the other encoders where one cannot be loaded. Raises, before anything
    is computed, ValueError for a setting that cannot be and TaskError or EncoderError for an
    unknown name; and EncoderError where no encoder at all can be loaded.
    """
    changes: dict[str, Any] = {}
    if seeds is not None:
        changes["seeds"] = seeds
    if failed_share is not None:
        changes["failed_share"] = failed_share
    run = RunSettings(**settings)
    run = dataclasses.replace(
        run,
        protocol=dataclasses.replace(run.protocol, **changes),
        device=choose_device(run.device),
    )
    specs = _specs(tasks)
    chosen = [encoder] if isinstance(encoder, str | AudioEncoder) else list(encoder)
    for one in chosen:
        if isinstance(one, str):
            find_encoder(one)
    results: list[RunResult] = []
    any_loaded = False
    for one in dict.fromkeys(chosen):
        maker: CellMaker | None = None
        reason = ""
        with left_as_found(one) if isinstance(one, AudioEncoder) else contextlib.nullcontext():
            try:
                maker = _maker(one, run, specs)
                any_loaded = True
            except EncoderError as error:
                if len(chosen) == 1:
                    raise
                reason = str(error)
            for spec in specs:
                if maker is not None:
                    results.append(maker.cell(spec))
                else:
                    results.append(_not_loaded(str(one), spec, run, reason))
                if on_result is not None:
                    on_result(results[-1])
    if not any_loaded:
        raise EncoderError("; ".join(dict.fromkeys(str(result.error) for result in results)))
    return results


def _maker(encoder: str | AudioEncoder, run: RunSettings, specs: list[TaskSpec]) -> CellMaker:
    if isinstance(encoder, str):
        return CellMaker(load_encoder(encoder), encoder, run, specs)
    return CellMaker(ready_encoder(encoder), encoder.name, run, specs)


def _not_loaded(asked: str, spec: TaskSpec, run: RunSettings, reason: str) -> RunResult:
    """Not written to a file: without a fingerprint nobody could say whose failure it is."""
    encoder = {"name": asked, "spec": asked, "fingerprint": ""}
    result = blank_result(encoder, spec, run, FAILED, reason)
    result.run = {"seconds": 0.0}
    return result


def _specs(tasks: str | TaskSpec | Sequence[str | TaskSpec]) -> list[TaskSpec]:
    listed = [tasks] if isinstance(tasks, str | TaskSpec) else tasks
    chosen: dict[str, TaskSpec] = {}
    for task in listed:
        for spec in [task] if isinstance(task, TaskSpec) else select_tasks(task):
            if chosen.setdefault(spec.name, spec) != spec:
                raise TaskError(f"two different tasks are named {spec.name!r}; rename one")
    return list(chosen.values())
