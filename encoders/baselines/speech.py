"""wav2vec 2.0, HuBERT, WavLM and data2vec: transformers over a convolutional feature encoder.

Sources: Baevski et al. 2020 (arXiv 2006.11477), Hsu et al. 2021 (2106.07447), Chen et al. 2022
(2110.13900), Baevski et al. 2022 (2202.03555). The checkpoints of wav2vec 2.0 and data2vec are
those of which X-ARES published numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.baselines.checkpoint import (
    Checkpoint,
    check_loaded,
    load_checkpoint,
    shown_name,
)
from earmark.encoders.baselines.layers import LayeredPass, layer_encoders
from earmark.encoders.baselines.pieces import (
    PASS_SECONDS,
    PIECE_SECONDS,
    Outputs,
    cut,
    join_pieces,
    run_equal,
)
from earmark.encoders.encoder import AudioEncoder, Frames

# Parts that checkpoints hold for pre-training (wav2vec 2.0's quantiser and its projections) and for
# the recognition of letters (CTC).
HEADS = ("quantizer.", "project_q.", "project_hid.", "lm_head.")
# Sizes of the models that are published.
_STACK: dict[str, Any] = {
    "conv_dim": [512] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
}  # fmt: skip
_LARGE: dict[str, Any] = _STACK | {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096,
}  # fmt: skip
_BASE: dict[str, Any] = _STACK | {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072,
}  # fmt: skip
VARIANCE_FLOOR = 1e-7  # as transformers' Wav2Vec2FeatureExtractor


class SpeechPass(LayeredPass):
    """One of the four models: a frame of 25 ms every 20 ms at 16 kHz, no padding at the edges.

    Each clip is scaled to zero mean and unit variance where the model was trained so. A clip
    shorter than one frame is filled up with zeros. One longer than 30 s is cut on the grid of its
    frames, so that it has as many frames as the whole; attention stays within a piece.

    Batches of unequal lengths are masked where the model was trained with masks. Where it was not
    (group norm over time in its feature encoder) or where padding leaks into the clip all the same
    (data2vec's five stacked positional convolutions), only clips of equal length share a pass.
    """

    def __init__(self, model: Any, extractor: Any) -> None:
        self.normalise = bool(extractor.do_normalize)
        super().__init__(model, {"normalise": self.normalise, "piece_seconds": PIECE_SECONDS})
        config = model.config
        self.sample_rate = int(extractor.sampling_rate)
        self.hop = math.prod(config.conv_stride)
        self.window = receptive_field(config.conv_kernel, config.conv_stride)
        self.frame_rate = self.sample_rate / self.hop
        # data2vec's configuration does not name a norm
        self.honours_lengths = getattr(config, "feat_extract_norm", None) == "layer"

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        longest = int(PIECE_SECONDS * self.frame_rate)
        pieces, owners = [], []
        for owner, (waveform, length) in enumerate(zip(waveforms, lengths.tolist(), strict=True)):
            clip = self._prepared(waveform[:length])
            frames = (len(clip) - self.window) // self.hop + 1
            for start, stop in cut(frames, longest):
                # samples after the last frame count too: a norm over time sees some of them
                end = len(clip) if stop == frames else (stop - 1) * self.hop + self.window
                pieces.append(clip[start * self.hop : end])
                owners.append(owner)
        at_once = max(1, PASS_SECONDS * self.sample_rate // max(len(piece) for piece in pieces))
        if self.honours_lengths:
            found: list[Outputs] = []
            for start, stop in cut(len(pieces), at_once):
                found += self._masked(pieces[start:stop], outputs)
        else:
            run = partial(self._equal, outputs=outputs)
            found = run_equal(pieces, at_once, run)
        return join_pieces(owners, found, outputs)

    def _prepared(self, clip: torch.Tensor) -> torch.Tensor:
        """(n,) samples, scaled and at least one frame long."""
        if self.normalise:
            deviation = (clip.var(correction=0) + VARIANCE_FLOOR).sqrt()
            clip = (clip - clip.mean()) / deviation
        return torch.nn.functional.pad(clip, (0, max(0, self.window - len(clip))))

    def _masked(self, pieces: list[torch.Tensor], outputs: Sequence[str]) -> list[Outputs]:
        """Pieces (n,) of unequal lengths in one pass; each one's own frames (F, D)."""
        lengths = torch.tensor([len(piece) for piece in pieces], device=pieces[0].device)
        batch = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True)
        mask = torch.arange(batch.shape[1], device=batch.device) < lengths[:, None]
        found = self.forward_outputs(outputs, input_values=batch, attention_mask=mask.long())
        frames = ((lengths - self.window) // self.hop + 1).tolist()
        return [
            {output: values[row, :count] for output, values in found.items()}
            for row, count in enumerate(frames)
        ]

    def _equal(self, batch: torch.Tensor, outputs: Sequence[str]) -> Outputs:
        return self.forward_outputs(outputs, input_values=batch)


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one output of a stack of convolutions sees."""
    field, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * step
        step *= stride
    return field


def _load(
    checkpoint: Checkpoint, architecture: str, outputs: tuple[str, ...], weights: Path | None
) -> list[AudioEncoder]:
    def load(source: str, **options: Any) -> SpeechPass:
        import transformers

        extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(source, **options)
        model, info = getattr(transformers, architecture).from_pretrained(
            source, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
        )
        # stands for masked frames in training; no frame is masked here
        check_loaded(info, checkpoint.name, unused=("masked_spec_embed",), heads=HEADS)
        if hasattr(model, "masked_spec_embed"):
            torch.nn.init.zeros_(model.masked_spec_embed)
        return SpeechPass(model, extractor)

    shared = load_checkpoint(checkpoint, load, weights)
    return layer_encoders(shared, shown_name(checkpoint, shared.facts["model"]), outputs)


def load_wav2vec2(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """wav2vec 2.0 large, trained on 100 000 hours of VoxPopuli."""
    found = Checkpoint(
        "wav2vec2", "facebook/wav2vec2-large-100k-voxpopuli", None, "wav2vec2", _LARGE
    )
    return _load(found, "Wav2Vec2Model", outputs, weights)


def load_hubert_large(
    outputs: tuple[str, ...], *, weights: Path | None = None
) -> list[AudioEncoder]:
    """HuBERT large, trained on 60 000 hours of Libri-Light, not fine-tuned."""
    commit = "1c513b9a0780f7afa32e4480311fa444e56c3a2e"
    found = Checkpoint("hubert-large", "facebook/hubert-large-ll60k", commit, "hubert", _LARGE)
    return _load(found, "HubertModel", outputs, weights)


def load_wavlm_large(
    outputs: tuple[str, ...], *, weights: Path | None = None
) -> list[AudioEncoder]:
    """WavLM large, trained on 94 000 hours of English speech."""
    commit = "07d9d3d8576fd3d718ee7b16b2b6242e9610d9af"
    found = Checkpoint("wavlm-large", "microsoft/wavlm-large", commit, "wavlm", _LARGE)
    return _load(found, "WavLMModel", outputs, weights)


def load_data2vec(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """data2vec audio base, trained on 960 hours of LibriSpeech, not fine-tuned."""
    found = Checkpoint("data2vec", "facebook/data2vec-audio-base", None, "data2vec-audio", _BASE)
    return _load(found, "Data2VecAudioModel", outputs, weights)
