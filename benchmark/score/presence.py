"""Which of a task's classes the data at hand has clips of, and which of them training lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.splits import Split
from earmark.tasks import TaskSpec


def class_presence(items: Items, splits: list[Split], spec: TaskSpec) -> dict[str, Any]:
    """Which classes the items have, and which of the tested ones training lacks.

    Args:
        items: all of the task.
        splits: which of them train and test.
        spec: names the classes.

    Returns:
        `classes_present` and `classes_missing_from_training`, as a result's `data` holds them.
        Nothing of a task without classes. Notes have the second alone: a pitch that nobody plays
        does not make a part of a data set.
    """
    if not spec.kind.has_classes:
        return {}
    has = _classes_of(items, spec)
    missing = np.zeros(spec.num_classes, np.bool_)
    for split in splits:
        missing |= has[split.test].any(axis=0) & ~has[split.given_train].any(axis=0)
    facts: dict[str, Any] = {
        "classes_missing_from_training": [
            str(spec.classes[number]) for number in np.flatnonzero(missing)
        ]
    }
    if spec.kind.all_classes:
        facts["classes_present"] = int(has.any(axis=0).sum())
    return facts


def _classes_of(items: Items, spec: TaskSpec) -> NDArray[np.bool_]:
    """Which classes each item is of: (N, C)."""
    if spec.kind.of_clips and spec.kind.several:
        return np.asarray(items.labels, np.bool_)
    has = np.zeros((len(items), spec.num_classes), np.bool_)
    if spec.kind.one_class:
        has[np.arange(len(items)), items.labels] = True
        return has
    for own, events in zip(has, items.annotations, strict=True):
        own[[event.label for event in events]] = True
    return has
