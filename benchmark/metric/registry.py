"""Which metrics there are, each as one object that score, interval and paired test share.

Every metric is a share in 0..1, of which higher is better: intervals, best cells and means over
tasks rest on that. Which kinds of label it fits is stated by these (`tasks/kinds.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.metric.classification import correct_counts, most_common, prevalence, share
from earmark.benchmark.metric.retrieval import mean_recall, random_recall, top_rank_counts
from earmark.benchmark.metric.sound_events import constant_guess, f1_of_counts, segment_item_counts
from earmark.benchmark.metric.speech_recognition import edit_counts, share_right
from earmark.benchmark.result.schema import Predictions


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric of the ranks of all items together, such as mAP; others are `CountMetric`s.

    Attributes:
        name: in task files, results and tables.
        short: the name where tables must be narrow; empty: the name itself.
        average: `macro` or `micro`, where there are several classes.
        chance: what a guess scores that has not heard the audio, where no constant prediction
            scores that: (predictions, absent_classes) -> share. What was tested is in the
            predictions; what was predicted is not looked at.
    """

    name: str
    short: str = ""
    average: str = ""
    chance: Callable[[Predictions, str], float] | None = None


@dataclass(frozen=True, kw_only=True)
class CountMetric(Metric):
    """A metric that is a function of sums over the items.

    Attributes:
        counts: what each item adds to the sums: (predictions, probe, number of classes or None)
            -> (N, S, ...), N items, S seeds. An error where the predictions are of another metric.
        value: the metric of sums: ((..., S, ...), absent_classes) -> (..., S). NaN where it cannot
            be computed.
        constant: the best that can be predicted of every item or segment without hearing it: (in
            how many of training each class is (C,), how many these are) -> (C,) bool.
        linear: whether the mean over the seeds is the metric of their mean counts.
    """

    counts: Callable[[Predictions, str, int | None], NDArray[np.float64]]
    value: Callable[[NDArray[Any], str], NDArray[np.float64]]
    constant: Callable[[NDArray[np.int64], int], NDArray[np.bool_]] | None = None
    linear: bool = False


def _segment_f1(average: str) -> CountMetric:
    return CountMetric(
        name=f"segment_f1_{average}",
        short=f"seg-F1 {average}",
        average=average,
        counts=partial(segment_item_counts, average=average),
        value=lambda sums, absent: f1_of_counts(sums, average, absent),
        constant=partial(constant_guess, average=average),
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        CountMetric(
            name="accuracy",
            counts=correct_counts,
            value=lambda sums, _: share(sums),
            constant=most_common,
            linear=True,
        ),
        Metric(name="mAP", average="macro", chance=prevalence),
        _segment_f1("macro"),
        _segment_f1("micro"),
        CountMetric(
            name="recall@1",
            counts=top_rank_counts,
            value=lambda sums, _: mean_recall(sums),
            chance=lambda tested, _: random_recall(tested),
        ),
        CountMetric(
            name="WER_inv",
            counts=edit_counts,
            value=lambda sums, _: share_right(sums),
            chance=lambda *_: 0.0,  # of nothing said all words are wrong
        ),
    )
}
