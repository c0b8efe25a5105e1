"""W2v-BERT 2.0 (Barrault et al. 2023, arXiv 2312.05187): a conformer over Kaldi's filter bank."""

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
from earmark.encoders.baselines.pieces import (
    PASS_SECONDS,
    PIECE_SECONDS,
    Outputs,
    cut,
    join_pieces,
)
from earmark.encoders.encoder import AudioEncoder, Frames
from earmark.encoders.kaldi import KaldiFbank, fbank_constants

SCALE = 2**15  # of samples: its filter bank was made of 16-bit integers
VARIANCE_FLOOR = 1e-7  # as transformers' SeamlessM4TFeatureExtractor
SIZES: dict[str, Any] = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096, "feature_projection_input_dim": 160,
    "position_embeddings_type": "relative_key", "conv_depthwise_kernel_size": 31,
}  # fmt: skip
COMMIT = "11efc4b9ec4ba1e2c9138b6dea385b14c02cff7d"
CHECKPOINT = Checkpoint("w2v-bert", "facebook/w2v-bert-2.0", COMMIT, "wav2vec2-bert", SIZES)


class W2vBertPass(LayeredPass):
    """A frame every 20 ms of 16 kHz audio: two filter bank frames of 10 ms side by side.

    Each band is scaled to zero mean and unit variance over the clip's own frames. Batches of
    unequal lengths are masked. A clip of less than 35 ms is filled up with zeros. One longer than
    30 s is cut on the grid of its frames after that; attention stays within a piece.
    """

    def __init__(self, model: Any, extractor: Any) -> None:
        bands = int(extractor.num_mel_bins)
        super().__init__(model, {"bands": bands, "piece_seconds": PIECE_SECONDS})
        self.stack = int(extractor.stride)  # spectrogram frames side by side
        self.fbank = KaldiFbank(bands)
        self.fbank.load_state_dict(fbank_constants(bands))
        self.sample_rate = int(extractor.sampling_rate)
        self.frame_rate = self.sample_rate / (self.fbank.hop * self.stack)
        self.honours_lengths = True

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        pieces, owners = [], []
        for owner, (waveform, length) in enumerate(zip(waveforms, lengths.tolist(), strict=True)):
            frames = self._features(waveform[:length])
            for start, stop in cut(len(frames), int(PIECE_SECONDS * self.frame_rate)):
                pieces.append(frames[start:stop])
                owners.append(owner)
        longest = max(len(piece) for piece in pieces)
        found: list[Outputs] = []
        for start, stop in cut(len(pieces), max(1, int(PASS_SECONDS * self.frame_rate) // longest)):
            found += self._masked(pieces[start:stop], outputs)
        return join_pieces(owners, found, outputs)

    def _features(self, clip: torch.Tensor) -> torch.Tensor:
        """(n,) samples -> (F, 160): normalised bands, those of two frames side by side."""
        shortest = self.fbank.size + (self.stack - 1) * self.fbank.hop
        clip = torch.nn.functional.pad(clip, (0, max(0, shortest - len(clip))))
        logs = self.fbank(SCALE * clip[None])[0]
        # over all frames, one that is left over at the end among them
        scaled = (logs - logs.mean(0)) / (logs.var(0) + VARIANCE_FLOOR).sqrt()
        whole = len(scaled) // self.stack
        stacked: torch.Tensor = scaled[: whole * self.stack].reshape(whole, -1)
        return stacked

    def _masked(self, pieces: list[torch.Tensor], outputs: Sequence[str]) -> list[Outputs]:
        """Pieces (f, 160) of unequal lengths in one pass; each one's own frames (f, D)."""
        counts = [len(piece) for piece in pieces]
        batch = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True)
        sizes = torch.tensor(counts, device=batch.device)
        mask = torch.arange(batch.shape[1], device=batch.device) < sizes[:, None]
        found = self.forward_outputs(outputs, input_features=batch, attention_mask=mask.long())
        return [
            {output: values[row, :count] for output, values in found.items()}
            for row, count in enumerate(counts)
        ]


def load(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """W2v-BERT 2.0, trained on 4.5 million hours of speech, not fine-tuned."""
    shared = load_checkpoint(CHECKPOINT, _pass, weights)
    return layer_encoders(shared, shown_name(CHECKPOINT, shared.facts["model"]), outputs)


def _pass(source: str, **options: Any) -> W2vBertPass:
    import transformers

    extractor = transformers.SeamlessM4TFeatureExtractor.from_pretrained(source, **options)
    loaded: Any = transformers.Wav2Vec2BertModel.from_pretrained(
        source, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
    )
    model, info = loaded
    # stands for masked frames in training; no frame is masked here
    check_loaded(info, CHECKPOINT.name, unused=("masked_spec_embed",))
    if hasattr(model, "masked_spec_embed"):
        torch.nn.init.zeros_(model.masked_spec_embed)
    if model.config.add_adapter:
        raise UnfitError("it has an adapter after its layers, which fewer frames leave")
    width = extractor.num_mel_bins * extractor.stride
    if width != model.config.feature_projection_input_dim:
        raise UnfitError(
            f"its {extractor.num_mel_bins} bands of {extractor.stride} frames are not the "
            f"{model.config.feature_projection_input_dim} values that it takes"
        )
    return W2vBertPass(model, extractor)
