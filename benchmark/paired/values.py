"""A cell's bootstrap values: its score, and its score in every resample of the sources.

Which sources are drawn depends on the data alone, so two cells on the same items are paired,
resample by resample, though each was computed by itself. Only where one of them lost clips are
both computed again, on the items that they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.paired.items import UnpairedError, fingerprint, pair
from benchmark.paired.kept import Values, keep, kept, key_of
from benchmark.paired.resample import bootstrap, draws_of
from benchmark.paired.statistic import Statistic, statistic_of
from benchmark.progress import Track, silent
from benchmark.result import (
    Predictions,
    ResultError,
    RunResult,
    predictions_bytes,
    read_predictions,
)

RESAMPLES = 10_000
RESAMPLES_OF_MAP = 2_000  # each takes as long as a hundred of the others
_SAME = 1e-6  # a score and what its predictions give may differ by rounding


def values_of(
    results: Sequence[RunResult], cache: Path, track: Track = silent
) -> list[Values | str]:
    """Values of each of several cells of one task and data set; or, in a line, why there are none.

    cache: folder in which values are kept. track: what shows the progress.
    """
    found: dict[int, Values | str] = {}
    missing: list[int] = []
    for place, result in enumerate(results):
        try:
            predictions_bytes(result)  # what is kept does not stand for altered ones
        except ResultError as error:
            found[place] = str(error)
            continue
        known = kept(cache, key_of([result], _resamples(result)))
        if known is None:
            missing.append(place)
        else:
            found[place] = known
    # mAP keeps all logits in memory: one cell at a time. The others share the draws.
    apart = any(_resamples(results[place]) == RESAMPLES_OF_MAP for place in missing)
    for places in [[place] for place in missing] if apart else [missing]:
        jobs: dict[int, _Job] = {}
        for place in places:
            try:
                jobs[place] = _job(results[place], read_predictions(results[place]))
            except (ResultError, UnpairedError) as error:
                found[place] = str(error)
        for place, values in zip(jobs, _resample(list(jobs.values()), track), strict=True):
            fault = _fault(values, results[place])
            found[place] = fault or values
            if not fault:
                keep(cache, key_of([results[place]], _resamples(results[place])), values)
    return [found[place] for place in range(len(results))]


def common_values(
    first: RunResult, second: RunResult, cache: Path, track: Track = silent
) -> tuple[Values, Values, int, int]:
    """Values of two cells on the items that they share, and how many items each has beyond.

    Raises UnpairedError or ResultError, in a line.
    """
    one, other = read_predictions(first), read_predictions(second)
    pairing = pair(one, other)
    keys = [key_of([*order], _resamples(first)) for order in ((first, second), (second, first))]
    mine, theirs = (kept(cache, key) for key in keys)
    if mine is None or theirs is None:
        jobs = [_job(first, one, pairing.first), _job(second, other, pairing.second)]
        mine, theirs = _resample(jobs, track)
        for key, values in zip(keys, (mine, theirs), strict=True):
            keep(cache, key, values)
    return mine, theirs, pairing.only_first, pairing.only_second


def _resamples(result: RunResult) -> int:
    ranked = any(score.metric == "mAP" for score in result.scores.values())
    return RESAMPLES_OF_MAP if ranked else RESAMPLES


@dataclass(frozen=True)
class _Job:
    """What is to be resampled. items: fingerprint of the items. sources: of each of them."""

    result: RunResult
    items: str
    sources: NDArray[np.str_]
    statistics: dict[str, Statistic]


def _job(
    result: RunResult, predictions: Predictions, rows: NDArray[np.int64] | None = None
) -> _Job:
    """rows: the items that count; all where None."""
    return _Job(
        result,
        fingerprint(predictions) if rows is None else "common",
        predictions.sources if rows is None else predictions.sources[rows],
        {probe: statistic_of(result, probe, predictions, rows) for probe in result.scores},
    )


def _resample(jobs: Sequence[_Job], track: Track) -> list[Values]:
    """Values of jobs of one task and data set; those on the same items from the same draws."""
    made: dict[int, Values] = {}
    for items in dict.fromkeys(job.items for job in jobs):
        mine = [place for place, job in enumerate(jobs) if job.items == items]
        first = jobs[mine[0]]
        shards = [shard["sha256"] for shard in first.result.data["shards"]]
        draws = draws_of(first.sources.tolist(), shards, _resamples(first.result))
        what = f"{first.result.task['name']}: bootstrap over {draws.sources} sources"
        with track(what, draws.resamples, "resamples") as bar:
            statistics = [one for place in mine for one in jobs[place].statistics.values()]
            rows = iter(bootstrap(statistics, draws, bar.to))
        for place in mine:
            by_probe = {probe: next(rows) for probe in jobs[place].statistics}
            made[place] = Values(items, len(jobs[place].sources), draws.sources, by_probe)
    return [made[place] for place in range(len(jobs))]


def _fault(values: Values, result: RunResult) -> str:
    """In a line, where a result's score is not what its predictions give."""
    for probe, score in result.scores.items():
        found = float(values.by_probe[probe][0])
        if not np.isclose(found, score.value, rtol=0, atol=_SAME, equal_nan=True):
            return (
                f"{result.path}: its {probe} score is {score.value:.6f}, but its predictions "
                f"give {found:.6f}; run the task again"
            )
    return ""
