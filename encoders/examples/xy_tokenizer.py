"""XY-Tokenizer (arXiv 2506.23325), through the code of its own repository.

    git clone https://github.com/gyt1145028706/XY-Tokenizer ../XY-Tokenizer
    git -C ../XY-Tokenizer checkout fd6874ee75b4020a6bb7f17184c90cfb9cf65d87
    (its README says how to fetch weights/xy_tokenizer.ckpt)
    EARMARK_RUN_THEIR_CODE=1 XY_TOKENIZER=../XY-Tokenizer python run_bench.py reconstruct \\
        --encoder encoders/examples/xy_tokenizer.py:XYTokenizer ...

Never run on its released weights by those who wrote this file; written from the code at that
commit. The published values of its peers' tables may be of its other release, XY-Tokenizer-TTSD-V0.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.baselines.pieces import Outputs, cut, join_pieces
from earmark.encoders.encoder import Codec, Frames
from earmark.encoders.examples.consent import checked_out, need_consent

CODE = "https://github.com/gyt1145028706/XY-Tokenizer"
COMMIT = "fd6874ee75b4020a6bb7f17184c90cfb9cf65d87"
FRAME = 1280  # samples: 80 ms
PIECE_FRAMES = 375  # 30 s, the most that it takes


class XYTokenizer(Codec):
    """What all 8 codebooks together make of a clip, and back.

    Clips go through on their own, those longer than 30 s in pieces of 30 s. (Its own code takes
    30 s at a time too, and keeps the first 20 s of each.)

    code: the clone, with weights/xy_tokenizer.ckpt in it; without it, the environment variable
    XY_TOKENIZER.
    """

    name = "xy-tokenizer"
    sample_rate = 16_000
    embedding_dim = 3072
    frame_rate = sample_rate / FRAME

    def __init__(self, code: str | Path | None = None) -> None:
        super().__init__()
        need_consent(self.name, CODE, COMMIT)
        folder = checked_out(self.name, code, "XY_TOKENIZER", CODE, COMMIT)
        theirs: Any = importlib.import_module("xy_tokenizer.model")
        self.codec = theirs.XY_Tokenizer.load_from_checkpoint(
            config_path=str(folder / "config" / "xy_tokenizer_config.yaml"),
            ckpt_path=str(folder / "weights" / "xy_tokenizer.ckpt"),
        )
        self.config = {"commit": COMMIT}

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        owners, found = [], []
        for owner, (clip, length) in enumerate(zip(waveforms, lengths.tolist(), strict=True)):
            for start, stop in cut(length, PIECE_FRAMES * FRAME):
                owners.append(owner)
                found.append(self._encoded(clip[start:stop]))
        return join_pieces(owners, found, ("",))[""]

    def _encoded(self, piece: torch.Tensor) -> Outputs:
        """(n,) samples, filled up to whole frames with zeros -> (frames, 3072)."""
        frames = -(-len(piece) // FRAME)
        audio = torch.nn.functional.pad(piece, (0, frames * FRAME - len(piece)))
        count = torch.tensor([len(audio)], device=audio.device)
        values = self.codec.inference_tokenize(audio[None, None], count)["zq"]
        return {"": values[0, :, :frames].T}

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        owners, found = [], []
        lengths = frames.lengths.tolist()
        for owner, (values, length) in enumerate(zip(frames.values, lengths, strict=True)):
            for start, stop in cut(length, PIECE_FRAMES):
                owners.append(owner)
                found.append(self._decoded(values[start:stop]))
        audio = join_pieces(owners, found, ("",))[""]
        return audio.values, audio.lengths

    def _decoded(self, values: torch.Tensor) -> Outputs:
        """(frames, 3072) -> (n,) samples: what its own detokeniser does with the codes' values."""
        codec, count = self.codec, torch.tensor([len(values)], device=values.device)
        mixed, count = codec.post_rvq_adapter(values.float().T[None], count)
        mixed, count = codec.upsample(mixed, count)
        mixed, count = codec.acoustic_decoder(mixed, count)
        audio, _ = codec.vocos(mixed, count)
        return {"": audio[0, 0, : len(values) * FRAME]}
