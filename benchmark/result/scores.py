"""Score: what one probe reached on one task, and what the number rests on."""

from __future__ import annotations

from dataclasses import dataclass, field

from earmark.benchmark.io.fields import Interval, MaybeNaN
from earmark.benchmark.readouts import ReadoutScore
from earmark.benchmark.result.linear_fit import LinearFit
from earmark.benchmark.shots import ShotScore


@dataclass
class Score:
    """A metric's value with its spread, its interval, and what it was computed on.

    metric: `accuracy`, `mAP`, `segment_f1_macro`, `segment_f1_micro`, `recall@1` (mean of clip to
        caption and caption to clip) or `WER_inv` = max(0, 1 - WER); a share in 0..1.
    value: mean over the seeds. mAP: mean over folds, whose scores come from different heads and
        cannot be ranked together; the others: over the test items of all folds together.
    per_seed: the value of each seed. spread: their standard deviation (n - 1); null for one seed.
    interval: [low, high] at `confidence`, over sources (protocol: `interval`); null with too few.
    items, sources: how many of each were tested; of events and notes the items are recordings.
    per_split: mean over seeds for each test fold, or for `test`.
    best_epochs: per split, the epoch tested for each seed, counted from 1; null for kNN and for
        logistic regression.
    fits: per split, how logistic regression was fitted (`LinearFit`); null for other probes.
    not_computed: classes that the metric leaves out for want of a positive item (mAP, macro F1).
    also: other measures, mean over the seeds: `note_f1` (with `note_precision`, `note_recall`),
        `WER` and `CER`, `clip_to_caption_recall@1` and so on.
    too_short: transcripts: training clips with fewer frames than their text takes.
    tokens: captions: what their tokens are.
    majority: what a guess scores that has not heard the audio; null in files of before it was kept.
    training_loss, validation: the loss of the training part in each epoch and the metric of the
        validation part after it, means over the heads of all seeds and folds; null for kNN, and in
        files of before these were kept. Of a search over learning rates those of the heads that
        were tested, as long as these trained.
    checkpoints: per split, the epochs, counted from 1, that these two are of; null: each.
    learning_rates: per split, the rate chosen for each seed; null where there was one.
    still_learning: per split, whether each seed's validation metric was still rising in the last
        fifth of the training, see `probe/search.py`; null where no rate was chosen.
    shots: the linear probe's label efficiency, by clips a class (`ShotScore`); null where it was
        not asked for, of kNN, and of tasks whose clips have no classes.
    readouts: the linear probe on each readout that was asked for, and on the best of them by
        validation (`ReadoutScore`), of tasks by frames on windows of them; null where
        none was asked for.
    """

    metric: str
    value: MaybeNaN
    per_seed: list[MaybeNaN]
    spread: float | None
    interval: Interval
    confidence: float
    items: int
    sources: int
    per_split: dict[str, MaybeNaN]
    best_epochs: dict[str, list[int]] | None = None
    not_computed: int = 0
    also: dict[str, MaybeNaN] = field(default_factory=dict)
    training_loss: list[MaybeNaN] | None = None
    validation: list[MaybeNaN] | None = None
    tokens: str | None = None
    too_short: int = 0
    fits: dict[str, LinearFit] | None = None
    checkpoints: dict[str, list[int]] | None = None
    learning_rates: dict[str, list[MaybeNaN]] | None = None
    still_learning: dict[str, list[bool]] | None = None
    majority: float | None = None
    shots: list[ShotScore] | None = None
    readouts: list[ReadoutScore] | None = None
