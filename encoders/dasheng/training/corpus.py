"""Audio to train on, and which of it each step sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.encoders.dasheng.config import CHUNK_FRAMES, HOP, PATCH_FRAMES, SAMPLE_RATE
from earmark.encoders.dasheng.training.config import TrainingError

CHUNK_SAMPLES = CHUNK_FRAMES * HOP
TOKEN_SAMPLES = PATCH_FRAMES * HOP
FULL_SCALE = 32_768.0


class Crops(NamedTuple):
    """Contexts of at most 10.08 s, and where the crops begin in them.

    waveforms: (C, T) float32, zero beyond a clip's end. lengths: (C,) samples. starts: (C, K)
    latent frames.
    """

    waveforms: torch.Tensor
    lengths: torch.Tensor
    starts: torch.Tensor

    def to(self, device: torch.device) -> Crops:
        return Crops(*(part.to(device, non_blocking=True) for part in self))


@dataclass(frozen=True)
class Corpus:
    """Clips at one sample rate, one after another.

    samples: (N,) int16, in memory or mapped. offsets: (clips + 1,) where clips begin and end.
    groups: (clips,) which data set each is of, by its place in `names`. digest: of all of it.
    """

    samples: NDArray[np.int16]
    offsets: NDArray[np.int64]
    groups: NDArray[np.int64]
    names: Sequence[str]
    digest: str
    sample_rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        if len(self.offsets) < 2 or not (np.diff(self.offsets) > 0).all():
            raise TrainingError("there is no audio to train on")

    def weights(self, shares: Mapping[str, float]) -> NDArray[np.float64]:
        """(clips,) how probable each clip is: by its length, or so that data sets have `shares`.

        Raises TrainingError where a data set has no share or a share no data set.
        """
        lengths = np.diff(self.offsets).astype(np.float64)
        if shares:
            if set(shares) != set(self.names):
                raise TrainingError(
                    f"shares name {', '.join(sorted(shares))}; the data sets are "
                    f"{', '.join(sorted(self.names))}"
                )
            for number, name in enumerate(self.names):
                own = self.groups == number
                lengths[own] *= shares[name] / lengths[own].sum()
        weights: NDArray[np.float64] = lengths / lengths.sum()
        return weights


class Sampler:
    """Crops of a step, which depend on seed and step alone: nothing is lost by a killed run.

    A clip is drawn by its weight, then one of its chunks of 10.08 s by length (chunks as the
    semantic encoder cuts a whole clip), then the places of the crops in it. A context shorter than
    a crop is followed by silence.
    """

    def __init__(
        self, corpus: Corpus, shares: Mapping[str, float], crop_tokens: int, seed: int
    ) -> None:
        self.corpus, self.crop_tokens, self.seed = corpus, crop_tokens, seed
        self.edges = np.cumsum(corpus.weights(shares))

    def draw(self, step: int, contexts: range, crops: int) -> Crops:
        """Those contexts of a step's batch, each with so many crops."""
        found = [
            self._context(np.random.default_rng([self.seed, step, i]), crops) for i in contexts
        ]
        shortest = self.crop_tokens * TOKEN_SAMPLES
        longest = max(shortest, *(len(samples) for samples, _ in found))
        # a last token needs not all of its samples: there are zeros for what it lacks
        waveforms = torch.zeros(len(found), longest + TOKEN_SAMPLES)
        for row, (samples, _) in zip(waveforms, found, strict=True):
            row[: len(samples)] = torch.from_numpy(samples)
        lengths = torch.tensor([max(len(samples), shortest) for samples, _ in found])
        return Crops(waveforms, lengths, torch.from_numpy(np.stack([s for _, s in found])))

    def _context(
        self, rng: np.random.Generator, crops: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        corpus = self.corpus
        clip = min(
            int(np.searchsorted(self.edges, rng.random(), side="right")), len(self.edges) - 1
        )
        begin, end = int(corpus.offsets[clip]), int(corpus.offsets[clip + 1])
        chunk = int(rng.integers(end - begin)) // CHUNK_SAMPLES
        begin += chunk * CHUNK_SAMPLES
        own = corpus.samples[begin : min(end, begin + CHUNK_SAMPLES)]
        # mel frames of whole tokens: the last token of a chunk needs not all of its samples
        last = max(0, (len(own) // HOP + 1) // PATCH_FRAMES - self.crop_tokens)
        last = min(last, CHUNK_FRAMES // PATCH_FRAMES - self.crop_tokens)
        starts = rng.integers(0, last + 1, crops)
        return own.astype(np.float32) / FULL_SCALE, starts
