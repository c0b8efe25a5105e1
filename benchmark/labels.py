"""From a clip's JSON to its label and its source."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from benchmark.annotations import (
    Annotated,
    LabelError,
    is_missing,
    plain,
    read_captions,
    read_events,
    read_notes,
    read_transcript,
    whole_number,
)
from benchmark.dataset import Dataset
from benchmark.shards import Failure, Shard, ShardReader
from tasks import TaskSpec


class Labelled(NamedTuple):
    """What a clip's JSON says.

    label: class indices (one for a single-label task), `Event`s, captions, or one transcript.
    source: None where the rule found none.
    faults: single annotations that were left out, and why.
    """

    label: tuple[Any, ...]
    source: str | None
    faults: tuple[str, ...] = ()


def read_labels(
    shard: Shard, spec: TaskSpec, keys: Collection[str] | None = None
) -> tuple[dict[str, Labelled], list[Failure]]:
    """Labels and sources of a shard's clips (of `keys` only, if given), by clip key.

    A clip whose JSON is broken, lacks the field or names an unknown class is in the failures, and
    so is one whose source is no name; one without its source field is not (see `label_clips`).
    """
    indices = {plain(name): index for index, name in enumerate(spec.classes)}
    labels: dict[str, Labelled] = {}
    failures: list[Failure] = []
    reader = ShardReader(shard.path)
    try:
        for entry in shard.entries:
            if keys is not None and entry.key not in keys:
                continue
            try:
                metadata = _parse(reader.read(entry.metadata))
                label, faults = _label(metadata, spec, indices)
                if strange := spec.source.fault_of(metadata):
                    raise LabelError(strange)
            except LabelError as error:
                failures.append(Failure(shard.name, entry.key, str(error)))
                continue
            source = spec.source.source_of(entry.key, metadata)
            labels[entry.key] = Labelled(label, source, faults)
    finally:
        reader.close()
    return labels, failures


def label_clips(dataset: Dataset) -> list[tuple[dict[str, Labelled], list[Failure]]]:
    """Labels and failures of all clips asked for; one element a shard.

    A clip that an earlier shard of its split holds too is a failure. So is one that lacks the
    source's field where others have it: taken for a source of its own it would move folds and
    intervals. Where no clip has the field, the data set does not state sources, and each clip is
    its own; the result says so.
    """
    spec = dataset.spec
    read = [read_labels(part.shard, spec, part.keys) for part in dataset.shards]
    stated = any(found.source is not None for labels, _ in read for found in labels.values())
    lacking = f"its JSON has no source: no field {spec.source.field!r}"
    for part, (labels, failures) in zip(dataset.shards, read, strict=True):
        for failure in part.repeated:
            if labels.pop(failure.key, None) is not None:
                failures.append(failure)
        if spec.source.field is None or not stated:
            continue
        for key in [key for key, found in labels.items() if found.source is None]:
            del labels[key]
            failures.append(Failure(part.shard.name, key, lacking))
    return read


def within_clip(labelled: Labelled, seconds: float) -> Labelled:
    """Without the events that begin when their clip is over; those are faults then.

    Raises LabelError where no event is left.
    """
    late = [event for event in labelled.label if event.onset >= seconds]
    if not late:
        return labelled
    kept = tuple(event for event in labelled.label if event.onset < seconds)
    faults = [f"begins at {event.onset:g} s, its clip ends at {seconds:.3f} s" for event in late]
    faults = [*labelled.faults, *faults]
    if not kept:
        raise LabelError(f"none of its {len(faults)} events can be used; {faults[0]}")
    return labelled._replace(label=kept, faults=tuple(faults))


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError too
        raise LabelError("its JSON is broken") from error


def _label(metadata: Any, spec: TaskSpec, indices: dict[str, int]) -> Annotated:
    rule = spec.label
    if rule.kind == "captions":
        return read_captions(metadata, rule.fields)
    value = metadata
    if rule.field:
        if not isinstance(metadata, dict):
            raise LabelError("its JSON is not an object")
        value = metadata.get(rule.field)
        if value is None:
            raise LabelError(f"its JSON has no field {rule.field!r}")
    if rule.kind == "events":
        return read_events(value, indices)
    if rule.kind == "notes":
        return read_notes(value, indices)
    if rule.kind == "transcript":
        return read_transcript(value, keep_case=rule.keep_case)
    if rule.kind == "multilabel":
        names = value.split(rule.separator) if isinstance(value, str) else value
        if not isinstance(names, list) or not names:
            raise LabelError(f"{rule.field!r} holds no labels: {value!r:.80}")
        return Annotated(tuple(sorted({_index(name, spec, indices) for name in names})))
    return Annotated((_index(value, spec, indices),))


def _index(name: Any, spec: TaskSpec, indices: dict[str, int]) -> int:
    """Index of a class by its name; of a number by the same number, written 3, 3.0 or "3"."""
    if is_missing(name):
        raise LabelError(f"its label is missing: {name!r}")
    number = whole_number(name)
    if isinstance(name, float) and number is None:
        raise LabelError(f"label {name!r:.80} is not a whole number: no class")
    if number is None and not isinstance(name, str):
        raise LabelError(f"label {name!r:.80} is not a name or a number")
    written = str(number) if number is not None else plain(name)
    index = indices.get(written)
    if index is not None:
        return index
    if spec.label.index and number is None:
        raise LabelError(f"label {name!r:.80} is not a class index")
    known = f"0 to {spec.num_classes - 1}" if spec.label.index else f"{spec.num_classes} names"
    alike = next((c for c in indices if c.casefold() == written.casefold()), None)
    hint = f"; {alike!r:.80} is one, and case counts" if alike is not None else ""
    raise LabelError(f"unknown label {name!r:.80} (the task has {known}{hint})")
