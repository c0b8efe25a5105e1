"""Label efficiency as tables show it: task by encoder by clips a class."""

from __future__ import annotations

from dataclasses import dataclass

from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.leaderboard.table import Row, Table
from earmark.benchmark.result.scores import Score
from earmark.benchmark.shots import ALL, DRAWS, METRICS, Shots, ShotScore, order
from earmark.benchmark.uncertainty.jackknife import FEWEST_SOURCES

TITLE = "label efficiency"


@dataclass(frozen=True)
class Curve:
    """One task, one encoder. score: the cell's."""

    row: Row
    column: str
    score: Score
    shots: dict[Shots, ShotScore]

    def text(self, shots: Shots) -> tuple[str, str]:
        """Value and interval at so many clips a class, each empty where there is none."""
        one = self.shots.get(shots)
        if one is None:
            return "", ""
        if one.value != one.value:
            return "not computable", ""
        return rounded(one.value), interval_text(one.interval, self.score.sources)


@dataclass(frozen=True)
class Curves:
    """Of one table. shots: all that any of them has, in order."""

    caption: str
    shots: list[Shots]
    curves: list[Curve]
    notes: list[str]

    @property
    def heads(self) -> list[str]:
        return [ALL if one == ALL else f"{one} a class" for one in self.shots]


def curves_of(table: Table) -> Curves | None:
    """None where no result holds label efficiency."""
    curves = [
        Curve(row, column, score, {one.shots: one for one in score.shots})
        for row in table.rows
        for column in table.columns
        if (score := row.cell(column, "linear").score) is not None and score.shots
    ]
    if not curves:
        return None
    shots = sorted({one for curve in curves for one in curve.shots}, key=order)
    caption = f"{TITLE}, linear probe: {table.caption_of(['knn'])}"
    return Curves(caption, shots, curves, _notes(table, curves))


def _notes(table: Table, curves: list[Curve]) -> list[str]:
    confidence = " or ".join(f"{100 * one:g} %" for one in {c.score.confidence for c in curves})
    notes = [
        f"clips of each class that were trained on; mean of {DRAWS} draws, in brackets: "
        f"{confidence} interval over the sources tested and the draws; all: the score above, with "
        "its own"
    ]
    for curve in curves:
        for one in curve.shots.values():
            which = f"{curve.row.name}, {one.shots} a class"
            if one.short:
                has = "class has" if one.short == 1 else "classes have"
                notes.append(f"{which}: {one.short} {has} fewer clips, and give all")
            if not one.converged:
                notes.append(f"{which} · {curve.column}: not every probe has converged")
            drawn = {
                other.shots[one.shots].subsets
                for other in curves
                if other.row is curve.row and one.shots in other.shots
            }
            if len(drawn) > 1:
                notes.append(f"{which}: not the same clips for every encoder: some had failed")
    others = [row.name for row in table.rows if row.results and row.metric not in METRICS]
    if others:
        notes.append(f"not applicable to {', '.join(others)}: no classes of clips")
    return list(dict.fromkeys(notes))


def interval_text(interval: list[float] | None, sources: int) -> str:
    if interval is None:
        return "[too few]" if sources < FEWEST_SOURCES else ""
    low, high = (rounded(bound).removeprefix("0").replace("1.000", "1.0") for bound in interval)
    return f"[{low} {high}]"


def grid_of(curves: Curves) -> list[list[str]]:
    """Head and lines as plain text: task, metric, encoder, a column for each number of clips."""
    lines = [
        [
            curve.row.title, curve.row.metric, curve.column,
            *(" ".join(curve.text(shots)).strip() for shots in curves.shots),
        ]
        for curve in curves.curves
    ]  # fmt: skip
    return [["task", "metric", "encoder", *curves.heads], *lines]
