"""From results to the rows of a table: what stands where, before anything is said of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from earmark.benchmark.leaderboard.readouts import best_readout
from earmark.benchmark.leaderboard.table import GUESS, NO_GUESS, READOUT, Cell, Row
from earmark.benchmark.protocol import titled
from earmark.benchmark.result.groups import identity_of, part_of_classes, title_of, variant_of
from earmark.benchmark.result.schema import DONE, FAILED, NOT_APPLICABLE, RunResult
from earmark.tasks import TaskSpec

Key = tuple[str, str]  # a task's name, and which data and declaration of it


@dataclass
class Rows:
    """The rows of a table as they grow.

    names: by identity, the column of each encoder. measured: the results of each row by column.
    """

    names: dict[tuple[str, str], str]
    rows: dict[Key, Row] = field(default_factory=dict)
    measured: dict[Key, dict[str, RunResult]] = field(default_factory=dict)

    def add_done(self, results: Sequence[RunResult]) -> None:
        """Results with scores; a task on other data, or declared otherwise, has another row."""
        variants = variants_of(results)
        for result in results:
            key = (result.task.name, variant_of(result))
            several = len(variants[result.task.name]) > 1
            title = title_of(result) + (f" [{variant_of(result)}]" if several else "")
            row = self.rows.setdefault(key, _new_row(result, title))
            cells = {probe: Cell(DONE, score) for probe, score in result.scores.items()}
            best = best_readout(result)
            if best is not None:
                cells[READOUT] = Cell(DONE, best)
            row.probes = tuple(dict.fromkeys((*row.probes, *cells)))
            column = self.names[identity_of(result)]
            row.cells[column] = cells
            row.results[column] = result
            self.measured.setdefault(key, {})[column] = result

    def add_failed(self, result: RunResult) -> str:
        """A failure, in every row of its task; a note on it.

        The latest attempt failed: an earlier success does not stand for it.
        """
        task = result.task
        column = self.names[identity_of(result)]
        mine = [row for (name, _), row in self.rows.items() if name == task.name]
        if not mine:
            mine = [self.rows.setdefault((task.name, ""), _new_row(result, task.title))]
        kept = any(column in row.cells for row in mine)
        for row in mine:
            row.cells[column] = {probe: Cell(FAILED) for probe in task.probes}
            row.results[column] = result
        earlier = " (an earlier result is kept in its file)" if kept else ""
        return f"failed: {task.name} · {column}: {result.error}{earlier}"

    def add_not_applicable(self, result: RunResult) -> None:
        """A task that does not apply to an encoder, in every row of it."""
        task = result.task
        column = self.names[identity_of(result)]
        mine = [row for (name, _), row in self.rows.items() if name == task.name]
        if not mine:
            mine = [self.rows.setdefault((task.name, ""), _new_row(result, task.title))]
        for row in mine:
            row.cells[column] = {probe: Cell(NOT_APPLICABLE) for probe in task.probes}
            row.results[column] = result

    def add_not_run(self, listed: Sequence[TaskSpec], protocol: dict[str, object]) -> None:
        """Rows of the tasks listed that have none, where any of them has one."""
        found = {name for name, _ in self.rows}
        if not any(spec.name in found for spec in listed):
            return
        for spec in (titled(spec, protocol) for spec in listed):
            if spec.name not in found:
                self.rows[spec.name, ""] = Row(
                    spec.name, spec.title, spec.domain, spec.metric, spec.weight, spec.probes
                )

    def add_majority(self, columns: Iterable[str]) -> str:
        """Give each row a guess's score, in a column whose name is returned; "" if none has one.

        Encoders of one row may have lost different clips, or cut other segments (`xares-0.1.3`): it
        is that of the one that was tested on the most items.
        """
        name = "majority"
        while name in columns:  # an encoder's name may be anything
            name += "*"
        found = False
        for row in self.rows.values():
            row.cells[name] = {}
            for probe in row.probes:
                scores = [cells[probe].score for cells in row.cells.values() if probe in cells]
                known = [one for one in scores if one is not None and one.majority is not None]
                best = max(known, key=lambda one: one.items, default=None)
                value = math.nan if best is None or best.majority is None else best.majority
                row.cells[name][probe] = Cell(NO_GUESS if best is None else GUESS, published=value)
                found = found or best is not None
        return name if found else ""


def variants_of(results: Sequence[RunResult]) -> dict[str, list[str]]:
    """By task, the different data sets and declarations that there are results of."""
    found: dict[str, list[str]] = {}
    for result in results:
        known = found.setdefault(result.task.name, [])
        if variant_of(result) not in known:
            known.append(variant_of(result))
    return found


def _new_row(result: RunResult, title: str) -> Row:
    task = result.task
    probes = tuple(task.probes)
    part = part_of_classes(result)
    return Row(task.name, title, task.domain, task.metric, task.weight, probes, part=part)
