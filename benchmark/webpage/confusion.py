"""Confusion matrices of tasks with one label a clip, from the predictions beside the results.

A page holds thousands of cells, so a matrix is sparse and of a bounded number of classes: those
that are confused most, the same for all encoders of a task; the rest are one class, `other`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.leaderboard.table import Row
from earmark.benchmark.result.files import read_predictions
from earmark.benchmark.result.schema import Predictions, ResultError
from earmark.tasks import LABEL_KINDS, builtin_tasks

_MOST_CLASSES = (60, 40, 24, 16, 10)  # tried in turn
BUDGET = 1_200_000  # characters of all matrices of a page together


@dataclass(frozen=True)
class Confusions:
    """What one head of a task took for what: sparse, all seeds together.

    codes: (n,) true class * classes + predicted class; counts: (n,) how often. seeds: how many
    heads were counted.
    """

    classes: int
    codes: NDArray[np.int64]
    counts: NDArray[np.int64]
    seeds: int


def confusions_of(predictions: Predictions, probe: str, classes: int) -> Confusions | None:
    """Count (true, predicted) over items and seeds; None where an item has not one class.

    probe: `linear` or `knn`. classes: how many the task has.
    """
    labels = predictions.labels
    predicted = predictions.knn if probe == "knn" else predictions.linear
    other = predictions.segments is not None or predictions.caption_ranks is not None
    if predicted is None or other or labels.ndim != 1 or labels.dtype.kind not in "iu":
        return None
    table = predicted[:, None] if predicted.ndim == 1 else predicted
    classes = max(classes, int(labels.max()) + 1, int(table.max()) + 1)
    codes, counts = np.unique(labels[:, None] * classes + table, return_counts=True)
    return Confusions(classes, codes.astype(np.int64), counts.astype(np.int64), table.shape[1])


@dataclass
class RowConfusions:
    """All matrices of a task's row: column -> probe -> counts; `names` of the classes."""

    names: list[str]
    found: dict[str, dict[str, Confusions]]


def of_row(row: Row) -> tuple[RowConfusions | None, list[str]]:
    """Matrices of a row's cells, and why there are none of some."""
    found: dict[str, dict[str, Confusions]] = {}
    faults = []
    for column, result in row.results.items():
        if row.metric not in LABEL_KINDS["class"].metrics or not result.scores:
            continue
        try:
            predictions = read_predictions(result)
        except ResultError as error:
            faults.append(str(error))
            continue
        for probe in result.scores:
            counted = confusions_of(predictions, probe, int(result.task.get("classes") or 0))
            if counted is not None:
                found.setdefault(column, {})[probe] = counted
    if not found:
        return None, faults
    classes = max(one.classes for by_probe in found.values() for one in by_probe.values())
    return RowConfusions(_names(row, classes), found), faults


def _names(row: Row, classes: int) -> list[str]:
    """Class names where the task is one of ours as it is, else numbers: results hold none."""
    spec = builtin_tasks().get(row.name)
    declared = {result.task.get("declared") for result in row.results.values()}
    if spec is not None and spec.declaration in declared and len(spec.classes) == classes:
        return list(spec.classes)
    return [str(number) for number in range(classes)]


def packed(rows: Mapping[int, RowConfusions], budget: int = BUDGET) -> dict[int, Any]:
    """Every row's matrices as plain values, with as many classes as the budget leaves room for.

    A row becomes {names, others, unmet, columns: {column: {probe: {seeds, cells: [true, predicted,
    count, true, predicted, count, ...]}}}}; the last name is `other (n classes)` where `others`,
    the number of classes in it, is not 0. unmet: classes that no clip is of and none was taken for.
    """
    for most in _MOST_CLASSES:
        made = {place: _row(row, most) for place, row in rows.items()}
        if sum(len(json.dumps(one)) for one in made.values()) <= budget:
            return made
    return made


def _row(row: RowConfusions, most: int) -> dict[str, Any]:
    classes = len(row.names)
    matrices = [one for by_probe in row.found.values() for one in by_probe.values()]
    sides = [side for one in matrices for side in np.divmod(one.codes, one.classes)]
    met = np.unique(np.concatenate(sides))
    kept = met if len(met) <= most else _most_confused(matrices, classes, most)
    place = np.full(classes, len(kept), np.int64)
    place[kept] = np.arange(len(kept))
    others = len(met) - len(kept)
    names = [row.names[i] for i in kept] + ([f"other ({others} classes)"] if others else [])
    columns = {
        column: {probe: _cells(one, place, len(names)) for probe, one in by_probe.items()}
        for column, by_probe in row.found.items()
    }
    unmet = classes - len(met)
    return {"names": names, "others": others, "unmet": unmet, "columns": columns}


def _most_confused(matrices: Sequence[Confusions], classes: int, most: int) -> NDArray[np.int64]:
    """The classes in most errors, as truth or as prediction, in their own order."""
    errors = np.zeros(classes)
    for one in matrices:
        true, predicted = np.divmod(one.codes, one.classes)
        wrong = true != predicted
        for side in (true, predicted):
            np.add.at(errors, side[wrong], one.counts[wrong] / one.seeds)
    return np.sort(np.argsort(-errors, kind="stable")[:most])


def _cells(one: Confusions, place: NDArray[np.int64], size: int) -> dict[str, Any]:
    true, predicted = (place[side] for side in np.divmod(one.codes, one.classes))
    codes, where = np.unique(true * size + predicted, return_inverse=True)
    counts = np.bincount(where, one.counts).astype(np.int64)
    cells = np.stack([*np.divmod(codes, size), counts], axis=1)
    return {"seeds": one.seeds, "cells": cells.ravel().tolist()}
