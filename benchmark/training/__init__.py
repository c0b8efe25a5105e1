"""Audio for training an encoder: from shards, files or recipes to one corpus at 16 kHz."""

from earmark.benchmark.training.corpus import make_corpus
from earmark.benchmark.training.synthetic import TRAINING_SEED, training_clips

__all__ = ["TRAINING_SEED", "make_corpus", "training_clips"]
