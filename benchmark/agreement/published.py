"""Results held against what papers and repositories print.

Only what was measured on whole real data under the published protocol is. Which published system an
encoder is stands in `results/published/systems.yaml`. Means over tasks are not checked: those that
are printed do not all follow from the cells beside them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from earmark.benchmark.agreement.loading import Stored, listed
from earmark.benchmark.agreement.reference import column_names
from earmark.benchmark.agreement.tolerance import Tolerance, exceeds, off_by
from earmark.benchmark.agreement.verdict import BREACH, NOT_CHECKED, OK, Checked
from earmark.benchmark.leaderboard.published_columns import sampled
from earmark.benchmark.result.groups import part_of_classes
from earmark.benchmark.result.published import PublishedError, PublishedValue
from earmark.benchmark.result.schema import FAILED, NOT_APPLICABLE

PROTOCOL = "xares-0.1.3"


def read_systems(folder: Path) -> dict[str, str]:
    """Encoder -> published system, of `systems.yaml`. Raises PublishedError."""
    path = folder / "systems.yaml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PublishedError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict) or not all(
        isinstance(text, str) for pair in raw.items() for text in pair
    ):
        raise PublishedError(f"{path}: must be a mapping of encoders to published systems")
    return raw


def is_comparable(stored: Stored) -> bool:
    """Whether a result was measured as published ones were: protocol, whole data, real data."""
    protocol, _, limit, synthetic = stored.conditions
    return protocol == PROTOCOL and limit is None and not synthetic


def check_published(
    measured: Sequence[Stored],
    values: Sequence[PublishedValue],
    systems: Mapping[str, str],
    rule: Tolerance,
) -> tuple[list[Checked], list[Stored]]:
    """A verdict for each published value of each measured encoder, and what is not published.

    measured: comparable results. values: the published values to check. systems: encoder ->
    published system. Several sources of one cell are each held against it.
    """
    columns = column_names(measured)
    by_column: dict[str, list[Stored]] = {}
    for stored in measured:
        by_column.setdefault(columns[stored], []).append(stored)
    cells: list[Checked] = []
    used: set[tuple[str, str]] = set()
    for column, results in by_column.items():
        system = systems.get(results[0].encoder)
        for value in values:
            if value.system != system or value.protocol != PROTOCOL or value.task is None:
                continue
            used.add((column, value.task))
            mine = [stored for stored in results if stored.task == value.task]
            cells += [_check_value(column, stored, value, rule) for stored in mine]
            if not mine:
                cells.append(_not_checked(column, value, f"not measured under {PROTOCOL}"))
    return cells, [s for s in measured if (columns[s], s.task) not in used]


def _not_checked(
    column: str, value: PublishedValue, why: str, measured: float = math.nan
) -> Checked:
    return Checked(
        column, str(value.task), str(value.probe), value.metric, NOT_CHECKED, measured,
        value.value, why=(why,), source=value.source, primary=value.primary,
    )  # fmt: skip


def _check_value(column: str, stored: Stored, value: PublishedValue, rule: Tolerance) -> Checked:
    result = stored.result
    if result.status == FAILED:  # nothing was measured that could differ
        return _not_checked(column, value, f"failed: {result.error}")
    if result.status == NOT_APPLICABLE:
        return _not_checked(column, value, f"not applicable: {result.error}")
    score = result.scores.get(str(value.probe))
    if score is None:
        return _not_checked(column, value, f"no {value.probe} score was measured")
    if score.metric != value.metric:
        why = f"published as {value.metric}, measured as {score.metric}"
        return _not_checked(column, value, why, score.value)
    part = part_of_classes(result)
    if part:
        why = f"not all classes have a clip, {part}"
        return _not_checked(column, value, why, score.value)
    few = sampled(stored.task, result.task.weight, result.scores.values())
    if few is not None:
        why = f"tested on {few[0]} items a fold or split, where the data set has about {few[1]}"
        return _not_checked(column, value, why, score.value)
    allowed = rule.tolerance(score, value.value)
    difference = score.value - value.value
    wrong = exceeds(difference, allowed)
    faults = [off_by(difference, allowed)] if wrong else []
    if math.isnan(difference):
        faults = ["not computable"]
    altered = stored.altered()
    if altered is not None:
        faults.append(altered)
    return Checked(
        column, str(value.task), str(value.probe), score.metric, BREACH if faults else OK,
        score.value, value.value, allowed, tuple(faults), value.source, value.primary,
    )  # fmt: skip


def why_none(measured: Sequence[Stored], folder: Path) -> str:
    """Why no result of a folder can be held against published values, in one line."""
    conditions = listed((f"({stored.conditions})" for stored in measured), 3)
    return (
        f"{folder}: no result under protocol {PROTOCOL} on whole real data, which published values "
        f"are of (run --protocol {PROTOCOL}); there is: {conditions}"
    )
