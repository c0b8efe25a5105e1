"""Encoders over patches of a spectrogram: tokens on a grid of time and frequency bands.

A frame is a column of the grid: the mean over its bands, time kept. `NAME:grid` has the bands of a
column one after the other instead, lowest first; `NAME:layer-N` is the mean of a hidden layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from earmark.encoders.baselines.layers import layer_number
from earmark.encoders.baselines.pieces import Outputs, cut, join_pieces, run_equal
from earmark.encoders.encoder import AudioEncoder, EncoderError, Frames
from earmark.encoders.family import ALL_LAYERS, full_name
from earmark.encoders.shared import OutputEncoder, SharedPass

GRID = "grid"


class GridPass(SharedPass):
    """A transformer over patches; outputs "", "grid" and "layer-0" and up.

    `layer-0` is what goes into the first block, `layer-N` what comes out of the Nth.

    A clip's spectrogram is made of the clip alone. It is cut into pieces of `piece_columns`
    columns, each encoded on its own, and only pieces of equal length share a forward pass: a clip's
    frames are the same alone and in any batch. Spectrogram frames that do not fill a last column
    are not encoded, as the released models do not.

    sample_rate: Hz. hop: samples between spectrogram frames. patch: spectrogram frames a column.
    bands: patches a column. width: of a token. layers: number of the last hidden layer.
    columns_at_once: columns that go through the transformer at once, 32 pieces of 10 s.
    facts: sizes and settings.
    """

    sample_rate: int
    hop: int
    patch: int
    bands: int
    width: int
    layers: int
    piece_columns: int
    columns_at_once: int = 2048
    facts: dict[str, Any]

    def spectrograms(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
        """(B, T) samples and (B,) lengths -> each clip's (N, bins) frames, at least one column."""
        raise NotImplementedError

    def states(
        self, frames: torch.Tensor, layers: Sequence[int]
    ) -> tuple[torch.Tensor, Mapping[int, torch.Tensor]]:
        """(B, N, bins), N whole columns -> the output and the hidden states asked for by number,
        (B, columns, bands, width) each.
        """
        raise NotImplementedError

    @property
    def frame_rate(self) -> float:
        """Columns a second."""
        return self.sample_rate / (self.hop * self.patch)

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        pieces, owners = [], []
        for owner, frames in enumerate(self.spectrograms(waveforms, lengths)):
            for start, stop in cut(len(frames) // self.patch, self.piece_columns):
                pieces.append(frames[start * self.patch : stop * self.patch])
                owners.append(owner)
        longest = max(len(piece) for piece in pieces) // self.patch
        run = partial(self._run, outputs=outputs)
        found = run_equal(pieces, max(1, self.columns_at_once // longest), run)
        return join_pieces(owners, found, outputs)

    def _run(self, frames: torch.Tensor, outputs: Sequence[str]) -> Outputs:
        numbers = [layer_number(output) for output in outputs if output not in ("", GRID)]
        last, hidden = self.states(frames, numbers)
        found = {f"layer-{number}": values.mean(2) for number, values in hidden.items()}
        found |= {"": last.mean(2), GRID: last.flatten(2)}
        return {output: found[output] for output in outputs}


class GridEncoder(OutputEncoder):
    """One output of a GridPass."""

    honours_lengths = True

    def __init__(self, shared: GridPass, name: str, output: str) -> None:
        super().__init__(shared, output)
        self.name = full_name(name, output)
        self.sample_rate = shared.sample_rate
        self.frame_rate = shared.frame_rate
        self.embedding_dim = shared.width * (shared.bands if output == GRID else 1)
        self.config = shared.facts


def grid_encoders(shared: GridPass, name: str, outputs: Sequence[str]) -> list[AudioEncoder]:
    """One encoder for each output, and for each layer where all are asked for; each once."""
    wanted: list[str] = []
    for output in outputs:
        if output == ALL_LAYERS:
            wanted += [f"layer-{number}" for number in range(shared.layers + 1)]
        elif output not in ("", GRID) and layer_number(output) > shared.layers:
            raise EncoderError(
                f"encoder {name.partition('@')[0]!r} has layers 0 to {shared.layers}, no "
                f"{layer_number(output)}"
            )
        else:
            wanted.append(output)
    return [GridEncoder(shared, name, output) for output in dict.fromkeys(wanted)]
