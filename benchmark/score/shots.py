"""Label efficiency: the linear probe on nested subsets of k clips a class, ten draws.

For each draw the strength is chosen on a fifth of the subset itself, never on the task's validation
split: few labels means few in all. Then it is fitted again to the whole subset, and tested as the
cell is. Where nothing can be held out (one clip a class) it is `WITHOUT_VALIDATION`. Measured on
spoken digits and ESC-10 with `logmel` and `dasheng-tiny`, whether a quarter or an eighth of 8 clips
a class is held out makes no difference (accuracy 0.631 and 0.632). The grid of strengths is 10^0.5
to 10^-3.5, where almost all draws choose theirs, and goes on at an end only where the best is
there: the weak end takes most of the time.

**Interval**: of the mean over draws, by the method of the cells (`jackknife.py`), about the
sum of two variances: that of the jackknife over the sources tested, draws held as they are, and
that of the mean of the draws, s^2 / 10, sources held as they are. What both share (a source that is
hard for one draw alone) is in each, so the sum errs to the wide side. Degrees of freedom by Welch
and Satterthwaite. It does not cover that another training part might have been collected: draws are
from this one, and where k is most of it they differ little.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.metric import mean_average_precision
from earmark.benchmark.metric.folds import by_fold, mean_of_known
from earmark.benchmark.metric.registry import METRICS, CountMetric
from earmark.benchmark.probe.heads import threads_worth
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.linear import LinearModel, clip_means, first_of_clips, fit_linear
from earmark.benchmark.probe.logistic import STRENGTHS
from earmark.benchmark.probe.splits import Split, make_splits
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.result.scores import Score
from earmark.benchmark.score.draws import Draw, Subset
from earmark.benchmark.score.scored import predictions_of, tested_items
from earmark.benchmark.shots import ALL, DRAWS, Shots, ShotScore, order
from earmark.benchmark.uncertainty.jackknife import Spread, combined, share_bounds, spread_of
from earmark.benchmark.uncertainty.leave_out import (
    mean_average_precision_without_each,
    sums_without_each,
)
from earmark.tasks import TaskSpec

GRID = STRENGTHS[1:10]  # 10^0.5 to 10^-3.5
Floats = NDArray[np.float64]


def add_shots(
    score: Score,
    items: Items,
    spec: TaskSpec,
    protocol: Protocol,
    asked: tuple[Shots, ...],
    *,
    device: str = "cpu",
    track: ProgressFactory = no_progress,
) -> None:
    """Compute what is asked for and a linear probe's score does not hold yet; the rest stays.

    Args:
        score: of the linear probe; `score.shots` is extended.
        items: what it was computed from.
        spec: their task; its clips have classes.
        protocol: with logistic regression as its probe.
        asked: numbers of clips a class, `all`.
        device: `cpu` or `cuda`.
        track: what shows the progress.
    """
    splits = make_splits(items, spec, protocol)
    known = {one.shots: one for one in score.shots or ()}
    lacking = [one for one in asked if one not in known]
    numbers = [one for one in lacking if isinstance(one, int)]
    probed = _Probed(items, splits, spec, protocol, device)
    jobs = [(number, split) for number in range(DRAWS if numbers else 0) for split in splits]

    def take(job: tuple[int, Split]) -> None:
        probed.take(job[0], job[1], numbers)

    with (
        track("label efficiency", len(jobs), "draws") as bar,
        _workers(probed.most_multiplications, device) as pool,
    ):
        for done, _ in enumerate(pool.map(take, jobs), 1):
            bar.to(done, len(jobs))
    for shots in numbers:
        known[shots] = probed.score(shots, score.confidence)
    if ALL in lacking:
        known[ALL] = _of_all(score, items, splits, spec)
    score.shots = sorted(known.values(), key=lambda one: order(one.shots))


@contextmanager
def _workers(multiplications: int, device: str) -> Iterator[ThreadPoolExecutor]:
    """Threads that fit one small probe each; of large ones a single one, which has all cores."""
    threads = torch.get_num_threads()
    with threads_worth(multiplications):
        alone = device != "cpu" or torch.get_num_threads() > 1
        with ThreadPoolExecutor(1 if alone else threads) as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


class _Tried(NamedTuple):
    """What came of one subset. predicted: (N,) classes, or (N, C) scores."""

    subset: Subset
    predicted: NDArray[Any]
    strength: float
    converged: bool


class _Probed:
    """Probes of all draws, and what they predict."""

    def __init__(
        self, items: Items, splits: list[Split], spec: TaskSpec, protocol: Protocol, device: str
    ) -> None:
        self.items, self.splits, self.spec = items, splits, spec
        self.protocol, self.device = protocol, device
        by_clip = protocol.tested == "clips"
        self.clips = items.clips if by_clip else np.arange(len(items))
        self.judged = [
            replace(split, test=split.test[first_of_clips(self.clips[split.test])])
            for split in splits
        ]
        self.tried: dict[tuple[str, int, int], _Tried] = {}
        self.known: dict[tuple[str, bytes], _Tried] = {}

    @property
    def most_multiplications(self) -> int:
        """In one pass over a subset, at most."""
        most = max(len(split.given_train) for split in self.splits)
        return int(most * self.items.embeddings.shape[1] * self.spec.num_classes)

    def take(self, number: int, split: Split, numbers: list[int]) -> None:
        """Draw from a split and fit a probe to each subset."""
        draw = Draw(self.items, split, self.spec.num_classes, number)
        for shots in numbers:
            self.tried[split.name, shots, number] = self._fit(split, draw.subset(shots))

    def _fit(self, split: Split, subset: Subset) -> _Tried:
        """One that was drawn before, as where all classes give all, is known."""
        place = (split.name, subset.train.tobytes() + b"/" + subset.valid.tobytes())
        if place in self.known:
            return self.known[place]._replace(subset=subset)
        model, fit = fit_linear(
            self.items.embeddings, self.items.labels, train=subset.train, valid=subset.valid,
            every=subset.every if len(subset.valid) else None, classes=self.spec.num_classes,
            clips=self.clips, device=self.device, strengths=GRID,
        )  # fmt: skip
        tried = _Tried(subset, self._predict(model, split), fit.strength, fit.converged)
        self.known[place] = tried
        return tried

    def _predict(self, model: LinearModel, split: Split) -> NDArray[Any]:
        found = model.scores(self.items.embeddings[split.test])
        means = clip_means(found, self.clips[split.test])
        return means if self.spec.kind.several else means.argmax(axis=1)

    def score(self, shots: int, confidence: float) -> ShotScore:
        """Of all draws of k clips a class."""
        tried = {
            split.name: [self.tried[split.name, shots, number] for number in range(DRAWS)]
            for split in self.splits
        }
        subsets = [one.subset for part in tried.values() for one in part]
        stacked = [np.stack([one.predicted for one in part]) for part in tried.values()]
        sources = self.items.sources[tested_items(self.judged)]
        _, numbers, sizes = np.unique(sources, return_inverse=True, return_counts=True)
        counted = isinstance(METRICS[self.spec.metric], CountMetric)
        measure = self._counted if counted else self._ranked
        per_draw, values = measure(stacked, numbers.reshape(-1))
        spread = float(np.std(per_draw, ddof=1))
        digest = hashlib.sha256()
        for subset in subsets:
            digest.update("\n".join([*self.items.keys[subset.clips], ""]).encode())
        return ShotScore(
            shots=shots, value=float(np.mean(per_draw)),
            interval=_interval(values, sizes, spread, confidence),
            per_draw=[float(value) for value in per_draw], spread=spread,
            clips=float(np.mean([len(subset.clips) for subset in subsets])),
            per_class=float(np.mean([_per_class(subset.by_class) for subset in subsets])),
            short=max(subset.short for subset in subsets),
            strengths={name: [one.strength for one in part] for name, part in tried.items()},
            converged=all(one.converged for part in tried.values() for one in part),
            subsets=digest.hexdigest()[:16],
        )  # fmt: skip

    def _counted(
        self, predicted: list[NDArray[Any]], sources: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """The metric of each draw, (R,); the draws' mean with all sources and without each,
        (1 + g,).

        predicted: of each fold (R, N). sources: (N,) of all folds, from 0.
        """
        metric, absent = METRICS[self.spec.metric], self.protocol.absent_classes
        assert isinstance(metric, CountMetric)
        labels = self.items.labels[tested_items(self.judged)]
        linear = np.concatenate([part.T for part in predicted])
        predictions = predictions_of(self.items, self.judged, labels=labels, linear=linear)
        counts = metric.counts(predictions, "linear", self.spec.num_classes)
        apart = self.protocol.fold_score == "folds"
        counts = by_fold(counts, predictions.splits, apart=apart)

        def value(sums: Floats) -> Floats:
            return mean_of_known(metric.value(sums, absent), axis=-2)

        values = sums_without_each(counts, sources, lambda sums: value(sums).mean(axis=-1))
        return value(counts.sum(axis=0)), values

    def _ranked(
        self, scores: list[NDArray[Any]], sources: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """The same of mAP, scores of each fold (R, N, C)."""
        absent = self.protocol.absent_classes
        labels = [np.asarray(self.items.labels[split.test], np.bool_) for split in self.judged]
        folds = list(zip(labels, scores, strict=True))
        each = [[mean_average_precision(own, one, absent) for one in part] for own, part in folds]
        values = mean_average_precision_without_each(folds, sources, absent_classes=absent)
        return np.mean(each, axis=0), values


def _interval(
    values: Floats, sizes: NDArray[np.int64], spread: float, confidence: float
) -> list[float] | None:
    """Of the mean over draws, as above; spread: standard deviation of the draws."""
    of_sources = spread_of(values, sizes)
    if of_sources is None or not np.isfinite(spread):
        return None
    of_draws = Spread(spread**2 / DRAWS, DRAWS - 1)
    both = combined([of_sources, of_draws])
    return list(share_bounds(values, both, int(sizes.sum()), confidence))


def _of_all(score: Score, items: Items, splits: list[Split], spec: TaskSpec) -> ShotScore:
    """The cell's own score, with how much it was trained on."""
    parts = [split.given_train[first_of_clips(items.clips[split.given_train])] for split in splits]
    labels = [items.labels[part] for part in parts]
    several = items.labels.ndim == 2
    counts = [
        own.sum(axis=0) if several else np.bincount(own, minlength=spec.num_classes)
        for own in labels
    ]
    return ShotScore(
        shots=ALL, value=score.value, interval=score.interval,
        clips=float(np.mean([len(part) for part in parts])),
        per_class=float(np.mean([_per_class(own) for own in counts])),
        converged=all(fit.converged for fit in (score.fits or {}).values()),
    )  # fmt: skip


def _per_class(counts: NDArray[np.int64]) -> float:
    """Mean over the classes that occur."""
    return float(counts[counts > 0].mean())
