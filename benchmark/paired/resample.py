"""Draws of sources, the same for every encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.paired.statistic import Statistic

_BLOCK = 1 << 20  # weights at once; bounds memory, mAP's to a few hundred megabytes


@dataclass(frozen=True)
class Draws:
    """Resamples of sources, by draws with replacement. sources: how many; seed: which draws."""

    sources: int
    seed: int
    resamples: int

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """How often each source is drawn, some resamples at a time: (at most R, sources).

        More resamples begin with the same ones.
        """
        rng = np.random.default_rng(self.seed)
        size = max(1, _BLOCK // self.sources)
        for start in range(0, self.resamples, size):
            block = np.empty((min(size, self.resamples - start), self.sources), np.float32)
            for row in block:
                drawn = rng.integers(0, self.sources, self.sources)
                row[:] = np.bincount(drawn, minlength=self.sources)
            yield block


def draws_of(sources: Iterable[str], shards: Iterable[str], resamples: int) -> Draws:
    """Draws of the sources of some items. shards: SHA-256 of the data that the sources are in.

    The same sources of the same data are drawn alike, for tasks over them too, whose scores go up
    and down together; others are drawn independently.
    """
    names = sorted(set(sources))
    text = "\n".join([*sorted(set(shards)), "", *names])
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    return Draws(len(names), seed, resamples)


def bootstrap(
    statistics: Sequence[Statistic],
    draws: Draws,
    on_resamples: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Each statistic of the sample itself, then of each resample: (statistics, 1 + resamples).

    All see the same draws. on_resamples(done, total) is called now and then.
    """
    made = [_each(statistics, np.ones((1, draws.sources), np.float32))]
    done = 0
    for weights in draws.blocks():
        made.append(_each(statistics, weights))
        done += len(weights)
        if on_resamples is not None:
            on_resamples(done, draws.resamples)
    return np.concatenate(made, axis=1)


def _each(statistics: Sequence[Statistic], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.stack([statistic(weights) for statistic in statistics])
