"""SPEAR XLarge (arXiv 2510.25955), through the code in its own repository on the hub.

    EARMARK_RUN_THEIR_CODE=1 python run_bench.py --encoder encoders/examples/spear.py:Spear ...

Its Zipformer is some 3000 lines that are neither in transformers nor here. Never run on its
released weights by those who wrote this file; the interface is that of `usage.py` in the
repositories of its family. The commit is second-hand: it was not looked up at the hub.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from earmark.encoders.encoder import AudioEncoder, Frames
from earmark.encoders.examples.consent import need_consent

REPOSITORY = "marcoyang/spear-xlarge-speech-audio-v2"
COMMIT = "c7cdaa4a95de55e3739edd2a14ce4f48c8a5d2cf"


class Spear(AudioEncoder):
    """Frames of 20 ms from the last stack.

    Its code drops frames at the end of what is padded, so clips of one length only share a batch.
    """

    name = "spear-xlarge"
    sample_rate = 16_000
    embedding_dim = 1280
    frame_rate = 50.0
    libraries: ClassVar[tuple[str, ...]] = ("transformers", "torchaudio")

    def __init__(self) -> None:
        super().__init__()
        need_consent(self.name, REPOSITORY, COMMIT)
        from transformers import AutoModel

        self.model = AutoModel.from_pretrained(
            REPOSITORY, revision=COMMIT, code_revision=COMMIT, trust_remote_code=True
        )

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        found = self.model(waveforms, lengths)
        return Frames(found["encoder_out"], found["encoder_out_lens"].to(lengths))
