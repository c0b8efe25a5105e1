"""The leaderboard: result files to tables. Rows tasks, columns encoders.

What cannot be compared never stands in one table: synthetic and real data, protocols (an altered
one is another), numbers of seeds and limits have tables of their own, and a task whose data or
declaration differs between encoders has a row for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from earmark.benchmark.costs import COSTS
from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.leaderboard.controls import mark_controls
from earmark.benchmark.leaderboard.length_notes import length_notes, not_applicable_notes
from earmark.benchmark.leaderboard.marking import mark_best
from earmark.benchmark.leaderboard.notes import MAJORITY, audit_notes, part_remarks, remarks_of
from earmark.benchmark.leaderboard.readouts import readout_notes
from earmark.benchmark.leaderboard.rows import Rows, variants_of
from earmark.benchmark.leaderboard.table import Table
from earmark.benchmark.paths import default_cache
from earmark.benchmark.protocol import MEANS
from earmark.benchmark.result.files import read_results
from earmark.benchmark.result.groups import (
    Group,
    column_names,
    group_results,
    identity_of,
)
from earmark.benchmark.result.schema import DONE, FAILED, NOT_APPLICABLE, RunResult
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

    def with_cost(self, names: Sequence[str]) -> Leaderboard:
        """The same tables, each with one of what its encoders cost. names: of COSTS; none: all."""
        board = Leaderboard(())
        asked = tuple(names) or COSTS
        board.tables = [replace(table, cost=asked) for table in self.tables]
        return board

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
    done = [result for result in results if result.status == DONE]
    rows = Rows(names)
    rows.add_done(done)
    notes = _interval_notes(results)
    for result in done:
        notes += remarks_of(result, names[identity_of(result)])
    notes += [rows.add_failed(result) for result in results if result.status == FAILED]
    for result in results:
        if result.status == NOT_APPLICABLE:
            rows.add_not_applicable(result)
    notes += not_applicable_notes((names[identity_of(r)], r) for r in results)
    notes += length_notes((names[identity_of(result)], result) for result in done)
    majority = rows.add_majority(names.values())
    if majority:
        notes.append(MAJORITY.replace("majority", majority, 1))
    notes += part_remarks(done)
    notes += audit_notes(
        (result.task.name, result.data.audit) for result in done if result.data.audit is not None
    )
    notes += _variant_notes(variants_of(done))
    notes += mark_best(rows.rows, rows.measured, cache, track)
    notes += readout_notes(list(rows.rows.values()))
    notes += mark_controls(rows.rows, rows.measured, cache, track)
    rows.add_not_run(listed, results[0].protocol)
    ordered = sorted(
        rows.rows.values(), key=lambda row: (DOMAINS.index(row.domain), row.title.lower(), row.name)
    )
    synthetic, protocol, seeds, limit = group
    return Table(
        synthetic, protocol, seeds, None if limit < 0 else limit,
        list(names.values()), ordered, list(dict.fromkeys(notes)),
        tuple(results[0].protocol.get("means", MEANS)), majority=majority,
    )  # fmt: skip


def _interval_notes(results: list[RunResult]) -> list[str]:
    scores = [score for result in results for score in result.scores.values()]
    confidences = sorted({score.confidence for score in scores if score.interval is not None})
    if not confidences:
        return []
    shown = " or ".join(f"{100 * confidence:g} %" for confidence in confidences)
    return [f"in brackets: {shown} interval; beside a mean: over how many tasks it is"]


def _variant_notes(variants: dict[str, list[str]]) -> list[str]:
    return [
        f"{name}: results on {len(known)} different data sets or declarations, told apart by the "
        f"digits in brackets: {', '.join(known)}"
        for name, known in variants.items()
        if len(known) > 1
    ]
