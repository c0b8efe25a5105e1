"""The leaderboard: result files to tables. Rows tasks, columns encoders.

What cannot be compared never stands in one table: synthetic and real data, protocols (an altered
one is another), numbers of seeds and limits have tables of their own, and a task whose data or
declaration differs between encoders has a row for each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.leaderboard.marking import mark_best
from earmark.benchmark.leaderboard.notes import MAJORITY, part_remarks, remarks_of
from earmark.benchmark.paths import default_cache
from earmark.benchmark.protocol import MEANS, PROTOCOLS, STRICT, titled
from earmark.benchmark.result.audit_report import audit_notes
from earmark.benchmark.result.groups import (
    Group,
    column_names,
    group_results,
    identity_of,
    part_of_classes,
    read_results,
    title_of,
    variant_of,
)
from earmark.benchmark.result.schema import DONE, FAILED, RunResult, Score
from earmark.tasks import DOMAINS, TaskSpec

PROBES = {"linear": "linear probe", "knn": "kNN"}


@dataclass(frozen=True)
class Cell:
    """One task, encoder and probe. score is None where the task failed or did not run.

    published: in a column of published values, or of the majority, the value; it has no score.
    """

    status: str
    score: Score | None = None
    published: float = math.nan

    @property
    def value(self) -> float:
        return self.score.value if self.score is not None else self.published


NOT_RUN = Cell("not run")
# cells of a column of published values: with one, and without
PUBLISHED, NOT_PUBLISHED = "published", "not published"
# cells of the column of what a guess scores: with a value, and without
GUESS, NO_GUESS = "majority", "no majority"


@dataclass(frozen=True)
class Mean:
    """A mean of scores over tasks. tasks: how many have a score; of: how many were to."""

    value: float
    tasks: int
    of: int


@dataclass(frozen=True)
class PublishedColumn:
    """Where a column of published values is from. source: its key; primary: not second-hand."""

    system: str
    source: str
    citation: str
    primary: bool


@dataclass
class Row:
    """A task's row: encoder column -> probe -> cell. probes: those that measure the task.

    best: probe -> the columns whose score is the best or cannot be told from it, none where no
    column can; without a probe where nothing is known (`benchmark/leaderboard/best.py`).
    results: encoder column -> what its cells rest on. part: `10 of 50 classes` where the data has
    no more.
    """

    name: str
    title: str
    domain: str
    metric: str
    weight: float
    probes: tuple[str, ...]
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)
    best: dict[str, frozenset[str]] = field(default_factory=dict)
    results: dict[str, RunResult] = field(default_factory=dict)
    part: str = ""

    def cell(self, column: str, probe: str) -> Cell:
        return self.cells.get(column, {}).get(probe, NOT_RUN)

    def has(self, probe: str) -> bool:
        """Whether the task is measured by this probe at all."""
        return probe in self.probes

    def is_best(self, column: str, probe: str) -> bool:
        """Whether a cell is to be shown as (one of) the best of its row."""
        return column in self.best.get(probe, ())


@dataclass
class Table:
    """Results that may be compared with each other.

    protocol: its label. means_over: which means it shows: `domains`, `all`, `weighted`.
    published: which of the columns hold published values, and from where.
    majority: the name of one more column, of what a guess scores that has not heard the audio; it
        is none of `columns`, and empty where no result holds it.
    """

    synthetic: bool
    protocol: str
    seeds: int
    limit: int | None
    columns: list[str]
    rows: list[Row]
    footnotes: list[str]
    means_over: tuple[str, ...] = MEANS
    published: dict[str, PublishedColumn] = field(default_factory=dict)
    majority: str = ""

    @property
    def caption(self) -> str:
        """What the table holds, in one line."""
        return self.caption_of(self.probes)

    def caption_of(self, probes: Iterable[str]) -> str:
        """The caption of the part of the table that holds these probes; with the number of seeds
        where any of them is trained by steps, which logistic regression is not, or where it is
        another than the protocol's."""
        limit = -1 if self.limit is None else self.limit
        scores = [
            cell.score
            for row in self.rows
            for cells in row.cells.values()
            for probe, cell in cells.items()
            if probe != "knn" and cell.score is not None
        ]
        usual = PROTOCOLS.get(self.protocol.partition(" ")[0], STRICT).seeds == self.seeds
        converged = usual and bool(scores) and all(score.fits for score in scores)
        shown = ["knn"] if converged else probes
        return Group(self.synthetic, self.protocol, self.seeds, limit).caption(shown)

    def fills(self, column: str, probe: str) -> bool:
        """Whether a column has its place under a probe: one without scores only with a value."""
        return column not in (*self.published, self.majority) or any(
            row.cell(column, probe).status in (PUBLISHED, GUESS) for row in self.rows
        )

    def filled(self, probe: str) -> list[str]:
        """Columns that have their place under a probe; the majority's is the last."""
        every = [*self.columns, *([self.majority] if self.majority else [])]
        return [column for column in every if self.fills(column, probe)]

    @property
    def probes(self) -> list[str]:
        return [probe for probe in PROBES if any(row.has(probe) for row in self.rows)]

    def means(self, probe: str) -> dict[str, dict[str, Mean]]:
        """Name of the mean -> column -> mean: each domain, all tasks, all tasks weighted.

        The majority's column has means as the others have.
        """
        columns = [*self.columns, *([self.majority] if self.majority else [])]
        rows = [row for row in self.rows if row.has(probe)]
        groups: dict[str, list[Row]] = {}
        if "domains" in self.means_over:
            for domain in DOMAINS:
                own = [row for row in rows if row.domain == domain]
                if own:
                    groups[f"mean of {domain}"] = own
        if "all" in self.means_over:
            groups["mean of all"] = rows
        means = {
            name: {column: _mean(group, column, probe, weighted=False) for column in columns}
            for name, group in groups.items()
        }
        if "weighted" in self.means_over:
            means["weighted mean"] = {
                column: _mean(rows, column, probe, weighted=True) for column in columns
            }
        return means


def _mean(rows: list[Row], column: str, probe: str, *, weighted: bool) -> Mean:
    """Over tasks: rows of one task, on other data each, count as one, with their mean."""
    tasks: dict[str, list[float]] = {row.name: [] for row in rows}
    weights = {row.name: row.weight if weighted else 1.0 for row in rows}
    for row in rows:
        value = row.cell(column, probe).value
        if math.isfinite(value):
            tasks[row.name].append(value)
    means = {name: sum(values) / len(values) for name, values in tasks.items() if values}
    total = sum(weights[name] for name in means)
    value = sum(mean * weights[name] for name, mean in means.items()) / total if means else math.nan
    return Mean(value, len(means), len(tasks))


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
        known = variants.setdefault(result.task["name"], [])
        if variant_of(result) not in known:
            known.append(variant_of(result))
    for result in done:
        task = result.task
        several = len(variants[task["name"]]) > 1
        title = title_of(result) + (f" [{variant_of(result)}]" if several else "")
        row = rows.setdefault((task["name"], variant_of(result)), _new_row(result, title))
        row.probes = tuple(dict.fromkeys((*row.probes, *result.scores)))
        column = names[identity_of(result)]
        row.cells[column] = {probe: Cell(DONE, score) for probe, score in result.scores.items()}
        row.results[column] = result
        measured.setdefault((task["name"], variant_of(result)), {})[column] = result
        notes += remarks_of(result, column)
    for result in failed:
        task = result.task
        column = names[identity_of(result)]
        mine = [row for (name, _), row in rows.items() if name == task["name"]]
        if not mine:
            mine = [rows.setdefault((task["name"], ""), _new_row(result, task["title"]))]
        kept = any(column in row.cells for row in mine)
        for row in mine:
            # the latest attempt failed: an earlier success does not stand for it
            row.cells[column] = {probe: Cell(FAILED) for probe in task["probes"]}
            row.results[column] = result
        earlier = " (an earlier result is kept in its file)" if kept else ""
        notes.append(f"failed: {task['name']} · {column}: {result.error}{earlier}")
    majority = _add_majority(rows, names.values())
    if majority:
        notes.append(MAJORITY.replace("majority", majority, 1))
    notes += part_remarks(done)
    notes += audit_notes(
        (result.task["name"], result.data["audit"]) for result in done if "audit" in result.data
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
    probes = tuple(task["probes"])
    part = part_of_classes(result)
    return Row(
        task["name"], title, task["domain"], task["metric"], task["weight"], probes, part=part
    )
