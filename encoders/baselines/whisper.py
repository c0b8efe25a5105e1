"""Whisper's encoder (Radford et al. 2022, arXiv 2212.04356)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.baselines.checkpoint import (
    Checkpoint,
    UnfitError,
    check_loaded,
    load_checkpoint,
    shown_name,
)
from earmark.encoders.baselines.layers import LayeredPass, layer_encoders
from earmark.encoders.baselines.pieces import PASS_SECONDS, Outputs, cut, join_pieces
from earmark.encoders.encoder import AudioEncoder, Frames

# Computed from the settings, or named after the copy that the settings came from.
NOT_SETTINGS = ("mel_filters", "window", "processor_class", "_processor_class")


class WhisperPass(LayeredPass):
    """A frame every 20 ms of 16 kHz audio, from log-mel bands of the clip padded to 30 s.

    The encoder was trained on exactly 30 s: a clip is padded with silence to that, by Whisper's
    own feature extraction, and of the output the frames that begin within the clip are kept.
    A longer clip is cut into pieces of 30 s. Every clip sees the same input alone and in any
    batch, so lengths are honoured.
    """

    def __init__(self, model: Any, extractor: Any) -> None:
        if extractor.dither:
            raise UnfitError(
                f"its feature extraction adds noise (dither {extractor.dither}): no two runs would "
                "agree; set dither to 0 in preprocessor_config.json"
            )
        facts = {
            key: value for key, value in extractor.to_dict().items() if key not in NOT_SETTINGS
        }
        super().__init__(model, {"extractor": facts})
        # three of its arrays and texts are attributes: it is no module, and not fingerprinted
        self.extractor = extractor
        self.sample_rate = int(extractor.sampling_rate)
        self.hop = int(extractor.n_samples) // int(model.config.max_source_positions)
        self.frame_rate = self.sample_rate / self.hop
        self.honours_lengths = True

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        whole = int(self.extractor.n_samples)
        pieces, owners = [], []
        for owner, (waveform, length) in enumerate(zip(waveforms, lengths.tolist(), strict=True)):
            for start, stop in cut(length, whole):
                pieces.append(waveform[start:stop].cpu().numpy())
                owners.append(owner)
        found: list[Outputs] = []
        for start, stop in cut(len(pieces), max(1, PASS_SECONDS * self.sample_rate // whole)):
            batch = pieces[start:stop]
            features = self.extractor(
                batch, sampling_rate=self.sample_rate, return_tensors="pt",
                device=str(waveforms.device),
            ).input_features.to(waveforms.device)  # fmt: skip
            values = self.forward_outputs(outputs, input_features=features)
            for row, piece in enumerate(batch):
                frames = -(-len(piece) // self.hop)
                found.append({output: values[output][row, :frames] for output in outputs})
        return join_pieces(owners, found, outputs)


def _load(
    checkpoint: Checkpoint, outputs: tuple[str, ...], weights: Path | None
) -> list[AudioEncoder]:
    def load(source: str, **options: Any) -> WhisperPass:
        import transformers

        extractor = transformers.WhisperFeatureExtractor.from_pretrained(source, **options)
        loaded: Any = transformers.WhisperModel.from_pretrained(
            source, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
        )
        model, info = loaded
        # what turns the decoder's output into words
        check_loaded(info, checkpoint.name, heads=("proj_out.",))
        return WhisperPass(model.get_encoder(), extractor)

    shared = load_checkpoint(checkpoint, load, weights)
    return layer_encoders(shared, shown_name(checkpoint, shared.facts["model"]), outputs)


def load_base(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """The encoder of Whisper base."""
    commit = "e37978b90ca9030d5170a5c07aadb050351a65bb"
    sizes = {
        "d_model": 512, "encoder_layers": 6, "encoder_attention_heads": 8, "encoder_ffn_dim": 2048,
        "num_mel_bins": 80, "max_source_positions": 1500,
    }  # fmt: skip
    found = Checkpoint("whisper-base", "openai/whisper-base", commit, "whisper", sizes)
    return _load(found, outputs, weights)


def load_large_v3(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """The encoder of Whisper large-v3."""
    commit = "06f233fe06e710322aca913c1bc4249a0d71fce1"
    sizes = {
        "d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20,
        "encoder_ffn_dim": 5120, "num_mel_bins": 128, "max_source_positions": 1500,
    }  # fmt: skip
    found = Checkpoint("whisper-large-v3", "openai/whisper-large-v3", commit, "whisper", sizes)
    return _load(found, outputs, weights)
