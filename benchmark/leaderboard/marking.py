"""The best cells of the leaderboard's rows, and the notes that say what their mark means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from earmark.benchmark.io.progress import ProgressFactory
from earmark.benchmark.leaderboard.best import best_cells
from earmark.benchmark.result.schema import FAILED, RunResult
from earmark.benchmark.result.scores import Score

if TYPE_CHECKING:
    from earmark.benchmark.leaderboard.table import Row


def mark_best(
    rows: dict[tuple[str, str], Row],
    measured: dict[tuple[str, str], dict[str, RunResult]],
    cache: Path,
    track: ProgressFactory,
) -> list[str]:
    """Tell each row its best cells; notes on what that means and on what was not compared."""
    faults = []
    for key, results in measured.items():
        row = rows[key]
        done = {
            column: result
            for column, result in results.items()
            if row.cell(column, row.probes[0]).status != FAILED
        }
        row.best, reasons = best_cells(done, cache, track)
        faults += [f"{row.name} · {reason}" for reason in reasons]
    confidences = {
        score.confidence
        for results in measured.values()
        for result in results.values()
        for score in result.scores.values()
    }
    notes = []
    if any(row.best for row in rows.values()):
        shown = " or ".join(f"{100 * confidence:g} %" for confidence in sorted(confidences))
        lone = any(
            result.protocol["seeds"] == 1 and any(s.fits is None for s in _linear(result))
            for results in measured.values()
            for result in results.values()
        )
        training = "; with one seed, how training varies is not in it" if lone else ""
        notes.append(
            f"bold: the best of a row, and what cannot be told from it at {shown} (paired test "
            "over sources; each against the best alone, not corrected for the number of encoders "
            f"or tasks{training}); none where nothing can be told from it"
        )
    if faults:
        more = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
        notes.append(f"no best marked, as not compared with it: {faults[0]}{more}")
    return notes


def _linear(result: RunResult) -> list[Score]:
    """The scores of a result's linear probe, which may be trained by steps."""
    return [score for probe, score in result.scores.items() if probe != "knn"]
