"""A leaderboard's tables: rows of tasks, columns of encoders, and their means."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from earmark.benchmark.protocol import MEANS, PROTOCOLS, STRICT
from earmark.benchmark.result.groups import (
    Group,
)
from earmark.benchmark.result.schema import RunResult, Score
from earmark.benchmark.uncertainty.significance import ControlTest
from earmark.tasks import DOMAINS

PROBES = {"linear": "linear probe", "knn": "kNN"}
READOUT = "readout"
# what a table shows under heads of their own
VIEWS = {**PROBES, READOUT: "linear probe, best readout"}


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
    controls: encoder column -> probe -> the test against permuted weights, where these are there.
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
    controls: dict[str, dict[str, ControlTest]] = field(default_factory=dict)
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
    cost: which costs of the encoders were asked for, see `leaderboard/cost.py`.
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
    cost: tuple[str, ...] = ()

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
        return [probe for probe in VIEWS if any(row.has(probe) for row in self.rows)]

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
