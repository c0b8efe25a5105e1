"""AST, the audio spectrogram transformer (Gong et al. 2021, arXiv 2104.01778).

Patches of 16 x 16 of a log-mel spectrogram, overlapping by 6 in time and frequency, on a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
from earmark.encoders.baselines.layers import LayeredPass, LayerEncoder, layer_encoders
from earmark.encoders.baselines.pieces import PASS_SECONDS, Outputs, cut, join_pieces, run_equal
from earmark.encoders.encoder import AudioEncoder, Frames
from earmark.encoders.kaldi import KaldiFbank, fbank_constants

GRID = "grid"
SPECIAL = 2  # tokens before the patches: of the class, and of the teacher
SIZES: dict[str, Any] = {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "patch_size": 16, "frequency_stride": 10, "time_stride": 10,
    "max_length": 1024, "num_mel_bins": 128,
}  # fmt: skip
# Fine-tuned on AudioSet; no commit is known here by its hash.
CHECKPOINT = Checkpoint(
    "ast", "MIT/ast-finetuned-audioset-10-10-0.4593", None, "audio-spectrogram-transformer", SIZES
)


class AstPass(LayeredPass):
    """A column of patches every 100 ms of 16 kHz audio; outputs "", "grid" and the hidden layers.

    "" and a layer are the mean over the bands of a column; "grid" has the bands one after the
    other, lowest first. The spectrogram is Kaldi's (128 bands, Hann window, samples in [-1, 1]);
    the model takes exactly 1024 frames, of which those after the clip are zeros before they are
    normalised. Of the output the columns are kept that begin within the clip. Longer clips are cut
    into pieces of 101 columns; each sees the audio that its patches reach. Every clip sees the same
    input alone and in any batch.
    """

    def __init__(self, model: Any, extractor: Any) -> None:
        config = model.config
        mean, deviation = float(extractor.mean), float(extractor.std)
        super().__init__(model, {"mean": mean, "std": deviation})
        self.fbank = KaldiFbank(int(config.num_mel_bins))
        self.fbank.load_state_dict(fbank_constants(int(config.num_mel_bins), "hanning"))
        self.mean, self.deviation = mean, deviation
        self.frames_in = int(config.max_length)  # spectrogram frames that the model takes
        self.bands = (int(config.num_mel_bins) - config.patch_size) // config.frequency_stride + 1
        self.columns = (self.frames_in - config.patch_size) // int(config.time_stride) + 1
        self.sample_rate = int(extractor.sampling_rate)
        self.hop = int(config.time_stride) * self.fbank.hop  # samples between columns
        self.frame_rate = self.sample_rate / self.hop
        self.honours_lengths = True

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        reach = self.fbank.size + (self.frames_in - 1) * self.fbank.hop  # samples of one pass
        pieces, owners, counts = [], [], []
        for owner, (waveform, length) in enumerate(zip(waveforms, lengths.tolist(), strict=True)):
            for start, stop in cut(-(-length // self.hop), self.columns):
                clip = waveform[start * self.hop : min(start * self.hop + reach, length)]
                pieces.append(self._spectrogram(clip))
                owners.append(owner)
                counts.append(stop - start)
        at_once = max(1, PASS_SECONDS * self.sample_rate // reach)
        whole = run_equal(pieces, at_once, partial(self._run, outputs=outputs))
        found = [
            {output: values[:count] for output, values in piece.items()}
            for piece, count in zip(whole, counts, strict=True)
        ]
        return join_pieces(owners, found, outputs)

    def _spectrogram(self, clip: torch.Tensor) -> torch.Tensor:
        """(n,) samples -> (1024, 128), normalised; a clip below 25 ms is filled up with zeros."""
        missing = max(0, self.fbank.size - len(clip))
        logs = self.fbank(torch.nn.functional.pad(clip, (0, missing))[None])[0]
        logs = torch.nn.functional.pad(logs, (0, 0, 0, self.frames_in - len(logs)))
        return (logs - self.mean) / (2 * self.deviation)

    def _run(self, spectrograms: torch.Tensor, outputs: Sequence[str]) -> Outputs:
        plain = ["" if output == GRID else output for output in outputs]
        found = self.forward_outputs(list(dict.fromkeys(plain)), input_values=spectrograms)
        grids = {
            output: tokens[:, SPECIAL:].unflatten(1, (self.bands, self.columns)).transpose(1, 2)
            for output, tokens in found.items()
        }
        return {
            output: grids[""].flatten(2) if output == GRID else grids[output].mean(2)
            for output in outputs
        }


class AstGrid(LayerEncoder):
    """The columns of an AstPass with their bands."""

    def __init__(self, shared: AstPass, family: str) -> None:
        super().__init__(shared, family, GRID)
        self.embedding_dim = shared.embedding_dim * shared.bands


def load(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """AST, fine-tuned on AudioSet."""
    shared = load_checkpoint(CHECKPOINT, _pass, weights)
    name = shown_name(CHECKPOINT, shared.facts["model"])
    made: list[AudioEncoder] = []
    for output in dict.fromkeys(outputs):
        made += (
            [AstGrid(shared, name)] if output == GRID else layer_encoders(shared, name, [output])
        )
    return list({one.name: one for one in made}.values())


def _pass(source: str, **options: Any) -> AstPass:
    import transformers

    extractor = transformers.ASTFeatureExtractor.from_pretrained(source, **options)
    loaded: Any = transformers.ASTModel.from_pretrained(
        source, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
    )
    model, info = loaded
    check_loaded(info, CHECKPOINT.name, heads=("classifier.",))  # what tags AudioSet
    config = model.config
    if not isinstance(config.patch_size, int) or extractor.max_length != config.max_length:
        raise UnfitError(
            f"its patches are {config.patch_size} and its spectrogram has {extractor.max_length} "
            f"frames for {config.max_length} places; square patches and as many frames are known"
        )
    if not extractor.do_normalize or extractor.num_mel_bins != config.num_mel_bins:
        raise UnfitError("its spectrogram is not normalised, or of other bands than the model's")
    return AstPass(model, extractor)
