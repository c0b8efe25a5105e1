"""The second column: the linear probe on the best readout, and how far the order rests on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from earmark.benchmark.leaderboard.table import READOUT, Row
from earmark.benchmark.readouts import BEST, BEST_LAYER, windows_of
from earmark.benchmark.result.schema import RunResult
from earmark.benchmark.result.scores import Score
from earmark.benchmark.uncertainty.order import order_agreement
from earmark.encoders.control import SHUFFLED
from earmark.encoders.spec import parsed


def best_readout(result: RunResult) -> Score | None:
    """The score of the best readout, as a score of its own; None where none was asked for."""
    linear = result.scores.get("linear")
    found = [one for one in (linear.readouts if linear else None) or () if one.readout == BEST]
    if linear is None or not found:
        return None
    (best,) = found
    return replace(
        linear, value=best.value, interval=best.interval, per_seed=[best.value], spread=None,
        per_split=best.per_split, shots=None, readouts=None,
    )  # fmt: skip


def readout_notes(rows: Sequence[Row]) -> list[str]:
    """What the second column is, what was chosen, and Kendall's tau between the two orders."""
    chosen: Counter[str] = Counter()
    windows: Counter[str] = Counter()
    layers: dict[str, Counter[str]] = {}
    for row in rows:
        for column, result in row.results.items():
            if READOUT in row.cells.get(column, {}):
                of_layers = is_best_layer(result.encoder.name)
                counter = layers.setdefault(column, Counter()) if of_layers else chosen
                for one in result.scores["linear"].readouts or ():
                    if one.readout == BEST:
                        taken = tuple(one.chosen.values())
                        (windows if windows_of(taken) else counter).update(taken)
    notes = []
    if chosen:
        notes.append(
            "best readout: in each fold the statistics over a clip's frames with the least "
            f"validation loss; chosen were {_counted(chosen)}"
        )
    if windows:
        notes.append(
            "best readout of tasks by frames: in each fold the frames on either side of each with "
            f"the best validation metric; chosen were {_counted(windows)}"
        )
    notes += [
        f"{column}: in each fold the hidden layer with the least validation loss by its mean; as "
        f"best readout, the best of layers and readouts: {_counted(counter)}"
        for column, counter in layers.items()
    ]
    return [*notes, *_order_notes(rows)] if notes else []


def is_best_layer(name: str) -> bool:
    """Whether a column is the best of an encoder's layers, chosen by validation."""
    return parsed(name).base.endswith(f":{BEST_LAYER}")


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counter.most_common())


def _is_ranked(row: Row, column: str, result: RunResult) -> bool:
    """Whether a column has both scores and is an encoder's own: no control, no best layer."""
    name = result.encoder.name
    is_other = parsed(name).draw > 0 or name.endswith(SHUFFLED) or is_best_layer(name)
    return READOUT in row.cells.get(column, {}) and not is_other


def _order_notes(rows: Sequence[Row]) -> list[str]:
    """Over the encoders and tasks that have both scores."""
    by_column = [
        {column for column, result in row.results.items() if _is_ranked(row, column, result)}
        for row in rows
    ]
    columns = sorted(set().union(*by_column))
    shared = [row for row, own in zip(rows, by_column, strict=True) if own == set(columns)]
    if len(columns) < 2 or not shared:
        return []
    means, bests = (
        np.array([[row.cell(column, probe).value for row in shared] for column in columns])
        for probe in ("linear", READOUT)
    )
    found = order_agreement(means, bests)
    if found is None or not np.isfinite(found.tau):
        return []
    interval = "" if found.low is None else f" [{found.low:.2f} {found.high:.2f}]"
    over = f"{found.encoders} encoders on {found.tasks} task{'s' if found.tasks > 1 else ''}"
    return [
        f"orders by the mean and by the best readout: Kendall's tau {found.tau:.2f}{interval} "
        f"({over}{'; interval over tasks' if interval else ''}); 1 is the same order"
    ]
