"""Reconstruction results held against published values, and against reference results.

Published ones are held against results on a preset's whole data set, by the metric that they are
taken to be (`PUBLISHED_AS`). That clips and settings were the same is likely, not confirmed, and
every breach says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from earmark.benchmark.agreement.tolerance import Tolerance, exceeds, faults_of, off_by
from earmark.benchmark.agreement.verdict import BREACH, NOT_CHECKED, OK, Checked
from earmark.benchmark.reconstruction.leaderboard import PUBLISHED_AS
from earmark.benchmark.reconstruction.result import (
    ReconstructionResult,
    altered,
    asked_of,
    read_results,
)
from earmark.benchmark.result.published import PublishedValue
from earmark.benchmark.result.schema import DONE, FAILED

PROTOCOL = "reconstruction"
UNCONFIRMED = "that clips and settings are the same is not confirmed"


def read_codecs(folder: Path) -> tuple[list[ReconstructionResult], list[str]]:
    """Every reconstruction result under a folder, and a line for each that cannot be read.

    Of one that succeeded once and failed since, the failure alone: the latest attempt counts.
    """
    found, unreadable = read_results(folder)
    failed = {_attempt(result) for result in found if result.status == FAILED}
    kept = [result for result in found if result.status == FAILED or _attempt(result) not in failed]
    return kept, unreadable


def _attempt(result: ReconstructionResult) -> tuple[object, ...]:
    return (*_codec(result), *asked_of(result))


def _key(result: ReconstructionResult) -> tuple[object, ...]:
    data = result.data
    return (*_codec(result), data.name, data.limit, result.synthetic)


def _codec(result: ReconstructionResult) -> tuple[str, str]:
    return str(result.codec.name), str(result.codec.fingerprint)


def chosen_codecs(
    results: Sequence[ReconstructionResult], encoders: Collection[str], tasks: Collection[str]
) -> list[ReconstructionResult]:
    """Those of these codecs on these data sets; without names, all."""
    return [
        result
        for result in results
        if (not encoders or result.codec.name in encoders)
        and (not tasks or result.data.name in tasks)
    ]


def check_codecs_published(
    measured: Sequence[ReconstructionResult],
    values: Sequence[PublishedValue],
    systems: Mapping[str, str],
    rule: Tolerance,
) -> list[Checked]:
    """A verdict for each published value of each measured codec, on what it was measured on.

    systems: codec -> published system. Only whole real data sets of presets are held against them.
    """
    columns = _columns(measured)
    cells = []
    for result in measured:
        known_as = result.data.known_as
        if known_as is None or result.synthetic or result.data.limit is not None:
            continue
        for value in values:
            if (value.protocol, value.task) == (PROTOCOL, known_as) and (
                value.system == systems.get(str(result.codec.name))
            ):
                cells.append(_check_value(columns[_codec(result)], result, value, rule))
    return cells


def _check_value(
    column: str, result: ReconstructionResult, value: PublishedValue, rule: Tolerance
) -> Checked:
    metric = PUBLISHED_AS.get(value.metric, value.metric)

    def cell(verdict: str, why: tuple[str, ...], *numbers: float) -> Checked:
        measured, tolerance = numbers or (float("nan"), float("nan"))
        return Checked(
            column, str(value.task), metric, metric, verdict, measured, value.value, tolerance,
            why, value.source, value.primary,
        )  # fmt: skip

    if result.status == FAILED:
        return cell(NOT_CHECKED, (f"failed: {result.error}",))
    score = result.scores.get(metric)
    if score is None:
        return cell(NOT_CHECKED, (f"{value.metric} was not measured",))
    allowed = rule.tolerance(score, value.value)
    difference = score.value - value.value
    changed = altered(result)
    if changed is not None:
        return cell(BREACH, (changed,), score.value, allowed)
    if not exceeds(difference, allowed):
        return cell(OK, (), score.value, allowed)
    off = off_by(difference, allowed)
    said = "not computable" if difference != difference else off
    return cell(BREACH, (said, UNCONFIRMED), score.value, allowed)


def check_codecs(
    measured: Sequence[ReconstructionResult],
    references: Sequence[ReconstructionResult],
    rule: Tolerance,
) -> tuple[list[Checked], list[str]]:
    """A verdict for every metric of every reference; and a line for each result without one.

    By codec's name, data set, limit and kind; nothing is said where clips or settings are others.
    Several references of one name go by fingerprint.
    """
    columns = _columns(measured)
    cells: list[Checked] = []
    used: set[int] = set()
    for reference in references:
        if reference.status != DONE:
            continue
        mine = [result for result in measured if _same_place(result, reference)]
        several = sum(_same_place(other, reference) for other in references) > 1
        if several:
            mine = [result for result in mine if _codec(result) == _codec(reference)]
        used |= {id(result) for result in mine}
        for result in mine:
            cells += _check_pair(columns[_codec(result)], result, reference, rule)
        if not mine:
            cells += _unsaid(str(reference.codec.name), reference, "not measured")
    beyond = [
        f"{columns[_codec(result)]}, reconstruction: {result.data.name}"
        for result in measured
        if id(result) not in used
    ]
    return cells, beyond


def _same_place(one: ReconstructionResult, other: ReconstructionResult) -> bool:
    keys = [(_key(result)[0], *_key(result)[2:]) for result in (one, other)]
    return keys[0] == keys[1]


def _check_pair(
    column: str, mine: ReconstructionResult, reference: ReconstructionResult, rule: Tolerance
) -> list[Checked]:
    if mine.status == FAILED:
        return _unsaid(column, reference, f"failed: {mine.error}")
    if mine.comparable != reference.comparable:
        return _unsaid(column, reference, "measured on other clips or with other settings")
    cells = []
    changed = altered(mine)
    for name, theirs in reference.scores.items():
        score = mine.scores.get(name)
        if score is None:
            cells.append(_cell(column, reference, name, NOT_CHECKED, why=("was not measured",)))
            continue
        faults = (*faults_of(score, theirs, rule), *([] if changed is None else [changed]))
        cells.append(
            _cell(
                column, reference, name, BREACH if faults else OK, score.value,
                rule.tolerance(theirs, score.value), faults,
            )
        )  # fmt: skip
    return cells


def _unsaid(column: str, reference: ReconstructionResult, why: str) -> list[Checked]:
    return [_cell(column, reference, name, NOT_CHECKED, why=(why,)) for name in reference.scores]


def _cell(
    column: str,
    reference: ReconstructionResult,
    metric: str,
    verdict: str,
    measured: float = float("nan"),
    tolerance: float = float("nan"),
    why: tuple[str, ...] = (),
) -> Checked:
    value = reference.scores[metric].value
    name = str(reference.data.name)
    return Checked(column, name, metric, metric, verdict, measured, value, tolerance, why)


def _columns(measured: Sequence[ReconstructionResult]) -> dict[tuple[str, str], str]:
    known: dict[str, set[str]] = {}
    for result in measured:
        name, fingerprint = _codec(result)
        known.setdefault(name, set()).add(fingerprint)
    return {
        (name, fingerprint): name if len(prints) == 1 else f"{name}@{fingerprint[:8]}"
        for name, prints in known.items()
        for fingerprint in prints
    }
