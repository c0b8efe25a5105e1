"""Scores of transcripts: word error rate of a CTC probe, or of a frozen language model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.metric import character_edits
from earmark.benchmark.metric.speech_recognition import edit_counts
from earmark.benchmark.probe import Training
from earmark.benchmark.probe.adapter import train_adapters
from earmark.benchmark.probe.ctc import CTCObjective
from earmark.benchmark.probe.frames import FrameResult, train_on_frames
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.language_model import load_language_model
from earmark.benchmark.probe.search import Chosen
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.result.schema import Predictions, Score
from earmark.benchmark.score.scored import (
    Scored,
    ScoreInputs,
    counted_score,
    predictions_of,
    tell_training,
    training_of,
)


def score_transcripts(inputs: ScoreInputs) -> Scored:
    """Train and test what spells on the frames of a split."""
    return _scored(inputs, _trained(inputs))


def train_on_texts(inputs: ScoreInputs) -> list[FrameResult]:
    """What a CTC head is tested by; of the one split that there is."""
    chosen = _trained(inputs).chosen
    assert isinstance(chosen, FrameResult)  # of CTC
    return [chosen]


def score_of_texts(inputs: ScoreInputs, trained: list[FrameResult]) -> Score:
    """The score of what was trained, perhaps on other frames of the clips."""
    return counted_score(_predictions(inputs, trained[0].predicted), "linear", inputs)


def _trained(inputs: ScoreInputs) -> _Spelt:
    items, protocol = inputs.items, inputs.protocol
    (split,) = inputs.splits  # no folds: the task file's reader sees to it
    training = training_of(inputs.spec, protocol, inputs.device)
    texts = [text for (text,) in items.annotations]
    with inputs.track("training probes", training.epochs, "steps") as bar:
        spell = _by_ctc if protocol.transcripts == "ctc" else _by_language_model
        return spell(items, texts, split, protocol, training, inputs.frame_rate, bar.to)


def _predictions(inputs: ScoreInputs, predicted: list[list[str]]) -> Predictions:
    texts = [text for (text,) in inputs.items.annotations]
    return predictions_of(
        inputs.items, inputs.splits, labels=np.array([texts[i] for i in inputs.splits[0].test]),
        linear=np.array(predicted),
    )  # fmt: skip


def _scored(inputs: ScoreInputs, trained: _Spelt) -> Scored:
    predictions = _predictions(inputs, trained.predicted)
    score = counted_score(predictions, "linear", inputs)
    tell_training(score, inputs.splits, [trained.chosen], trained.training)
    score.also = {
        "WER": _error_rate(edit_counts(predictions)),
        "CER": _error_rate(edit_counts(predictions, edits=character_edits)),
    }
    score.too_short, score.tokens = trained.too_short, trained.tokens
    return Scored({"linear": score}, predictions)


class _Spelt(NamedTuple):
    """predicted: for each test clip, each seed's text; too_short and tokens as `Score` has them."""

    chosen: Chosen
    training: Training
    predicted: list[list[str]]
    too_short: int
    tokens: str | None


def _by_ctc(
    items: Items,
    texts: list[str],
    split: Split,
    protocol: Protocol,
    training: Training,
    frame_rate: float,
    on_progress: Callable[[int, int], None],
) -> _Spelt:
    objective = CTCObjective(texts, [len(frames) for frames in items.frames], frame_rate)
    seeds = range(protocol.seeds)
    trained = train_on_frames(items.frames, split, seeds, training, objective, on_progress)
    too_short = sum(not objective.fits(clip) for clip in split.train.tolist())
    return _Spelt(trained, training, trained.predicted, too_short, None)


def _by_language_model(
    items: Items,
    texts: list[str],
    split: Split,
    protocol: Protocol,
    training: Training,
    frame_rate: float,
    on_progress: Callable[[int, int], None],
) -> _Spelt:
    model = load_language_model(protocol.language_model, training.device)
    seeds = range(protocol.seeds)
    trained = train_adapters(items.frames, texts, split, seeds, training, model, on_progress)
    tokens = f"those of the language model {protocol.language_model}"
    return _Spelt(trained, replace(training, rates=()), trained.predicted, 0, tokens)


def _error_rate(counts: NDArray[np.float64]) -> float:
    """Mean over the seeds of errors / length: (N, S, 2)."""
    sums = counts.sum(axis=0)
    return float((sums[:, 0] / sums[:, 1]).mean())
