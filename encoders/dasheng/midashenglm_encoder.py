"""`midashenglm`: the audio encoder of MiDashengLM (arXiv 2508.03983), with its hidden layers.

Dasheng's architecture (arXiv 2406.06992), trained on by captions of speech, sound and music.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.baselines.checkpoint import Checkpoint, load_checkpoint, shown_name
from earmark.encoders.dasheng.checkpoint import (
    fill_semantic,
    without_weights,
)
from earmark.encoders.dasheng.config import FRAME_RATE, SAMPLE_RATE, SemanticConfig
from earmark.encoders.dasheng.encoder import SHORTEST
from earmark.encoders.dasheng.mel import own_samples, token_counts
from earmark.encoders.dasheng.midashenglm import (
    DEFAULT,
    PREFIX,
    midashenglm_semantic,
)
from earmark.encoders.dasheng.precision import autocast, check_precision, dtype_name
from earmark.encoders.dasheng.semantic import SemanticPath, chunk_groups
from earmark.encoders.encoder import AudioEncoder, EncoderError, Frames
from earmark.encoders.family import ALL_LAYERS, full_name
from earmark.encoders.shared import OutputEncoder, SharedPass
from earmark.encoders.tensors import fetch_part

# No commit is pinned: none is known here by its hash. The float32 release of October 2025, which
# LoSATok builds on too.
CHECKPOINT = Checkpoint(
    "midashenglm", "mispeech/midashenglm-7b-1021-fp32", None, "midashenglm",
    dataclasses.asdict(DEFAULT),
)  # fmt: skip


class SemanticLayersPass(SharedPass):
    """A semantic path with its hidden layers: outputs "" and `layer-0` to `layer-DEPTH`.

    `layer-0` is what goes into the first block, `layer-N` what leaves block N; of the last that is
    after the norm that follows it, and so the output itself.
    """

    def __init__(self, config: SemanticConfig, precision: str = "auto") -> None:
        super().__init__()
        self.precision = precision
        self.semantic = SemanticPath(config)

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        waveforms, lengths = own_samples(waveforms, lengths, SHORTEST)
        frames = token_counts(lengths)
        with autocast(waveforms.device, self.precision):
            values = self._layers(waveforms, lengths, frames.tolist(), outputs)
        return {output: Frames(values[output], frames) for output in outputs}

    def _layers(
        self,
        waveforms: torch.Tensor,
        lengths: torch.Tensor,
        counts: Sequence[int],
        outputs: Sequence[str],
    ) -> dict[str, torch.Tensor]:
        """(B, F, D) of each output, in chunks as `SemanticPath.forward`."""
        semantic = self.semantic
        patches, across = semantic.chunked_patches(semantic.log_mel(waveforms, lengths), counts)
        width = semantic.norm.normalized_shape[0]
        # of clips of unlike lengths, what is beyond a clip's own chunks is never written
        found = {output: patches.new_zeros(*patches.shape[:2], width) for output in outputs}
        for group in chunk_groups(counts, across):
            longest = group[0].tokens
            rows = torch.tensor([chunk.row for chunk in group], device=patches.device)
            sizes = torch.tensor([chunk.tokens for chunk in group], device=patches.device)
            own = torch.arange(longest, device=patches.device) < sizes[:, None]
            keys = None if bool(own.all()) else own[:, None, None]
            for output, states in self._states(patches[rows, :longest], keys, outputs).items():
                found[output][rows, :longest] = states * own[:, :, None]
        return {
            output: values.view(len(waveforms), -1, width)[:, : max(counts)]
            for output, values in found.items()
        }

    def _states(
        self, patches: torch.Tensor, keys: torch.Tensor | None, outputs: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        """(K, L, 256) patches -> what is wanted of the states (K, L, D) after each block."""
        last = len(self.semantic.blocks)
        wanted = {output: layer_number(output) if output else last for output in outputs}
        tokens = self.semantic.embed(patches)
        found = {output: tokens for output, number in wanted.items() if number == 0}
        for number, block in enumerate(self.semantic.blocks, 1):
            tokens = block(tokens, keys)
            state = self.semantic.norm(tokens) if number == last else tokens
            found |= {output: state for output, its in wanted.items() if its == number}
        return found


class SemanticLayer(OutputEncoder):
    """The output, or one hidden layer, of a SemanticLayersPass; at 25 Hz."""

    sample_rate = SAMPLE_RATE
    frame_rate = FRAME_RATE
    honours_lengths = True

    def __init__(
        self, shared: SemanticLayersPass, output: str, config: SemanticConfig, name: str
    ) -> None:
        super().__init__(shared, output)
        self.name = full_name(name, output)
        self.embedding_dim = config.embed_dim
        self.config = dataclasses.asdict(config)

    def compute_dtype(self, device: str) -> str:
        assert isinstance(self.shared, SemanticLayersPass)
        return dtype_name(device, self.shared.precision)


def layer_number(output: str) -> int:
    """`layer-12` -> 12."""
    return int(output.removeprefix("layer-"))


def load(
    outputs: Sequence[str], *, weights: Path | None = None, precision: str = "auto"
) -> list[AudioEncoder]:
    """`midashenglm` and its layers, in the order asked for, over one pass.

    weights: a folder with `config.json` and `model.safetensors`, or that in pieces with its index;
    None: the hub's cache or the hub, of which only the pieces are fetched that the index names for
    the audio encoder. precision as in `earmark.encoders.dasheng.load`. Raises EncoderError.
    """
    check_precision(precision)

    def read(source: str, **options: Any) -> tuple[SemanticLayersPass, SemanticConfig]:
        folder = Path(source) if Path(source).is_dir() else fetch_part(source, PREFIX, **options)
        state, config = midashenglm_semantic(folder)
        network = without_weights(lambda: SemanticLayersPass(config, precision))
        fill_semantic(network.semantic, state, str(folder))
        return network, config

    network, config = load_checkpoint(CHECKPOINT, read, weights, package="safetensors")
    wanted: list[str] = []
    for output in outputs:
        if output == ALL_LAYERS:
            wanted += [f"layer-{number}" for number in range(config.depth + 1)]
        elif output and layer_number(output) > config.depth:
            raise EncoderError(
                f"encoder {CHECKPOINT.name!r} has layers 0 to {config.depth}, no "
                f"{layer_number(output)}"
            )
        else:
            wanted.append(output)
    name = shown_name(CHECKPOINT, dataclasses.asdict(config))
    return [SemanticLayer(network, one, config, name).eval() for one in dict.fromkeys(wanted)]
