"""Scores of transcripts: word error rate of a CTC probe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.interval import additive_interval
from benchmark.items import Items
from benchmark.metric import character_edits, share_right, word_edits
from benchmark.probe.ctc import CTCObjective
from benchmark.probe.frames import train_on_frames
from benchmark.progress import Track
from benchmark.protocol import Protocol
from benchmark.score.parts import Scored, best_epochs, predictions_of, score_of, training_of
from benchmark.score.timed import mean_losses
from benchmark.splits import Split
from tasks import TaskSpec


def score_transcripts(
    items: Items,
    splits: list[Split],
    spec: TaskSpec,
    protocol: Protocol,
    frame_rate: float,
    device: str,
    track: Track,
) -> Scored:
    """Train and test a linear CTC head on the frames of a split."""
    (split,) = splits  # no folds: the task file's reader sees to it
    texts = [text for (text,) in items.annotations]
    objective = CTCObjective(texts, [len(frames) for frames in items.frames], frame_rate)
    training = training_of(spec, protocol, device)
    with track("training probes", training.epochs, "steps") as bar:
        seeds = range(protocol.seeds)
        trained = train_on_frames(items.frames, split, seeds, training, objective, bar.to)
    references = [texts[i] for i in split.test]
    words, letters = (
        np.array(
            [
                [count(reference, text) for text in hypotheses]
                for reference, hypotheses in zip(references, trained.predicted, strict=True)
            ],
            np.float64,
        )
        for count in (word_edits, character_edits)
    )
    per_seed = share_right(words.sum(axis=0))
    interval = additive_interval(
        words,
        items.sources[split.test],
        lambda sums: share_right(sums).mean(axis=1),
        resamples=protocol.bootstrap_resamples,
        confidence=protocol.confidence,
    )
    score = score_of(
        spec.metric, per_seed.tolist(), interval, items, splits, protocol, [per_seed.mean()]
    )
    score.best_epochs = best_epochs(splits, [trained.best_epochs])
    score.training_loss = mean_losses([trained])
    score.also = {"WER": _error_rate(words), "CER": _error_rate(letters)}
    score.too_short = sum(not objective.fits(clip) for clip in split.train.tolist())
    predictions = predictions_of(
        items, splits, labels=np.array(references), linear=np.array(trained.predicted)
    )
    return Scored({"linear": score}, predictions)


def _error_rate(counts: NDArray[np.float64]) -> float:
    """Mean over the seeds of errors / length: (N, S, 2)."""
    sums = counts.sum(axis=0)
    return float((sums[:, 0] / sums[:, 1]).mean())
