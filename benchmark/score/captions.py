"""Scores of captions: retrieval from clips to captions and back."""

from __future__ import annotations

import numpy as np

from earmark.benchmark.metric import average_precision_at, first_rank
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.probe.tokens import tokenise
from earmark.benchmark.probe.two_towers import Captions, relevance, train_towers
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.score.scored import (
    Scored,
    ScoreInputs,
    counted_score,
    predictions_of,
    tell_training,
    training_of,
)

_CUTS = (1, 5, 10)
_AP_CUT = 10


def score_captions(inputs: ScoreInputs) -> Scored:
    """Train and test two towers on a split's clips and captions."""
    items, splits, protocol = inputs.items, inputs.splits, inputs.protocol
    (split,) = splits  # no folds: the task file's reader sees to it
    captions, tokens = _captions(items, split, protocol)
    training = training_of(inputs.spec, protocol, inputs.device)
    with inputs.track("training probes", training.epochs * protocol.seeds, "epochs") as bar:
        seeds = range(protocol.seeds)
        trained = train_towers(
            items.embeddings, captions, split, seeds, training, bar.to,
            unit_length=protocol.caption_training == "unit length", width=protocol.tower_width,
        )  # fmt: skip
    relevant = relevance(captions, split.test)
    clip_ranks = np.stack([first_rank(one, relevant) for one in trained.similarities], axis=1)
    text_ranks = np.stack([first_rank(one.T, relevant.T) for one in trained.similarities], axis=1)
    owners = np.argmax(relevant, axis=0)
    predictions = predictions_of(
        items, splits, labels=owners, linear=clip_ranks, caption_ranks=text_ranks
    )
    score = counted_score(predictions, "linear", inputs)
    tell_training(score, splits, [trained], training)
    for way, ranks, turned in (
        ("clip_to_caption", clip_ranks, False),
        ("caption_to_clip", text_ranks, True),
    ):
        score.also |= {f"{way}_recall@{k}": float((ranks < k).mean()) for k in _CUTS}
        precisions = [
            average_precision_at(one.T, relevant.T, _AP_CUT)
            if turned
            else average_precision_at(one, relevant, _AP_CUT)
            for one in trained.similarities
        ]
        score.also[f"{way}_mAP@{_AP_CUT}"] = float(np.mean(precisions))
    score.tokens = tokens
    return Scored({"linear": score}, predictions)


def _captions(items: Items, split: Split, protocol: Protocol) -> tuple[Captions, str]:
    """All captions as tokens, and which tokens these are."""
    texts = [text for own in items.annotations for text in own]
    clips = np.repeat(np.arange(len(items)), [len(own) for own in items.annotations])
    made = tokenise(texts, np.isin(clips, split.train).tolist(), protocol.caption_tokens)
    return Captions(clips, made.lists, made.vocabulary), made.kind
