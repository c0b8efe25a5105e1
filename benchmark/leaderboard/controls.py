"""Each score against its control: the same encoder with permuted weights.

A score that cannot be told from its control rests on the front end and the architecture, not on
what was learned. The test is the paired one over sources that `compare` has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.leaderboard.best import paired_values
from earmark.benchmark.result.schema import FAILED, ResultError, RunResult
from earmark.benchmark.uncertainty.jackknife import FEWEST_SOURCES, TOO_FEW
from earmark.benchmark.uncertainty.pairing import UnpairedError
from earmark.benchmark.uncertainty.significance import (
    ABOVE,
    BELOW,
    NOT_APART,
    NOT_TESTED,
    ControlTest,
    Difference,
    difference_of,
)
from earmark.benchmark.uncertainty.values import values_of
from earmark.encoders.spec import parsed

if TYPE_CHECKING:
    from earmark.benchmark.leaderboard.table import Row


def mark_controls(
    rows: dict[tuple[str, str], Row],
    measured: Mapping[tuple[str, str], Mapping[str, RunResult]],
    cache: Path,
    track: ProgressFactory,
) -> list[str]:
    """Tell each row how its scores stand to their controls; notes on what that means."""
    tests: dict[str, dict[str, dict[str, ControlTest]]] = {}
    for key, results in measured.items():
        row = rows[key]
        done = {
            column: result
            for column, result in results.items()
            if row.cell(column, row.probes[0]).status != FAILED
        }
        row.controls = against_controls(done, cache, track)
        if row.controls:
            tests[row.name] = row.controls
    return control_notes(tests)


def against_controls(
    results: Mapping[str, RunResult], cache: Path, track: ProgressFactory = no_progress
) -> dict[str, dict[str, ControlTest]]:
    """By column and probe, the test against the column's control, where one is there.

    results: by column, of one task on the same data, done. Of several controls of one encoder
    (`:permuted`, `:permuted-2`) it is the one with the highest score.
    """
    pairs = list(_pairs(results))
    if not pairs:
        return {}
    wanted = list(dict.fromkeys(column for pair in pairs for column in pair))
    values = dict(
        zip(wanted, values_of([results[column] for column in wanted], cache, track), strict=True)
    )
    found: dict[str, dict[str, ControlTest]] = {}
    for column, control in pairs:
        for probe in results[column].scores.keys() & results[control].scores.keys():
            score, other = results[column].scores[probe], results[control].scores[probe]
            known = found.setdefault(column, {}).get(probe)
            if known is not None and results[known.control].scores[probe].value >= other.value:
                continue
            try:
                one, two = paired_values(column, control, results, values, cache)
            except (UnpairedError, ResultError) as error:
                found[column][probe] = ControlTest(control, NOT_TESTED, why=str(error))
                continue
            difference = difference_of(one, two, probe, score.confidence)
            few = f"{TOO_FEW} ({one.sources})" if one.sources < FEWEST_SOURCES else ""
            found[column][probe] = _judged(control, difference, 1 - score.confidence, few)
    return found


def control_notes(tests: Mapping[str, Mapping[str, Mapping[str, ControlTest]]]) -> list[str]:
    """What a reader must know, a line for each verdict but `above`.

    tests: by task and column what `against_controls` found.
    """
    said = {
        NOT_APART: "not told apart from its permuted weights (paired test over sources), so not "
        "shown to rest on what was learned",
        BELOW: "below its permuted weights",
        NOT_TESTED: "not tested against its permuted weights",
    }
    notes = []
    for verdict, words in said.items():
        places: dict[str, list[str]] = {}
        why = ""
        for task, by_column in tests.items():
            for column, by_probe in by_column.items():
                probes = [probe for probe, test in by_probe.items() if test.verdict == verdict]
                if probes:
                    places.setdefault(column, []).append(f"{task} ({', '.join(sorted(probes))})")
                    why = why or next(by_probe[probe].why for probe in probes)
        if places:
            listed = "; ".join(f"{column}: {', '.join(own)}" for column, own in places.items())
            notes.append(f"{words}: {listed}" + (f" ({why})" if why else ""))
    tested = [
        test
        for by_column in tests.values()
        for by_probe in by_column.values()
        for test in by_probe.values()
    ]
    if tested and not notes:
        notes.append("every score with a control is above that of its permuted weights")
    return notes


def _pairs(results: Mapping[str, RunResult]) -> Iterator[tuple[str, str]]:
    """Columns with their controls; an encoder whose name is there twice has none that is known."""
    by_name: dict[str, list[str]] = {}
    for column, result in results.items():
        by_name.setdefault(result.encoder.name, []).append(column)
    for name, columns in by_name.items():
        asked = parsed(name)
        owners = by_name.get(asked.base, []) if asked.draw else []
        if len(columns) == len(owners) == 1:
            yield owners[0], columns[0]


def _judged(control: str, difference: Difference, alpha: float, few: str) -> ControlTest:
    apart = difference.differs(alpha)
    if apart is None:
        return ControlTest(control, NOT_TESTED, difference, few or "not computable")
    if not apart:
        return ControlTest(control, NOT_APART, difference)
    return ControlTest(control, ABOVE if difference.value > 0 else BELOW, difference)
