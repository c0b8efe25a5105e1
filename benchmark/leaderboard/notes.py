"""What a reader must know about the cells of a table, beyond their numbers: its notes."""

from __future__ import annotations

from collections.abc import Iterable

from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.leaderboard.training_notes import training_notes
from earmark.benchmark.result.facts import AuditFacts
from earmark.benchmark.result.groups import part_of_classes
from earmark.benchmark.result.linear_fit import fit_notes
from earmark.benchmark.result.schema import RunResult
from earmark.benchmark.uncertainty.interval import PERCENTILES
from earmark.benchmark.uncertainty.jackknife import FEWEST_SOURCES, TOO_FEW

# with fewer, percentiles of a bootstrap miss the truth twice as often as they say, or more
FEW_FOR_PERCENTILES = 30
_NAMED = 5  # classes in a note
MAJORITY = (
    "majority: what a guess scores that has not heard the audio: always the most common class of "
    "training; of several classes their shares; of events and notes always or never; of captions a "
    "random order; of transcripts nothing"
)


def part_remarks(results: list[RunResult]) -> list[str]:
    """Tasks with clips of only some of their classes, in one line; of twins, which mostly are such,
    also how many tested classes training lacks."""
    parts = {result.task.name: part_of_classes(result) for result in results}
    said = [f"{name} {part}" for name, part in parts.items() if part]
    if not any(result.synthetic for result in results):
        return [
            f"not all classes have a clip ({', '.join(said)}): no score of the whole data set, "
            "though the means hold it"
        ] * bool(said)
    lacking = {
        result.task.name: len(result.data.classes_missing_from_training or ()) for result in results
    }
    untaught = [f"{name} {count}" for name, count in lacking.items() if count]
    notes = []
    if said:
        notes.append(f"synthetic audio has not all classes of its task: {', '.join(said)}")
    if untaught:
        notes.append(f"tested classes without a clip in training: {', '.join(untaught)}")
    return notes


def remarks_of(result: RunResult, column: str) -> list[str]:
    """What a reader must know about a cell, beyond its number."""
    name, data = result.task.name, result.data
    notes = []
    if data.failed_clips:
        first = data.failures[0]
        notes.append(
            f"{name} · {column}: {data.failed_clips} of {data.clips} clips failed; the "
            f"first: {first.shard}/{first.key}: {first.reason}"
        )
    if data.label_faults:
        first = data.faults[0]
        notes.append(
            f"{name}: {data.label_faults} of {data.labels} labels were left out; the first: "
            f"{first.shard}/{first.key}: {first.reason}"
        )
    if data.guessed_sources:
        notes.append(
            f"{name}: no {data.source_unit} could be told for {data.guessed_sources} of "
            f"{data.clips} clips; each counts as its own"
        )
    if data.straddling_sources:
        notes.append(
            f"{name}: {data.straddling_sources} of {data.sources} sources "
            f"({data.source_unit}) are in more than one split or fold, so the score is not "
            f"independent of the {data.source_unit}"
        )
    tested = min(score.sources for score in result.scores.values())
    notes += _on_sources(result, tested)
    lacking = data.classes_missing_from_training
    if lacking and not result.synthetic:
        shown = ", ".join(lacking[:_NAMED]) + (", ..." if len(lacking) > _NAMED else "")
        notes.append(
            f"{name}: {len(lacking)} classes are in a test part whose training part has no clip of "
            f"them: {shown}"
        )
    missing = sum(score.not_computed for score in result.scores.values())
    if missing:
        metric = result.task.metric
        notes.append(f"{name}: {metric} leaves out {missing} classes without a positive item")
    for score in result.scores.values():
        if score.also:
            shown = ", ".join(f"{key} {rounded(value)}" for key, value in score.also.items())
            notes.append(f"{name} · {column}: {shown}")
        if score.too_short:
            notes.append(
                f"{name} · {column}: {score.too_short} training clips have fewer frames than their "
                "transcript takes, and taught nothing"
            )
        notes += [f"{name} · {column}: {note}" for note in fit_notes(score.fits or {})]
        if score.tokens is not None:
            notes.append(f"{name}: tokens are {score.tokens}")
        notes += [f"{name} · {column}: {note}" for note in training_notes(score, result.protocol)]
    return notes


def _on_sources(result: RunResult, tested: int) -> list[str]:
    """What so many tested sources are too few for."""
    name, unit = result.task.name, result.data.source_unit
    if all(score.interval is None for score in result.scores.values()):
        if tested < FEWEST_SOURCES:
            some = f"{tested} source{'s' if tested != 1 else ''} ({unit})"
            return [f"{name}: {TOO_FEW} for an interval: {some}, not {FEWEST_SOURCES}"]
        return []
    # results of before there was a choice hold percentiles too
    if result.protocol.get("interval", PERCENTILES) != PERCENTILES or tested >= FEW_FOR_PERCENTILES:
        return []
    return [f"{name}: intervals rest on {tested} sources ({unit}) and are too narrow"]


def audit_notes(audits: Iterable[tuple[str, AuditFacts]]) -> list[str]:
    """What a table says of audits. audits: names of tasks with their results' `data.audit`.

    One line for each task with audio in two splits or folds, one line for all without; other
    findings of theirs are told by the audit alone.
    """
    notes, clean = [], []
    for name, audit in audits:
        count, part = audit.in_two_splits, audit.parts
        if count:
            notes.append(
                f"{name}: LEAK: {count} of {audit.clips} clips have a copy in another {part} "
                f"(audited {audit.audited[:10]})"
            )
        else:
            clean.append(name)
    if clean:
        shown = ", ".join(dict.fromkeys(clean))
        notes.append(f"audited, no clip has a copy in another split or fold: {shown}")
    return notes
