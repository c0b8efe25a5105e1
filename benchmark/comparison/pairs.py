"""Which cells of two encoders may be compared, and why others may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from earmark.benchmark.io.progress import ProgressFactory
from earmark.benchmark.result.groups import identity_of, title_of, variant_of
from earmark.benchmark.result.schema import DONE, FAILED, NOT_APPLICABLE, ResultError, RunResult
from earmark.benchmark.uncertainty.cache import Values
from earmark.benchmark.uncertainty.pairing import UnpairedError
from earmark.benchmark.uncertainty.values import common_values, values_of
from earmark.tasks import DOMAINS


class LeftOut(NamedTuple):
    """A task that either encoder has and that could not be compared."""

    task: str
    reason: str


class Side(NamedTuple):
    """One encoder's results of a group: by task and data set; and why tasks failed.

    elsewhere: where else it has a task, of results that cannot stand beside these. inapplicable:
    why tasks do not apply to it.
    """

    column: str
    done: dict[tuple[str, str], RunResult]
    failed: dict[str, str]
    elsewhere: dict[str, str]
    inapplicable: Mapping[str, str] = MappingProxyType({})


class EncoderPair(NamedTuple):
    """A task that both have: a result, the values and the items that the other lost, of each."""

    title: str
    results: tuple[RunResult, RunResult]
    values: tuple[Values, Values]
    beyond: tuple[int, int]


def side_of(
    results: Iterable[RunResult],
    identity: tuple[str, str],
    column: str,
    elsewhere: dict[str, str] | None = None,
) -> Side:
    """One encoder's side of some results. identity: its name and fingerprint. elsewhere: by task,
    what it is under that these are not."""
    own = [result for result in results if identity_of(result) == identity]
    failed = {r.task.name: str(r.error) for r in own if r.status == FAILED}
    inapplicable = {r.task.name: str(r.error) for r in own if r.status == NOT_APPLICABLE}
    done = {
        (r.task.name, variant_of(r)): r
        for r in own
        # the latest attempt failed: an earlier success does not stand for it
        if r.status == DONE and r.task.name not in failed
    }
    return Side(column, done, failed, elsewhere or {}, inapplicable)


def pairs_of(
    sides: tuple[Side, Side], cache: Path, track: ProgressFactory
) -> tuple[list[EncoderPair], list[LeftOut]]:
    """Tasks that both have, on the same data; and those that either has, with what is amiss."""
    pairs: list[EncoderPair] = []
    left_out: dict[LeftOut, None] = {}
    for key in sorted({*sides[0].done, *sides[1].done}):
        results = [side.done.get(key) for side in sides]
        if results[0] is None or results[1] is None:
            left_out[LeftOut(key[0], _why_alone(key, sides))] = None
            continue
        several = sum(name == key[0] for name, _ in {*sides[0].done, *sides[1].done}) > 1
        title = title_of(results[0]) + (f" [{key[1]}]" if several else "")
        try:
            pairs.append(_pair(title, (results[0], results[1]), cache, track))
        except (UnpairedError, ResultError) as error:
            left_out[LeftOut(key[0], str(error))] = None
    done = {name for side in sides for name, _ in side.done}
    for side, other in (sides, sides[::-1]):
        for name, reason in side.failed.items():
            if name not in done:  # else it is said above
                whose = "both" if name in other.failed else side.column
                left_out[LeftOut(name, f"failed for {whose}: {reason}")] = None
        for name, reason in side.inapplicable.items():
            if name not in done:
                whose = "both" if name in other.inapplicable else side.column
                left_out[LeftOut(name, f"not applicable to {whose}: {reason}")] = None
    pairs.sort(key=lambda p: (DOMAINS.index(p.results[0].task.domain), p.title.lower()))
    return pairs, sorted(left_out)


def _pair(
    title: str, results: tuple[RunResult, RunResult], cache: Path, track: ProgressFactory
) -> EncoderPair:
    """Raises UnpairedError and ResultError."""
    first, second = values_of(results, cache, track)
    for found in (first, second):
        if isinstance(found, str):
            raise UnpairedError(found)
    assert isinstance(first, Values)
    assert isinstance(second, Values)
    if first.items == second.items:
        return EncoderPair(title, results, (first, second), (0, 0))
    one, other, only_first, only_second = common_values(*results, cache)
    return EncoderPair(title, results, (one, other), (only_first, only_second))


def _why_alone(key: tuple[str, str], sides: tuple[Side, Side]) -> str:
    """Why a task that one encoder has, on some data, cannot be compared."""
    has, lacks = sides if key in sides[0].done else sides[::-1]
    name = key[0]
    if name in lacks.inapplicable:
        return f"not applicable to {lacks.column}: {lacks.inapplicable[name]}"
    if name in lacks.failed:
        return f"failed for {lacks.column}: {lacks.failed[name]}"
    theirs = [result for (task, _), result in lacks.done.items() if task == name]
    if not theirs:
        other = lacks.elsewhere.get(name)
        return f"{lacks.column} has no result" + (f" but that of {other}" if other else "")
    mine = has.done[key]
    both = f"{sides[0].column} and {sides[1].column} were scored"
    if all(_shards(mine) != _shards(other) for other in theirs):
        return f"{both} on different data"
    if all(mine.task.digest != other.task.digest for other in theirs):
        return f"{both} by different declarations"
    return f"{both} with different tokens or declarations"


def _shards(result: RunResult) -> list[tuple[str, str]]:
    return sorted((shard.split, shard.sha256) for shard in result.data.shards)
