"""Evaluate encoders on tasks: the Python face of the benchmark.

from earmark import evaluate
results = evaluate("logmel", ["esc50"], data="data")
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from earmark.benchmark.evaluation.blank import empty_result
from earmark.benchmark.evaluation.cell import TaskEvaluator, make_evaluators
from earmark.benchmark.protocol import STRICT, Protocol, protocol_named
from earmark.benchmark.result import provenance
from earmark.benchmark.result.schema import FAILED, RunResult
from earmark.benchmark.settings import RunSettings
from earmark.encoders import (
    AudioEncoder,
    EncoderError,
    group_names,
    left_as_found,
    load_encoders,
    names_of,
    ready_encoder,
    with_layer,
)
from earmark.encoders.device import choose_device
from earmark.tasks import TaskSpec
from earmark.tasks.catalogue import specs_of


def evaluate(
    encoder: str | AudioEncoder | Sequence[str | AudioEncoder],
    tasks: str | TaskSpec | Sequence[str | TaskSpec] = "all",
    *,
    weights: str | Path | None = None,
    layer: int | str | None = None,
    protocol: str | Protocol = STRICT,
    seeds: int | None = None,
    failed_share: float | None = None,
    language_model: str | Path | None = None,
    on_result: Callable[[RunResult], None] | None = None,
    **settings: Any,
) -> list[RunResult]:
    """Score encoders on tasks and return one RunResult for each pair, encoder by encoder.

    encoder: names, `path/to/file.py:Class`, or loaded encoders, which are given back in the mode
    and on the device that they came in. tasks: names, domains, `all`, paths of task files, or
    TaskSpecs. weights: folder with a local copy of the encoder's model. layer: number of a hidden
    layer to score instead of the output, or `all`. protocol: one, or the name of one. seeds: heads
    trained a fold (default: the protocol's number). failed_share: the share of a task's clips that
    may fail before the task has (default 0.01). language_model: folder or hub name of what spells
    under `xares-0.1.3`, if not the protocol's own. settings: fields of `RunSettings`, such as
    shots=[8, 32, "all"]. on_result is called as each result is there.

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
    if language_model is not None:
        changes["language_model"] = str(language_model)
    chosen_protocol = protocol_named(protocol) if isinstance(protocol, str) else protocol
    run = RunSettings(**settings, protocol=chosen_protocol)
    run = dataclasses.replace(
        run,
        protocol=dataclasses.replace(run.protocol, **changes),
        device=choose_device(run.device),
    )
    specs = specs_of(tasks)
    chosen = [encoder] if isinstance(encoder, str | AudioEncoder) else list(encoder)
    groups = _groups(chosen, weights, layer)
    results: list[RunResult] = []
    any_loaded = False
    for group in groups:
        makers: list[TaskEvaluator] = []
        reason = ""
        lent = [one for one in group if isinstance(one, AudioEncoder)]
        with left_as_found(lent[0]) if lent else contextlib.nullcontext():
            try:
                makers = _makers(group, weights, run, specs)
                any_loaded = True
            except EncoderError as error:
                if len(groups) == 1:
                    raise
                reason = str(error)
            for maker in makers:
                for spec in specs:
                    results.append(maker.evaluate(spec))
                    if on_result is not None:
                        on_result(results[-1])
        for one in [] if makers else group:
            for spec in specs:
                results.append(_not_loaded(str(one), spec, run, reason))
                if on_result is not None:
                    on_result(results[-1])
    if not any_loaded:
        raise EncoderError("; ".join(dict.fromkeys(str(result.error) for result in results)))
    return results


def _groups(
    chosen: Sequence[str | AudioEncoder], weights: str | Path | None, layer: int | str | None
) -> list[list[str] | list[AudioEncoder]]:
    """What is loaded together, in the order asked for. Raises EncoderError for unknown names."""
    loaded = [one for one in chosen if isinstance(one, AudioEncoder)]
    if loaded and not (weights is None and layer is None):
        raise EncoderError(
            f"encoder {loaded[0].name!r} is loaded already: weights and layer go with names only"
        )
    names = [with_layer(one, layer) for one in chosen if isinstance(one, str)]
    by_name = {group[0]: group for group in group_names(names, weights)}
    groups: list[list[str] | list[AudioEncoder]] = []
    for one in dict.fromkeys(chosen):
        if isinstance(one, AudioEncoder):
            groups.append([one])
        elif with_layer(one, layer) in by_name:
            groups.append(by_name[with_layer(one, layer)])
    return groups


def _makers(
    group: list[str] | list[AudioEncoder],
    weights: str | Path | None,
    run: RunSettings,
    specs: list[TaskSpec],
) -> list[TaskEvaluator]:
    first = group[0]
    if isinstance(first, AudioEncoder):
        return make_evaluators({provenance.OBJECT: ready_encoder(first)}, run, specs)
    names = [str(name) for name in group]
    encoders = load_encoders(names, weights=weights)
    words = [provenance.asked_for(name, weights) for name in names_of(names, encoders)]
    return make_evaluators(dict(zip(words, encoders, strict=True)), run, specs)


def _not_loaded(asked: str, spec: TaskSpec, run: RunSettings, reason: str) -> RunResult:
    """Not written to a file: without a fingerprint nobody could say whose failure it is."""
    encoder = {"name": asked, "spec": asked, "fingerprint": ""}
    result = empty_result(encoder, run.protocol.apply_to(spec), run, FAILED, reason)
    result.run = {"seconds": 0.0}
    return result
