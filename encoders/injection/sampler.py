"""Crops to train on: waveforms, and a frozen encoder's frames of them that are there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.encoders.dasheng.training.corpus import FULL_SCALE, Corpus
from earmark.encoders.injection.geometry import Geometry


class PlacedCrops(NamedTuple):
    """Crops of a step's batch.

    waveforms: (N, margin + T + margin) float32, with what the clip holds around the crop. lengths:
    (N,) samples of these. frames: (N, F, D) of the frozen encoder. places: (N, F x patch_frames)
    samples on which mel windows are centred.
    """

    waveforms: torch.Tensor
    lengths: torch.Tensor
    frames: torch.Tensor
    places: torch.Tensor

    def to(self, device: torch.device) -> PlacedCrops:
        return PlacedCrops(*(part.to(device, non_blocking=True) for part in self))


class FrameSource(Protocol):
    """The frozen encoder's frames of the pieces of a corpus."""

    def rows(self, piece: int, first: int, count: int) -> NDArray[np.float32]:
        """Frames (count, D) of a piece, from `first` on."""


@dataclass(frozen=True)
class Pieces:
    """A corpus in the pieces that the frozen encoder has heard.

    clips, begins, ends: (pieces,) of which clip, and where in the corpus' samples. counts:
    (pieces,) frames that the encoder gave.
    """

    clips: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    counts: NDArray[np.int64]


class PieceSampler:
    """Crops which depend on seed and step alone: nothing is lost by a killed run.

    A piece is drawn by its clip's weight and its own share of the clip, then places of crops in it.
    """

    def __init__(
        self, corpus: Corpus, pieces: Pieces, source: FrameSource, geometry: Geometry,
        shares: Mapping[str, float], crop_frames: int, seed: int,
    ) -> None:  # fmt: skip
        self.corpus, self.pieces, self.source, self.geometry = corpus, pieces, source, geometry
        self.crop_frames, self.seed = crop_frames, seed
        lengths = (pieces.ends - pieces.begins).astype(np.float64)
        whole = np.diff(corpus.offsets).astype(np.float64)
        weights = corpus.weights(shares)[pieces.clips] * lengths / whole[pieces.clips]
        self.edges = np.cumsum(weights / weights.sum())

    def draw(self, step: int, contexts: range, crops: int) -> PlacedCrops:
        """The crops of those contexts of a step's batch, so many each."""
        found = [
            crop
            for i in contexts
            for crop in self._of_piece(np.random.default_rng([self.seed, step, i]), crops)
        ]
        waveforms = torch.from_numpy(np.stack([samples for samples, _, _ in found]))
        firsts = torch.tensor([first for _, _, first in found])
        begins = self.geometry.samples_of(firsts)
        places = self.geometry.places(self.crop_frames, firsts) - begins[:, None] + self.margin
        return PlacedCrops(
            waveforms, torch.full((len(found),), waveforms.shape[1]),
            torch.from_numpy(np.stack([frames for _, frames, _ in found])), places,
        )  # fmt: skip

    @property
    def margin(self) -> int:
        """Samples around a crop that mel windows reach."""
        return self.geometry.mel_fft

    @property
    def crop_samples(self) -> int:
        return int(self.geometry.samples_of(torch.tensor(self.crop_frames)))

    def _of_piece(
        self, rng: np.random.Generator, crops: int
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32], int]]:
        """Samples, frames and number of the first frame of some crops of one piece."""
        edge = np.searchsorted(self.edges, rng.random(), side="right")
        piece = min(int(edge), len(self.edges) - 1)
        last = int(self.pieces.counts[piece]) - self.crop_frames
        firsts = rng.integers(0, last + 1, crops)
        return [
            (
                self._samples(piece, int(first)),
                self.source.rows(piece, int(first), self.crop_frames),
                int(first),
            )
            for first in firsts
        ]

    def _samples(self, piece: int, first: int) -> NDArray[np.float32]:
        """(margin + T + margin,) of the clip, silent beyond its ends."""
        clip = int(self.pieces.clips[piece])
        low, high = int(self.corpus.offsets[clip]), int(self.corpus.offsets[clip + 1])
        begin = int(self.pieces.begins[piece]) + int(self.geometry.samples_of(torch.tensor(first)))
        begin -= self.margin
        end = begin + self.crop_samples + 2 * self.margin
        found = np.zeros(end - begin, np.float32)
        own = self.corpus.samples[max(low, begin) : min(high, end)]
        offset = max(low, begin) - begin
        found[offset : offset + len(own)] = own.astype(np.float32) / FULL_SCALE
        return found
