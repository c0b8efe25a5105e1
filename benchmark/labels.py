"""From a clip's JSON to its label and its source."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from benchmark.shards import Failure, Shard, ShardReader
from tasks import TaskSpec


class LabelError(ValueError):
    """A clip's JSON from which no label can be read; says why in a few words."""


class Labelled(NamedTuple):
    """label: class indices, one for a single-label task. source: None where the rule found none."""

    label: tuple[int, ...]
    source: str | None


def read_labels(
    shard: Shard, spec: TaskSpec, keys: Collection[str] | None = None
) -> tuple[dict[str, Labelled], list[Failure]]:
    """Labels and sources of a shard's clips (of `keys` only, if given), by clip key.

    A clip whose JSON is broken, lacks the field or names an unknown class is in the failures.
    """
    indices = {name: index for index, name in enumerate(spec.classes)}
    labels: dict[str, Labelled] = {}
    failures: list[Failure] = []
    reader = ShardReader(shard.path)
    try:
        for entry in shard.entries:
            if keys is not None and entry.key not in keys:
                continue
            try:
                metadata = _parse(reader.read(entry.metadata))
                label = _label(metadata, spec, indices)
            except LabelError as error:
                failures.append(Failure(shard.name, entry.key, str(error)))
                continue
            labels[entry.key] = Labelled(label, spec.source.source_of(entry.key, metadata))
    finally:
        reader.close()
    return labels, failures


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        metadata = json.loads(raw)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError too
        raise LabelError("its JSON is broken") from error
    if not isinstance(metadata, dict):
        raise LabelError("its JSON is not an object")
    return metadata


def _label(metadata: dict[str, Any], spec: TaskSpec, indices: dict[str, int]) -> tuple[int, ...]:
    rule = spec.label
    value = metadata.get(rule.field)
    if value is None:
        raise LabelError(f"its JSON has no field {rule.field!r}")
    if rule.kind == "multilabel":
        names = value.split(rule.separator) if isinstance(value, str) else value
        if not isinstance(names, list) or not names:
            raise LabelError(f"{rule.field!r} holds no labels: {value!r:.80}")
        return tuple(sorted({_index(name, spec, indices) for name in names}))
    return (_index(value, spec, indices),)


def _index(name: Any, spec: TaskSpec, indices: dict[str, int]) -> int:
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise LabelError(f"label {name!r:.80} is not a name or a number")
    if spec.label.index and not isinstance(name, int):
        raise LabelError(f"label {name!r:.80} is not a class index")
    index = indices.get(str(name).strip())
    if index is None:
        known = f"0 to {spec.num_classes - 1}" if spec.label.index else f"{spec.num_classes} names"
        raise LabelError(f"unknown label {name!r:.80} (the task has {known})")
    return index
