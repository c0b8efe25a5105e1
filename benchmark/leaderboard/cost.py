"""What encoders cost beside what they score: parameters, values and bits a second, speed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from earmark.benchmark.costs import BITS, COSTS, PARAMETERS, SPEED, VALUES
from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.leaderboard.table import Table
from earmark.benchmark.result.facts import RunFacts
from earmark.benchmark.result.schema import RunResult

TITLE = "cost"
_HEADS = {PARAMETERS: "parameters", VALUES: "values/s", BITS: "bits/s", SPEED: "x real time"}
_DEVICE, _MEAN, _UNKNOWN = "on", "mean of all", "-"
_SAID = {
    PARAMETERS: "parameters: weights that encoding reads, a decoder's not",
    VALUES: "values/s: dimension x frames a second",
    BITS: "bits/s: of codes; - where the output is continuous, or its codes are not known",
    SPEED: "x real time: seconds of audio embedded in a second, decoding of files left out, when "
    "the embeddings were made; compare on one device only",
}
_WITH_READING = "with reading"  # beside the device of what older versions measured


@dataclass(frozen=True)
class Cost:
    """Of one encoder; None where its results do not say.

    parameters: weights that encoding reads; of older results all weights. all_parameters: all.
    values_per_second, bits_per_second: of the output; values_per_clip: of
    an encoder of one vector a clip. speed: seconds of audio embedded in a
    second; on `device`, which says so where reading the audio is in it.
    """

    parameters: int | None = None
    all_parameters: int | None = None
    values_per_second: float | None = None
    values_per_clip: int | None = None
    bits_per_second: float | None = None
    speed: float | None = None
    device: str = ""

    def amount(self, name: str) -> float | None:
        """One of COSTS."""
        return {
            PARAMETERS: self.parameters, VALUES: self.values_per_second,
            BITS: self.bits_per_second, SPEED: self.speed,
        }[name]  # fmt: skip


def cost_of(results: Sequence[RunResult]) -> Cost:
    """The cost of an encoder, of its results in a table."""
    encoders = [result.encoder for result in results]
    first = encoders[0]
    read = next((e.encode_parameters for e in encoders if e.encode_parameters is not None), None)
    rate, dimension = first.frame_rate, first.embedding_dim
    speed, device = _speed_of([result.run for result in results])
    return Cost(
        parameters=first.parameters if read is None else read,
        all_parameters=first.parameters,
        values_per_second=_finite(rate * dimension) if rate and dimension else None,
        values_per_clip=None if rate else dimension,
        bits_per_second=next((e.bits_per_second for e in encoders if e.bits_per_second), None),
        speed=speed,
        device=device,
    )


def _speed_of(runs: Sequence[RunFacts]) -> tuple[float | None, str]:
    """Audio over time, both summed over the cells that say so; where several devices did it, that
    of the one that embedded the most audio."""
    found: dict[str, list[float]] = {}
    for run in runs:
        own = run.embedding
        if own is not None and own.audio_seconds > 0 and own.seconds > 0:
            sums = found.setdefault(own.device or "?", [0.0, 0.0])
            sums[0] += own.audio_seconds
            sums[1] += own.seconds
    if not found:  # of a version that measured reading and encoding together
        for run in runs:
            if run.encoded_audio_seconds and run.embed_seconds:
                sums = found.setdefault(f"{run.device or '?'}, {_WITH_READING}", [0.0, 0.0])
                sums[0] += run.encoded_audio_seconds
                sums[1] += run.embed_seconds
    if not found:
        return None, ""
    device, (audio, seconds) = max(found.items(), key=lambda item: item[1][0])
    return _finite(audio / seconds), device


def costs_of(table: Table) -> dict[str, Cost]:
    """By column, those that are measured, in their order."""
    found = {}
    for column in table.columns:
        own = [row.results[column] for row in table.rows if column in row.results]
        if own:
            found[column] = cost_of(own)
    return found


def caption_of(table: Table) -> str:
    return f"{TITLE}: {table.caption_of(['knn'])}"


def grid_of(table: Table) -> list[list[str]]:
    """Head and a line an encoder, as text: its mean over the most tasks, what was asked for, and
    the device where speed is among it."""
    costs = costs_of(table)
    probe = table.probes[0] if table.probes else ""
    means = table.means(probe).get(_MEAN, {}) if probe else {}
    names = [name for name in COSTS if name in table.cost]
    head = ["encoder", *([_MEAN] if means else []), *(_HEADS[name] for name in names)]
    lines = [head + ([_DEVICE] if SPEED in names else [])]
    for column, cost in costs.items():
        line = [column]
        if means:
            mean = means[column]
            of = f" ({mean.tasks} of {mean.of})" if mean.tasks < mean.of else ""
            line.append(rounded(mean.value) + of if math.isfinite(mean.value) else _UNKNOWN)
        line += [_text(cost, name) for name in names]
        lines.append(line + ([cost.device or _UNKNOWN] if SPEED in names else []))
    return lines


def notes_of(table: Table) -> list[str]:
    """How to read the columns, and whose weights are not all read."""
    costs = costs_of(table)
    notes = [_SAID[name] for name in COSTS if name in table.cost]
    if PARAMETERS in table.cost:
        more = [
            f"{column} {amount_text(cost.all_parameters)}"
            for column, cost in costs.items()
            if cost.parameters != cost.all_parameters
        ]
        if more:
            notes.append(f"parameters in all, a decoder's among them: {', '.join(more)}")
    return notes


def _text(cost: Cost, name: str) -> str:
    if name == VALUES and cost.values_per_clip:
        return f"{amount_text(cost.values_per_clip)} a clip"
    if name == SPEED and cost.speed is not None:
        return f"{float(f'{cost.speed:.3g}'):.{1 if cost.speed < 10 else 0}f}"
    return amount_text(cost.amount(name))


def _finite(number: float) -> float | None:
    """A number that a file may have made too large to be one."""
    return number if math.isfinite(number) else None


def amount_text(amount: float | None) -> str:
    """Three digits and a unit: `94.4 M`; `-` where there is none.

    Example:
        >>> amount_text(94_371_712), amount_text(6400), amount_text(0), amount_text(None)
        ('94.4 M', '6.4 k', '0', '-')
    """
    if amount is None or not math.isfinite(amount):
        return _UNKNOWN
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if float(f"{abs(amount):.3g}") >= size:
            return f"{float(f'{amount / size:.3g}'):g} {unit}"
    return f"{float(f'{amount:.3g}'):g}"
