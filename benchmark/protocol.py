"""Protocols: the named choices between audio and score.

Results of different protocols are never averaged or ranked together.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """One protocol.

    name: what results and tables call it.
    validation_share: part of the training items (0..1) held out for choosing the epoch where the
        data set has no validation split of its own; whole sources, the same for every seed.
    seeds: how often every probe is trained, with seeds 0, 1, ...
    learning_rate_floor: what the cosine over the epochs goes towards, as a share of the rate.
    knn_neighbours, knn_temperature: k, and the temperature of the neighbours' softmax weights.
    bootstrap_resamples, confidence: of the percentile interval over sources.
    failed_share: a task has failed where more than this share of its clips failed.
    """

    name: str
    validation_share: float = 0.1
    seeds: int = 5
    learning_rate_floor: float = 0.1
    knn_neighbours: int = 10
    knn_temperature: float = 0.07
    bootstrap_resamples: int = 1000
    confidence: float = 0.95
    failed_share: float = 0.01


STRICT = Protocol("strict")
