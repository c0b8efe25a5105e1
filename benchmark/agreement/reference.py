"""Results held against reference results in a folder.

A result is held against the reference of the same encoder (by name: a change of its code changes
its fingerprint, and is what is to be checked), task and conditions. Nothing is said where the two
were not measured on the same thing: another declaration of the task, other shards, other tokens.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from earmark.benchmark.agreement.changes import Changes, OtherItemsError, changes_of
from earmark.benchmark.agreement.loading import (
    Conditions,
    PredictionsAlteredError,
    PredictionsMissingError,
    Stored,
    listed,
)
from earmark.benchmark.agreement.tolerance import Tolerance, faults_of, unequal_fields
from earmark.benchmark.agreement.verdict import BREACH, NOT_CHECKED, OK, Checked
from earmark.benchmark.protocol import PROTOCOLS, STRICT
from earmark.benchmark.result.schema import FAILED, NOT_APPLICABLE, Predictions, Score
from earmark.tasks import builtin_tasks


class _Key(NamedTuple):
    encoder: str  # as the reference calls it
    task: str
    conditions: Conditions


class _Pair(NamedTuple):
    measured: Stored
    reference: Stored
    column: str


def check_folder(
    measured: Sequence[Stored],
    references: Sequence[Stored],
    rule: Tolerance,
    names: Mapping[str, str] | None = None,
) -> tuple[list[Checked], list[Stored]]:
    """A verdict for every probe of every reference, and the results that have no reference.

    names: the reference's encoder for an encoder of another name.
    """
    names = names or {}
    by_key: dict[_Key, list[Stored]] = {}
    for stored in measured:
        name = names.get(stored.encoder, stored.encoder)
        by_key.setdefault(_Key(name, stored.task, stored.conditions), []).append(stored)
    wanted: dict[_Key, list[Stored]] = {}
    for stored in references:
        key = _Key(stored.encoder, stored.task, stored.conditions)
        wanted.setdefault(key, []).append(stored)
    columns = column_names(measured)
    cells: list[Checked] = []
    for key, theirs in wanted.items():
        pairs, alone, unmatched = _matched(by_key.pop(key, []), theirs)
        for mine, reference in pairs:
            cells += _check_pair(_Pair(mine, reference, columns[mine]), rule)
        for reference in alone:
            cells += _missing(reference, key, measured, names)
        for mine in unmatched:
            why = (
                f"the reference holds {len(theirs)} encoders of this name, none with its "
                "fingerprint; keep one"
            )
            cells += _unsaid(mine, columns[mine], why)
    return cells, [stored for rest in by_key.values() for stored in rest]


def column_names(measured: Collection[Stored]) -> dict[Stored, str]:
    """What each result's encoder is called; two of one name are told apart by fingerprints."""
    known: dict[str, set[str]] = {}
    for stored in measured:
        known.setdefault(stored.encoder, set()).add(stored.fingerprint)
    return {
        stored: f"{stored.encoder}@{stored.fingerprint[:8]}"
        if len(known[stored.encoder]) > 1
        else stored.encoder
        for stored in measured
    }


def _matched(
    measured: list[Stored], references: list[Stored]
) -> tuple[list[tuple[Stored, Stored]], list[Stored], list[Stored]]:
    """Pairs (measured, reference) of one key, references without a result, and the reverse.

    Several references go by fingerprint.
    """
    if len(references) == 1:
        (only,) = references
        return [(mine, only) for mine in measured], [] if measured else [only], []
    by_print = {reference.fingerprint: reference for reference in references}
    pairs = [(m, by_print[m.fingerprint]) for m in measured if m.fingerprint in by_print]
    found = {mine.fingerprint for mine, _ in pairs}
    alone = [reference for reference in references if reference.fingerprint not in found]
    return pairs, alone, [mine for mine in measured if mine.fingerprint not in by_print]


def _missing(
    reference: Stored, key: _Key, measured: Sequence[Stored], names: Mapping[str, str]
) -> list[Checked]:
    others = [
        f"({stored.conditions})"
        for stored in measured
        if names.get(stored.encoder, stored.encoder) == key.encoder and stored.task == key.task
    ]
    why = f"not measured under {key.conditions}"
    if others:
        why += f"; only under {listed(others, 3)}"
    scores = reference.result.scores
    return [
        replace(cell, reference=scores[cell.probe].value) if cell.probe in scores else cell
        for cell in _unsaid(reference, reference.encoder, why)
    ]


def _unsaid(stored: Stored, column: str, why: str) -> list[Checked]:
    """Cells of a result of which nothing can be said."""
    metric = str(stored.result.task.metric)
    return [
        Checked(
            column, stored.task, probe, metric, NOT_CHECKED, why=(why,),
            conditions=stored.conditions,
        )
        for probe in stored.result.scores or stored.result.task.probes
    ]  # fmt: skip


def _check_pair(pair: _Pair, rule: Tolerance) -> list[Checked]:
    mine, theirs = pair.measured.result, pair.reference.result
    if theirs.status == FAILED:
        return _unsaid(pair.reference, pair.column, f"the reference failed: {theirs.error}")
    for one in (theirs, mine):
        if one.status == NOT_APPLICABLE:
            return _unsaid(pair.reference, pair.column, f"not applicable: {one.error}")
    if mine.task.digest != theirs.task.digest:
        return _not_checked(pair, "the task is declared otherwise than for the reference")
    if mine.status == FAILED:
        return [
            Checked(
                pair.column, pair.reference.task, probe, score.metric, BREACH,
                reference=score.value, why=(f"failed: {mine.error}",),
                conditions=pair.reference.conditions,
            )
            for probe, score in theirs.scores.items()
        ]  # fmt: skip
    other = _other_data(pair)
    if other is not None:
        return _not_checked(pair, other)
    cells = []
    predictions = _read_predictions(pair)
    for probe, reference in theirs.scores.items():
        if probe not in mine.scores:
            cells.append(_cell(pair, probe, reference, NOT_CHECKED, why=("not measured",)))
        elif mine.scores[probe].metric != reference.metric:
            why = f"measured as {mine.scores[probe].metric}"
            cells.append(_cell(pair, probe, reference, NOT_CHECKED, why=(why,)))
        else:
            cells.append(_check_cell(pair, probe, rule, predictions))
    return cells


def _not_checked(pair: _Pair, why: str) -> list[Checked]:
    return [
        _cell(pair, probe, score, NOT_CHECKED, why=(why,))
        for probe, score in pair.reference.result.scores.items()
    ]


def _cell(
    pair: _Pair, probe: str, reference: Score, verdict: str, *, why: tuple[str, ...]
) -> Checked:
    """A cell without a tolerance; its values are shown all the same."""
    mine = pair.measured.result.scores.get(probe)
    return Checked(
        pair.column, pair.reference.task, probe, reference.metric, verdict,
        measured=mine.value if mine is not None else float("nan"), reference=reference.value,
        why=why, conditions=pair.reference.conditions,
    )  # fmt: skip


def _other_data(pair: _Pair) -> str | None:
    """In what a result was measured on something else; None where it was not.

    Synthetic audio is made anew on every machine, and the sines of two kinds of machine differ in
    the last bits. There the recipe's shards must be the same by name and number of clips.
    """
    mine, theirs = pair.measured.result, pair.reference.result
    shards = [
        {(shard.split, shard.name): shard.sha256 for shard in one.data.shards}
        for one in (mine, theirs)
    ]
    if shards[0].keys() != shards[1].keys():
        odd = sorted(shards[0].keys() ^ shards[1].keys())
        return f"other data: {listed(_shard(name) for name in odd)} only on one side"
    differ = [name for name in shards[1] if shards[0][name] != shards[1][name]]
    elsewhere = theirs.synthetic and pair.measured.machine() != pair.reference.machine()
    if differ and not elsewhere:
        return f"other data: {listed(_shard(name) for name in differ)} has another SHA-256"
    if mine.data.clips != theirs.data.clips:
        return f"other data: {mine.data.clips} clips, in the reference {theirs.data.clips}"
    tokens = [{score.tokens for score in one.scores.values()} for one in (mine, theirs)]
    if tokens[0] != tokens[1]:
        return f"other tokens: {listed(map(str, tokens[0]))}, not {listed(map(str, tokens[1]))}"
    return None


def _shard(name: tuple[str, str]) -> str:
    return f"{name[1]} ({name[0]})"


class _Read(NamedTuple):
    """The predictions of both sides, or what is the matter with them."""

    both: tuple[Predictions, Predictions] | None
    breach: str = ""
    not_checked: str = ""


def _read_predictions(pair: _Pair) -> _Read:
    try:
        reference = pair.reference.predictions()
    except (PredictionsMissingError, PredictionsAlteredError) as error:
        return _Read(None, not_checked=f"predictions of the reference: {error}")
    try:
        return _Read((pair.measured.predictions(), reference))
    except PredictionsMissingError as error:
        return _Read(None, not_checked=f"predictions: {error}")
    except PredictionsAlteredError as error:
        return _Read(None, breach=f"predictions: {error}")


def _check_cell(pair: _Pair, probe: str, rule: Tolerance, read: _Read) -> Checked:
    mine = pair.measured.result.scores[probe]
    theirs = pair.reference.result.scores[probe]
    exact = rule.exact and pair.measured.machine() == pair.reference.machine()
    changes: Changes | None = None
    faults = [read.breach] if read.breach else []
    if exact and (unequal := unequal_fields(mine, theirs)):
        faults.append(f"not equal: {', '.join(unequal)}")
    elif not exact:
        faults += faults_of(mine, theirs, rule)
    if read.both is not None:
        try:
            changes = changes_of(*read.both, probe, _classes(pair))
        except OtherItemsError as error:
            faults.append(str(error))
        else:
            most = 0.0 if exact else rule.changed
            if most is not None and changes.share > most:
                faults.append(
                    f"{changes} predictions changed" + f", more than {most:.1%}" * (not exact)
                )
            elif exact and not _equal(*read.both, probe):
                faults.append("predictions not equal in every bit")
    unsaid = [read.not_checked] if read.not_checked else []
    verdict = BREACH if faults else NOT_CHECKED if unsaid else OK
    return Checked(
        pair.column, pair.reference.task, probe, theirs.metric, verdict, mine.value, theirs.value,
        0.0 if exact else rule.tolerance(theirs, mine.value), (*faults, *unsaid),
        changes=changes, exact=exact, conditions=pair.reference.conditions,
    )  # fmt: skip


def _equal(measured: Predictions, reference: Predictions, probe: str) -> bool:
    mine, theirs = getattr(measured, probe), getattr(reference, probe)
    return bool(mine.dtype == theirs.dtype and mine.tobytes() == theirs.tobytes())


def _classes(pair: _Pair) -> tuple[str, ...]:
    """Names of the task's classes, where it is the one known here."""
    result = pair.reference.result
    spec = builtin_tasks().get(pair.reference.task)
    if spec is None:
        return ()
    read = PROTOCOLS.get(str(result.protocol["name"]), STRICT).apply_to(spec)
    return tuple(spec.classes) if read.digest() == result.task.digest else ()
