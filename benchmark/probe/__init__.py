"""Probes: small networks trained on frozen embeddings, all seeds (and folds) together.

heads    parameters of many linear heads, their gradients, Adam
clips    classes from the mean of a clip, in memory
frames   a linear head on every frame, streamed in blocks: events, notes, CTC
ctc      the objective of a transcript
timed    the objective of events and notes; ceiled: the same as X-ARES frames them
adapter  a trained adapter before a frozen language model: transcripts as X-ARES has them
towers   captions and clips in one space
"""

from earmark.benchmark.probe.heads import HeadKey, Training, initial_parameters, split_parameters
from earmark.benchmark.probe.linear_xares import ProbeResult, ProbeTraining, train_heads

__all__ = [
    "HeadKey", "ProbeResult", "ProbeTraining", "Training", "initial_parameters",
    "split_parameters", "train_heads",
]  # fmt: skip
