"""Evaluate encoders on tasks: the Python face of the benchmark."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from earmark.benchmark.controls import LABELS, PERMUTED
from earmark.benchmark.evaluation.assemble import empty_result
from earmark.benchmark.evaluation.cell import Together
from earmark.benchmark.evaluation.grid import grids
from earmark.benchmark.evaluation.shuffled import applies
from earmark.benchmark.identity.asked import Group, Loading, grouped, lent, load_group
from earmark.benchmark.identity.chosen import AskedFor, chosen_from
from earmark.benchmark.io.progress import log
from earmark.benchmark.protocol import STRICT, Protocol, protocol_named
from earmark.benchmark.result.facts import EncoderFacts, RunFacts
from earmark.benchmark.result.schema import RunResult
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shots import Shots
from earmark.encoders import EncoderError, left_as_found, with_layer
from earmark.encoders.control import control_of, has_parameters
from earmark.encoders.device import as_current, choose_device
from earmark.encoders.spec import control_name, parsed
from earmark.tasks import TaskSpec
from earmark.tasks.catalogue import specs_of


def evaluate(
    encoder: AskedFor | Sequence[AskedFor],
    tasks: str | TaskSpec | Sequence[str | TaskSpec] = "all",
    *,
    weights: str | Path | None = None,
    layer: int | str | None = None,
    protocol: str | Protocol = STRICT,
    seeds: int | None = None,
    failed_share: float | None = None,
    language_model: str | Path | None = None,
    shots: Sequence[Shots] = (),
    readouts: Sequence[str] = (),
    control: Sequence[str] = (),
    data: str | Path | None = None,
    results: str | Path = Path("results/runs"),
    cache: str | Path | None = None,
    limit: int | None = None,
    device: str = "auto",
    batch_seconds: float | None = None,
    workers: int | None = None,
    force: bool = False,
    not_fetched: Mapping[str, str] | None = None,
    on_result: Callable[[RunResult], None] | None = None,
) -> list[RunResult]:
    """Score encoders on tasks and return one RunResult for each pair, encoder by encoder.

    Args:
        encoder: names, `path/to/file.py:Class(key=value)`, loaded encoders, which are given back in
            the mode and on the device that they came in, or mappings {"encoder": NAME,
            "arguments": {...}, "name": of its column}. `NAME:permuted` has permuted weights;
            `{1,2}` and `{runs/*.pt}`, as a value, stand for one encoder each.
        tasks: names, domains, `all`, paths of task files, or TaskSpecs.
        weights: folder with a local copy of the encoder's model.
        layer: number of a hidden layer to score instead of the output, or `all`.
        protocol: one, or the name of one.
        seeds: heads trained a fold, where heads are; default: the protocol's number.
        failed_share: the share of a task's clips that may fail before the task has; default 0.01.
        language_model: folder or hub name of what spells under `xares-0.1.3`.
        shots: numbers of clips a class, and `all`, at which label efficiency is measured.
        readouts: those that the linear probe is scored on beside the mean, or `all`;
            of tasks by frames `window-1`, `window-2`, `window-4` or `windows`.
        control: `permuted` and `labels`: each encoder's controls are scored too.
        data: folder with the tasks' folders, or `synthetic`; default: $EARMARK_DATA, else `data`.
        results: folder of result files; cache: of embeddings and synthetic audio, by default
            $EARMARK_CACHE, else ~/.cache/earmark.
        limit: at most so many clips of each split or fold.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`. batch_seconds: audio in one batch, by
            default 120, on CUDA 320. workers: decoding threads. force: compute again what is there.
        not_fetched: by a task's name, why its shards were not fetched; said in its failure.
        on_result: called as each result is there.

    Returns:
        Results in the order of encoders, then tasks. A task that cannot be scored comes back with
        status `failed` and its reason in `error`; the others go on, and so do the other encoders
        where one cannot be loaded.

    Raises:
        ValueError, TaskError, EncoderError: before anything is computed, for a setting that cannot
            be or an unknown name; EncoderError too where no encoder at all can be loaded.

    Example:
        >>> import earmark
        >>> results = earmark.evaluate("logmel", "esc50", data="synthetic", limit=20)
        >>> print(results[0].scores["linear"].value)
    """
    chosen, titles = chosen_from(encoder)
    given = {"data": data, "cache": cache, "workers": workers, "not_fetched": not_fetched}
    run = RunSettings(
        protocol=_protocol(protocol, seeds, failed_share, language_model),
        results=Path(results), limit=limit, device=device, batch_seconds=batch_seconds,
        force=force, shots=tuple(shots) if not isinstance(shots, str) else shots,  # type: ignore[arg-type]
        readouts=readouts, control=control,  # type: ignore[arg-type]
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )  # fmt: skip
    run = dataclasses.replace(run, device=choose_device(run.device))
    groups, specs = grouped(chosen, weights, layer), specs_of(tasks)
    with as_current(run.device):
        loading = Loading(weights, {with_layer(one, layer): titles[one] for one in titles})
        return _evaluated(groups, loading, specs, run, on_result)


def _protocol(
    protocol: str | Protocol,
    seeds: int | None,
    failed_share: float | None,
    language_model: str | Path | None,
) -> Protocol:
    """A protocol with what was asked for in place of its own."""
    chosen = protocol_named(protocol) if isinstance(protocol, str) else protocol
    changes: dict[str, Any] = {
        "seeds": seeds,
        "failed_share": failed_share,
        "language_model": None if language_model is None else str(language_model),
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(chosen, **changes)


def _evaluated(
    groups: list[Group],
    loading: Loading,
    specs: list[TaskSpec],
    run: RunSettings,
    on_result: Callable[[RunResult], None] | None,
) -> list[RunResult]:
    """Group after group. Raises EncoderError where nothing can be loaded."""
    results: list[RunResult] = []
    any_loaded = False
    for group in groups:
        own = lent(group)
        with contextlib.nullcontext() if own is None else left_as_found(own):
            try:
                found = _of_group(group, loading, specs, run)
                any_loaded = True
            except EncoderError as error:
                if len(groups) == 1:
                    raise
                found = _not_loaded(group, specs, run, str(error))
            for result in found:
                results.append(result)
                if on_result is not None:
                    on_result(result)
    if not any_loaded:
        raise EncoderError("; ".join(dict.fromkeys(str(result.error) for result in results)))
    return results


def _of_group(
    group: Group, loading: Loading, specs: list[TaskSpec], run: RunSettings
) -> Iterator[RunResult]:
    """Results of encoders that are loaded together, then those of their controls.

    Raises EncoderError, before anything is computed, where they cannot be loaded.
    """
    together = Together.of(load_group(group, loading), run, specs)
    return _cells(together, group, loading, specs, run)


def _cells(
    together: Together,
    group: Group,
    loading: Loading,
    specs: list[TaskSpec],
    run: RunSettings,
) -> Iterator[RunResult]:
    evaluators = together.evaluators()
    if LABELS in run.control:
        left_out = [spec.name for spec in specs if not applies(spec)]
        if left_out:
            log(f"no control of labels, as clips have no classes: {', '.join(left_out)}")
        evaluators += together.evaluators(shuffled_labels=True)
    # a best layer is chosen from the layers' results, which come first
    for evaluator in (*evaluators, *grids(evaluators, group, loading.weights, run)):
        for spec in specs:
            if evaluator.has_task(spec):
                yield evaluator.evaluate(spec)
    if PERMUTED in run.control:
        controls = _controls(together, group)
        if controls:
            plain = dataclasses.replace(run, control=())
            try:
                yield from _of_group(controls, loading, specs, plain)
            except EncoderError as error:
                yield from _not_loaded(controls, specs, run, str(error))


def _controls(together: Together, group: Group) -> Group:
    """What the controls of a group's encoders are asked for as."""
    own = lent(group)
    without = [encoder.name for encoder in together.asked if not has_parameters(encoder)]
    if without:
        log(f"no control of permuted weights, as there are none: {', '.join(without)}")
    if own is not None:
        return [] if without else [control_of(own)]
    names = [str(name) for name in group if not parsed(str(name)).draw]
    return [] if without else [control_name(name) for name in names]


def _not_loaded(
    group: Group, specs: list[TaskSpec], run: RunSettings, reason: str
) -> Iterator[RunResult]:
    """Not written to a file: without a fingerprint nobody could say whose failure it is."""
    for asked in map(str, group):
        for spec in specs:
            encoder = EncoderFacts(name=asked, spec=asked, fingerprint="")
            result = empty_result(encoder, run.protocol.apply_to(spec), run, reason)
            result.run = RunFacts(seconds=0.0)
            yield result
