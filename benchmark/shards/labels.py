"""From a clip's JSON to its label and its source."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from earmark.benchmark.shards.annotations import (
    Annotated,
    LabelError,
    case_hint,
    read_captions,
    read_events,
    read_notes,
    read_transcript,
)
from earmark.benchmark.shards.dataset import Dataset
from earmark.benchmark.shards.shard import Failure, Shard, ShardReader
from earmark.tasks import TaskSpec, plain_name


class Labelled(NamedTuple):
    """What a clip's JSON says.

    Attributes:
        label: class indices (one for a single-label task), `Event`s, captions, or one transcript.
        source: None where there is no rule, or it does not fit.
        faults: single annotations that were left out, and why.
    """

    label: tuple[Any, ...]
    source: str | None
    faults: tuple[str, ...] = ()


def read_labels(
    shard: Shard, spec: TaskSpec, keys: Collection[str] | None = None
) -> tuple[dict[str, Labelled], list[Failure]]:
    """Labels and sources of a shard's clips.

    A clip whose JSON is broken, lacks the field or names an unknown class is in the failures; so
    is one without its source field, where another of these clips has that.

    Args:
        shard: one tar.
        spec: its task.
        keys: of the clips that are asked for; all where None.

    Returns:
        Labels by clip key, and the failures.
    """
    return read_all([(shard, keys)], spec)[0]


def read_all(
    shards: Sequence[tuple[Shard, Collection[str] | None]], spec: TaskSpec
) -> list[tuple[dict[str, Labelled], list[Failure]]]:
    """`read_labels` of a whole data set's shards.

    Where no clip of them all has the source field, the rule does not fit these shards: then each
    clip is its own source, and is counted as such (`Items.guessed_sources`).

    Args:
        shards: each with the keys that are asked for, or None for all.
        spec: their task.

    Returns:
        Labels by clip key, and failures, one pair a shard.
    """
    read = [_read_shard(shard, spec, keys) for shard, keys in shards]
    fits = any(part.has_field for part in read)
    made = []
    for part in read:
        lost = part.unsourced if fits else {}
        kept = {key: label for key, label in part.labels.items() if key not in lost}
        made.append((kept, [*part.failures, *lost.values()]))
    return made


def label_clips(dataset: Dataset) -> list[tuple[dict[str, Labelled], list[Failure]]]:
    """`read_all` of the clips asked for.

    Returns:
        Labels by clip key, and failures, one pair a shard. A clip that an earlier shard of its
        split holds too is a failure.
    """
    spec = dataset.spec
    read = read_all([(part.shard, part.keys) for part in dataset.shards], spec)
    for part, (labels, failures) in zip(dataset.shards, read, strict=True):
        for failure in part.repeated:
            if labels.pop(failure.key, None) is not None:
                failures.append(failure)
    return read


class _Read(NamedTuple):
    """unsourced: clips whose source field holds none. has_field: whether any clip has the field."""

    labels: dict[str, Labelled]
    failures: list[Failure]
    unsourced: dict[str, Failure]
    has_field: bool


def _read_shard(shard: Shard, spec: TaskSpec, keys: Collection[str] | None) -> _Read:
    indices = {unicodedata.normalize("NFC", name): index for index, name in enumerate(spec.classes)}
    labels: dict[str, Labelled] = {}
    failures: list[Failure] = []
    unsourced: dict[str, Failure] = {}
    has_field = False
    reader = ShardReader(shard.path)
    try:
        for entry in shard.entries:
            if keys is not None and entry.key not in keys:
                continue
            try:
                metadata = _parse(reader.read(entry.metadata))
                label, faults = _label(metadata, spec, indices)
            except LabelError as error:
                failures.append(Failure(shard.name, entry.key, str(error)))
                continue
            source = spec.source.source_of(entry.key, metadata)
            labels[entry.key] = Labelled(label, source, faults)
            has_field = has_field or spec.source.has_field(metadata)
            lack = spec.source.fault_of(metadata)
            if lack is not None:
                unsourced[entry.key] = Failure(shard.name, entry.key, lack)
    finally:
        reader.close()
    return _Read(labels, failures, unsourced, has_field)


def within_clip(labelled: Labelled, seconds: float) -> Labelled:
    """A label without the events that begin when their clip is over; those are faults then.

    Args:
        labelled: with `Event`s as its label.
        seconds: the clip's length.

    Raises:
        LabelError: no event is left.
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
    value, field = metadata, spec.label.field
    if field:
        if not isinstance(metadata, dict):
            raise LabelError("its JSON is not an object")
        value = metadata.get(field)
        if value is None:
            raise LabelError(f"its JSON has no field {field!r}")
    return READERS[spec.label.kind](value, spec, indices)


def _read_class(value: Any, spec: TaskSpec, indices: dict[str, int]) -> Annotated:
    return Annotated((_index(value, spec, indices),))


def _read_classes(value: Any, spec: TaskSpec, indices: dict[str, int]) -> Annotated:
    names = value.split(spec.label.separator) if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise LabelError(f"{spec.label.field!r} holds no labels: {value!r:.80}")
    return Annotated(tuple(sorted({_index(name, spec, indices) for name in names})))


# By kind of label: (the field's value or the whole JSON, the task, index by class name in NFC).
READERS: dict[str, Callable[[Any, TaskSpec, dict[str, int]], Annotated]] = {
    "class": _read_class,
    "multilabel": _read_classes,
    "events": lambda value, _, indices: read_events(value, indices),
    "notes": lambda value, _, indices: read_notes(value, indices),
    "captions": lambda value, spec, _: read_captions(value, spec.label.fields),
    "transcript": lambda value, spec, _: read_transcript(value, keep_case=spec.label.keep_case),
}


def _index(value: Any, spec: TaskSpec, indices: dict[str, int]) -> int:
    """The class that a label names: by text or a whole number, never by a guess."""
    name = plain_name(value)
    if name is None and not isinstance(value, str):
        raise LabelError(f"label {value!r:.80} is not a name or a whole number")
    index = indices.get(name or "")
    if index is None and spec.label.index and isinstance(value, str):
        raise LabelError(f"label {value!r:.80} is not a class index, 0 to {spec.num_classes - 1}")
    if index is None:
        known = f"0 to {spec.num_classes - 1}" if spec.label.index else f"{spec.num_classes} names"
        hint = case_hint(name or "", indices)
        raise LabelError(f"unknown label {value!r:.80} (the task has {known}){hint}")
    return index
