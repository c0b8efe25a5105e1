"""The leaderboard: result files to tables. Rows tasks, columns encoders.

What cannot be compared never stands in one table: synthetic and real data, protocols (an altered
one is another), numbers of seeds and limits have tables of their own, and a task whose data or
declaration differs between encoders has a row for each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.leaderboard.marking import mark_best
from earmark.benchmark.leaderboard.notes import MAJORITY, audit_notes, part_remarks, remarks_of
from earmark.benchmark.leaderboard.table import GUESS, NO_GUESS, Cell, Row, Table
from earmark.benchmark.paths import default_cache
from earmark.benchmark.protocol import MEANS, titled
from earmark.benchmark.result.files import read_results
from earmark.benchmark.result.groups import (
    Group,
    column_names,
    group_results,
    identity_of,
    part_of_classes,
    title_of,
    variant_of,
)
from earmark.benchmark.result.schema import DONE, FAILED, RunResult
from earmark.tasks import DOMAINS, TaskSpec


class Leaderboard:
    """Tables made from results alone.

    tasks: those that a table of one of them lists all, with `not run` where there is no result;
    means then say over how many of them they are. cache: folder in which scores without each
    source are kept (default: that of the embeddings). track: what shows the progress.
    """

    def __init__(
        self,
        results: Iterable[RunResult],
        tasks: Iterable[TaskSpec] = (),
        *,
        cache: Path | None = None,
        track: ProgressFactory = no_progress,
    ) -> None:
        listed = list(tasks)
        folder = cache or default_cache()
        self.tables = [
            _table(group, found, listed, folder, track)
            for group, found in group_results(results).items()
        ]

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        tasks: Iterable[TaskSpec] = (),
        *,
        synthetic: bool | None = None,
        cache: Path | None = None,
        track: ProgressFactory = no_progress,
    ) -> tuple[Leaderboard, list[str]]:
        """All result files under a folder; and one line for each that cannot be read.

        synthetic: only synthetic results, or only real ones; None: both, in tables of their own.
        """
        results, unreadable = read_results(folder)
        shown = [result for result in results if synthetic in (None, result.synthetic)]
        return cls(shown, tasks, cache=cache, track=track), unreadable

    def with_published(self, names: Iterable[str] = (), folder: Path | None = None) -> Leaderboard:
        """The same tables, with columns of published values where protocol and data allow it.

        names: systems or sources of published values, or `all`; none: those of the source with
            the most values.
        folder: of the published values; None: those that come with Earmark.
        Raises PublishedError where no table may have such columns, for an unknown name, and for
        one without a value to show.
        """
        from earmark.benchmark.leaderboard.published_columns import tables_with_published

        board = Leaderboard(())
        board.tables = tables_with_published(self.tables, names, folder)
        return board


def _table(
    group: Group,
    results: list[RunResult],
    listed: list[TaskSpec],
    cache: Path,
    track: ProgressFactory,
) -> Table:
    names = column_names(results)
    rows: dict[tuple[str, str], Row] = {}
    measured: dict[tuple[str, str], dict[str, RunResult]] = {}
    notes: list[str] = []
    scores = [score for result in results for score in result.scores.values()]
    confidences = sorted({score.confidence for score in scores if score.interval is not None})
    if confidences:
        shown = " or ".join(f"{100 * confidence:g} %" for confidence in confidences)
        notes.append(f"in brackets: {shown} interval; beside a mean: over how many tasks it is")
    done = [result for result in results if result.status == DONE]
    failed = [result for result in results if result.status == FAILED]
    variants: dict[str, list[str]] = {}
    for result in done:
        known = variants.setdefault(result.task.name, [])
        if variant_of(result) not in known:
            known.append(variant_of(result))
    for result in done:
        task = result.task
        several = len(variants[task.name]) > 1
        title = title_of(result) + (f" [{variant_of(result)}]" if several else "")
        row = rows.setdefault((task.name, variant_of(result)), _new_row(result, title))
        row.probes = tuple(dict.fromkeys((*row.probes, *result.scores)))
        column = names[identity_of(result)]
        row.cells[column] = {probe: Cell(DONE, score) for probe, score in result.scores.items()}
        row.results[column] = result
        measured.setdefault((task.name, variant_of(result)), {})[column] = result
        notes += remarks_of(result, column)
    for result in failed:
        task = result.task
        column = names[identity_of(result)]
        mine = [row for (name, _), row in rows.items() if name == task.name]
        if not mine:
            mine = [rows.setdefault((task.name, ""), _new_row(result, task.title))]
        kept = any(column in row.cells for row in mine)
        for row in mine:
            # the latest attempt failed: an earlier success does not stand for it
            row.cells[column] = {probe: Cell(FAILED) for probe in task.probes}
            row.results[column] = result
        earlier = " (an earlier result is kept in its file)" if kept else ""
        notes.append(f"failed: {task.name} · {column}: {result.error}{earlier}")
    majority = _add_majority(rows, names.values())
    if majority:
        notes.append(MAJORITY.replace("majority", majority, 1))
    notes += part_remarks(done)
    notes += audit_notes(
        (result.task.name, result.data.audit) for result in done if result.data.audit is not None
    )
    for name, known in variants.items():
        if len(known) > 1:
            notes.append(
                f"{name}: results on {len(known)} different data sets or declarations, told apart "
                f"by the digits in brackets: {', '.join(known)}"
            )
    notes += mark_best(rows, measured, cache, track)
    found = {name for name, _ in rows}
    if any(spec.name in found for spec in listed):
        for spec in (titled(spec, results[0].protocol) for spec in listed):
            if spec.name not in found:
                rows[spec.name, ""] = Row(
                    spec.name, spec.title, spec.domain, spec.metric, spec.weight, spec.probes
                )
    ordered = sorted(
        rows.values(), key=lambda row: (DOMAINS.index(row.domain), row.title.lower(), row.name)
    )
    synthetic, protocol, seeds, limit = group
    return Table(
        synthetic, protocol, seeds, None if limit < 0 else limit,
        list(names.values()), ordered, list(dict.fromkeys(notes)),
        tuple(results[0].protocol.get("means", MEANS)), majority=majority,
    )  # fmt: skip


def _add_majority(rows: dict[tuple[str, str], Row], columns: Iterable[str]) -> str:
    """Give each row what a guess scores on it, in a column of the name returned; "" if none has.

    Encoders of one row may have lost different clips, or cut other segments (`xares-0.1.3`): it is
    that of the one that was tested on the most items.
    """
    name = "majority"
    while name in columns:  # an encoder's name may be anything
        name += "*"
    found = False
    for row in rows.values():
        row.cells[name] = {}
        for probe in row.probes:
            scores = [cells[probe].score for cells in row.cells.values() if probe in cells]
            known = [one for one in scores if one is not None and one.majority is not None]
            best = max(known, key=lambda one: one.items, default=None)
            value = math.nan if best is None or best.majority is None else best.majority
            row.cells[name][probe] = Cell(NO_GUESS if best is None else GUESS, published=value)
            found = found or best is not None
    return name if found else ""


def _new_row(result: RunResult, title: str) -> Row:
    task = result.task
    probes = tuple(task.probes)
    part = part_of_classes(result)
    return Row(task.name, title, task.domain, task.metric, task.weight, probes, part=part)
