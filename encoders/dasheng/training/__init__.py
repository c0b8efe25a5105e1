"""Training DashengTokenizer: a semantic encoder, then acoustic injection on it.

    config = read_training(Path("injection.yaml"))
    train(config, corpus, Path("out"), semantic=Path("semantic"))

Follow a batch: `corpus` -> `stages` -> `masked` or `injection` -> `losses` -> `optimization`; the
`loop` runs it, `state` and `history` keep it.
"""

from earmark.encoders.dasheng.training.config import (
    InjectionTraining,
    SemanticTraining,
    TrainingError,
    read_training,
)
from earmark.encoders.dasheng.training.corpus import Corpus
from earmark.encoders.dasheng.training.loop import Trained, train

__all__ = [
    "Corpus", "InjectionTraining", "SemanticTraining", "Trained", "TrainingError", "read_training",
    "train",
]  # fmt: skip
