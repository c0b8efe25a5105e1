"""Compare two encoders task by task, from their result files and predictions.

from earmark import compare
for table in compare("logmel", "mfcc", "results/runs"):
    for task in table.tasks:
        print(task.task, task.difference.value, task.holm_p, task.verdict)

Both are tested on the same items, source by source (`uncertainty/jackknife.py`). Intervals and
p-values cover which sources were tested; the heads' seeds are averaged, and how scores spread over
seeds is not in them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from earmark.benchmark.comparison.pairs import EncoderPair, LeftOut, pairs_of, side_of
from earmark.benchmark.io.nearest import nearest
from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.leaderboard.table import PROBES
from earmark.benchmark.paths import default_cache
from earmark.benchmark.result.files import read_results
from earmark.benchmark.result.groups import (
    Group,
    column_names,
    group_results,
    identity_of,
)
from earmark.benchmark.result.schema import RunResult
from earmark.benchmark.uncertainty.jackknife import FEWEST_SOURCES, TOO_FEW
from earmark.benchmark.uncertainty.significance import (
    Difference,
    difference_of,
    holm,
    mean_difference,
)

BETTER, WORSE = "better", "worse"
NOT_DISTINGUISHABLE = "not distinguishable"
NOT_TESTED = "not tested"
_CONFIDENCE = 0.95


class ComparisonError(ValueError):
    """Nothing can be compared. One line: why, and how to fix it."""


@dataclass(frozen=True)
class TaskComparison:
    """One task by one probe.

    first, second: the scores, on the items that both have. difference: first less second, with its
    interval and p-value for this task alone. holm_p: the p-value corrected over the table's tasks.
    verdict: of the first, by holm_p. items, sources: how many both have; only_first, only_second:
    items left out as the other lost them. `too few sources` and `not tested` (one source has all
    that counts) are verdicts without a p-value.
    """

    task: str
    title: str
    domain: str
    metric: str
    first: float
    second: float
    difference: Difference
    holm_p: float | None
    verdict: str
    items: int
    sources: int
    only_first: int
    only_second: int


@dataclass(frozen=True)
class Comparison:
    """Two encoders by one probe, on results that may be compared with each other.

    first, second: columns, as the leaderboard names them. mean_first, mean_second and mean: over
    the tasks listed, which are taken as given; None where there is no task. limit: clips a split,
    or None.
    """

    first: str
    second: str
    probe: str
    synthetic: bool
    protocol: str
    seeds: int
    limit: int | None
    confidence: float
    tasks: list[TaskComparison]
    mean_first: float | None
    mean_second: float | None
    mean: Difference | None
    left_out: list[LeftOut]
    notes: list[str]

    @property
    def caption(self) -> str:
        """What is compared, in one line."""
        limit = -1 if self.limit is None else self.limit
        group = Group(self.synthetic, self.protocol, self.seeds, limit)
        return f"{PROBES[self.probe]}: {group.caption([self.probe])}"


def compare(
    first: str,
    second: str,
    results: str | Path | Iterable[RunResult] = Path("results/runs"),
    *,
    tasks: Sequence[str] = ("all",),
    probe: str = "all",
    cache: Path | None = None,
    track: ProgressFactory = no_progress,
) -> list[Comparison]:
    """Compare two encoders on every task that either has: a table for each probe and each group
    of results that may stand beside each other (protocol, seeds, limit, synthetic or real).

    first, second: columns of the leaderboard: a name, or `name@fingerprint` (its first 8 digits)
    where two encoders share a name. results: a folder of result files, or results read from or
    written to files. tasks: names, domains, or `all`. probe: `linear`, `knn` or `all`. cache:
    folder in which scores without each source are kept (default: that of the embeddings). track:
    what shows the progress.

    Raises ComparisonError for an unknown encoder, task or probe.
    """
    unreadable: list[str] = []
    if isinstance(results, str | Path):
        results, unreadable = read_results(Path(results))
    results = list(results)
    if probe not in (*PROBES, "all"):
        raise ComparisonError(f"probe must be {', '.join(PROBES)} or all, not {probe!r}")
    columns = column_names(results)
    identities = [_identity(name, columns) for name in (first, second)]
    mine = [result for result in results if identity_of(result) in identities]
    names = _chosen(tasks, mine)
    chosen = [result for result in mine if result.task.name in names]
    made: list[Comparison] = []
    groups = group_results(chosen)
    for group, found in groups.items():
        sides = tuple(
            side_of(found, identity, columns[identity], _elsewhere(groups, group, identity))
            for identity in identities
        )
        pairs, left_out = pairs_of((sides[0], sides[1]), cache or default_cache(), track)
        by_task = {result.task.name: result.task.probes for result in found}
        for name in PROBES:
            if probe in (name, "all") and any(name in probes for probes in by_task.values()):
                lost = [one for one in left_out if name in by_task[one.task]]
                made.append(_table(group, (sides[0].column, sides[1].column), pairs, name, lost))
    if not made:
        raise ComparisonError(f"none of these tasks is measured by {PROBES[probe]}")
    for table in made:
        table.notes.extend(f"left out: {line}" for line in unreadable)
    return made


def _elsewhere(
    groups: dict[Group, list[RunResult]], here: Group, identity: tuple[str, str]
) -> dict[str, str]:
    """The captions of the other groups in which an encoder has each of its tasks."""
    found: dict[str, list[str]] = {}
    for group, results in groups.items():
        for result in results:
            if group != here and identity_of(result) == identity and result.scores:
                caption = group.caption(result.scores)
                found.setdefault(result.task.name, []).append(f"({caption})")
    return {task: " and ".join(captions) for task, captions in found.items()}


def _identity(name: str, columns: dict[tuple[str, str], str]) -> tuple[str, str]:
    found = [
        identity
        for identity, column in columns.items()
        if name in (column, identity[0], f"{identity[0]}@{identity[1][:8]}")
    ]
    if len(found) == 1:
        return found[0]
    if found:
        shown = " or ".join(columns[identity] for identity in found)
        raise ComparisonError(f"{len(found)} encoders are named {name!r}; say {shown}")
    if not columns:
        raise ComparisonError("there are no results; run a benchmark first")
    hint = nearest(name, columns.values(), f"there are {', '.join(columns.values())}")
    raise ComparisonError(f"no result of an encoder {name!r}; {hint}")


def _chosen(tasks: Sequence[str], results: list[RunResult]) -> set[str]:
    """Names of the tasks meant."""
    known = {result.task.name: result.task.domain for result in results}
    names: set[str] = set()
    for word in tasks:
        task = Path(word).stem if word.endswith((".yaml", ".yml")) else word
        found = {name for name, domain in known.items() if task in (name, domain, "all")}
        if not found:
            there = f"there are {', '.join(sorted(known))}"
            hint = nearest(task, [*known, *known.values(), "all"], there)
            raise ComparisonError(f"neither encoder has a result of {word!r}; {hint}")
        names |= found
    return names


def _table(
    group: Group,
    columns: tuple[str, str],
    pairs: list[EncoderPair],
    probe: str,
    left_out: list[LeftOut],
) -> Comparison:
    usable = []
    for pair in pairs:
        reason = _lacking(pair, probe, columns)
        if reason:
            left_out.append(LeftOut(pair.results[0].task.name, reason))
        elif probe in pair.results[0].scores:
            usable.append(pair)
    confidence = next(
        (score.confidence for pair in usable for score in pair.results[0].scores.values()),
        _CONFIDENCE,
    )
    differences = [
        difference_of(pair.values[0], pair.values[1], probe, confidence) for pair in usable
    ]
    adjusted = holm([difference.p for difference in differences])
    rows = [
        _row(pair, probe, difference, holm_p, confidence)
        for pair, difference, holm_p in zip(usable, differences, adjusted, strict=True)
    ]
    mean = None
    if usable:
        mean = mean_difference([pair.values for pair in usable], probe, confidence)
    return Comparison(
        first=columns[0],
        second=columns[1],
        probe=probe,
        synthetic=group.synthetic,
        protocol=group.protocol,
        seeds=group.seeds,
        limit=None if group.limit < 0 else group.limit,
        confidence=confidence,
        tasks=rows,
        mean_first=sum(row.first for row in rows) / len(rows) if rows else None,
        mean_second=sum(row.second for row in rows) / len(rows) if rows else None,
        mean=mean,
        left_out=sorted(left_out),
        notes=_notes(usable, rows, columns),
    )


def _lacking(pair: EncoderPair, probe: str, columns: tuple[str, str]) -> str:
    """Why a pair cannot be compared by a probe; nothing where it can, or is not measured by it."""
    has = [probe in result.scores for result in pair.results]
    if has[0] != has[1]:
        return f"{columns[has.index(False)]} has no score of {PROBES[probe]}"
    if not has[0]:
        return ""
    for column, values in zip(columns, pair.values, strict=True):
        if not math.isfinite(values.by_probe[probe][0]):
            return f"the score of {column} is not computable"
    return ""


def _row(
    pair: EncoderPair, probe: str, difference: Difference, holm_p: float | None, confidence: float
) -> TaskComparison:
    verdict = NOT_DISTINGUISHABLE
    result, values = pair.results[0], pair.values[0]
    if holm_p is None:
        verdict = TOO_FEW if values.sources < FEWEST_SOURCES else NOT_TESTED
    elif holm_p < 1 - confidence:
        verdict = BETTER if difference.value > 0 else WORSE
    return TaskComparison(
        task=result.task.name,
        title=pair.title,
        domain=result.task.domain,
        metric=result.scores[probe].metric,
        first=float(values.by_probe[probe][0]),
        second=float(pair.values[1].by_probe[probe][0]),
        difference=difference,
        holm_p=holm_p,
        verdict=verdict,
        items=values.count,
        sources=values.sources,
        only_first=pair.beyond[0],
        only_second=pair.beyond[1],
    )


def _notes(
    pairs: list[EncoderPair], rows: list[TaskComparison], columns: tuple[str, str]
) -> list[str]:
    """What a reader must know about a row, beyond its numbers."""
    notes = []
    for pair, row in zip(pairs, rows, strict=True):
        unit = pair.results[0].data.source_unit
        if row.sources < FEWEST_SOURCES:
            few = f"{row.sources} source{'s' if row.sources != 1 else ''} ({unit})"
            notes.append(
                f"{row.task}: {TOO_FEW} for an interval, of the mean too: {few}, "
                f"not {FEWEST_SOURCES}"
            )
        elif row.difference.p is None:
            notes.append(
                f"{row.task}: no interval and no p-value: not computable without one of the "
                f"{row.sources} sources ({unit})"
            )
        if row.only_first or row.only_second:
            lost = [
                f"{count} only {column} has"
                for count, column in zip((row.only_first, row.only_second), columns, strict=True)
                if count
            ]
            notes.append(
                f"{row.task}: on the {row.items} items of both; left out: {', '.join(lost)}"
            )
    return notes
