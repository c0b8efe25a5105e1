"""SemantiCodec (arXiv 2405.00233), through the code of its own repository.

    git clone https://github.com/haoheliu/SemantiCodec-inference ../SemantiCodec
    git -C ../SemantiCodec checkout ee06bc640fc4423440fef1a284c3092020210395
    pip install vector-quantize-pytorch einops timm
    EARMARK_RUN_THEIR_CODE=1 SEMANTICODEC=../SemantiCodec python run_bench.py \\
        --encoder encoders/examples/semanticodec.py:SemantiCodecTokens ...

An encoder only: its decoder is a diffusion model that draws at random. Never run on its released
weights by those who wrote this file; written from the code at that commit.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.encoder import AudioEncoder, Frames
from earmark.encoders.examples.consent import checked_out, need_consent

CODE = "https://github.com/haoheliu/SemantiCodec-inference"
COMMIT = "ee06bc640fc4423440fef1a284c3092020210395"
BANDS = 8  # tokens a column of 0.16 s
COLUMN = 2560  # samples
PIECE_COLUMNS = 64  # what its encoder sees at once: 10.24 s


class SemantiCodecTokens(AudioEncoder):
    """What its two tokens a patch stand for: acoustic, then semantic, 768 each.

    At 100 tokens a second a column of 0.16 s has a token for each of 8 frequency bands: a frame is
    their mean. Clips go through on their own; a piece that they do not fill is filled with zeros.

    code: the clone; without it, the environment variable SEMANTICODEC. vocabulary: of the semantic
    tokens and the acoustic ones together, 4096 to 32768.
    """

    name = "semanticodec"
    sample_rate = 16_000
    embedding_dim = 2 * 768
    frame_rate = sample_rate / COLUMN

    def __init__(self, code: str | Path | None = None, vocabulary: int = 16_384) -> None:
        super().__init__()
        need_consent(self.name, CODE, COMMIT)
        folder = checked_out(self.name, code, "SEMANTICODEC", CODE, COMMIT)
        theirs: Any = importlib.import_module("semanticodec")
        codec = theirs.SemantiCodec(
            token_rate=100, semantic_vocab_size=vocabulary, cache_path=str(folder / "pretrained")
        )
        self.encoder = codec.encoder.cpu()  # it goes to a GPU by itself; the decoder is let go
        self.config = {"commit": COMMIT, "vocabulary": vocabulary}
        # at its first use it would move its table of semantic tokens, once and for all
        self.encoder.device = "cpu"
        utils: Any = importlib.import_module("semanticodec.utils")
        self._spectrogram = utils.extract_kaldi_fbank_feature

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        rows = [
            self._frames(clip[:length])
            for clip, length in zip(waveforms, lengths.tolist(), strict=True)
        ]
        counts = torch.tensor([len(row) for row in rows], device=lengths.device)
        return Frames(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), counts)

    def _frames(self, clip: torch.Tensor) -> torch.Tensor:
        """(n,) samples -> (columns, 1536)."""
        columns = -(-len(clip) // COLUMN)
        pieces = -(-columns // PIECE_COLUMNS)
        whole = pieces * PIECE_COLUMNS * COLUMN
        audio = torch.nn.functional.pad(clip, (0, whole - len(clip)))
        mel = self._spectrogram(audio[None].cpu(), self.sample_rate, target_length=1024 * pieces)
        self.encoder.centroid_npy = self.encoder.centroid_npy.to(clip.device)
        tokens = self.encoder(mel["ta_kaldi_fbank"][None].to(clip.device))
        values = self.encoder.token_to_quantized_feature(tokens)
        grid: torch.Tensor = values[0].unflatten(0, (-1, BANDS))
        return grid.mean(1)[:columns]
