"""Standardised features: every feature with mean 0 and deviation 1 over what is trained on.

Mean and deviation come from one pass over the training frames (or clips) in blocks, merged in
float64 as Chan, Golub and LeVeque do ("Algorithms for computing the sample variance", The American
Statistician 37, 1983), so that neither a large mean nor many hours cost digits. A constant added to
all embeddings, or a factor, is gone afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

# A feature whose deviation is below this share of its magnitude (the root of its mean square) has
# none: what is left is rounding of a float32 constant.
_NO_DEVIATION = 1e-6
_BLOCK = 1 << 14  # rows at once


@dataclass(frozen=True)
class Standard:
    """mean: (D,) float32. factor: (D,) float32, 1 / deviation, 0 for a feature without variance."""

    mean: torch.Tensor
    factor: torch.Tensor

    @classmethod
    def over(cls, parts: Iterable[NDArray[Any]], device: str = "cpu") -> Standard:
        """Of all rows of some arrays (n, D), perhaps memory-mapped; at least one row."""
        count = 0
        mean = squares = np.zeros(0)
        for rows in _blocks(parts):
            block = rows.astype(np.float64)
            own = block.mean(axis=0)
            own_squares = np.square(block - own).sum(axis=0)
            if count == 0:
                count, mean, squares = len(block), own, own_squares
                continue
            total = count + len(block)
            apart = own - mean
            mean = mean + apart * (len(block) / total)
            squares = squares + own_squares + np.square(apart) * (count * len(block) / total)
            count = total
        deviation = np.sqrt(squares / max(count, 1))
        varies = deviation > _NO_DEVIATION * np.sqrt(np.square(mean) + np.square(deviation))
        factor = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)
        return cls(*(torch.from_numpy(one.astype(np.float32)).to(device) for one in (mean, factor)))

    def of(self, features: torch.Tensor) -> torch.Tensor:
        """(n, D) of any floating type -> (n, D) float32."""
        return (features.float() - self.mean).mul_(self.factor)


def _blocks(parts: Iterable[NDArray[Any]]) -> Iterable[NDArray[Any]]:
    """Short arrays together, long ones in pieces: (n, D), n at least _BLOCK but for the last."""
    held: list[NDArray[Any]] = []
    rows = 0
    for part in parts:
        for start in range(0, len(part), _BLOCK):
            held.append(part[start : start + _BLOCK])
            rows += len(held[-1])
            if rows >= _BLOCK:
                yield np.concatenate(held)
                held, rows = [], 0
    if rows:
        yield np.concatenate(held)


class FrameFeatures:
    """The frames of clips as heads see them: float32, normalised one way or the other.

    frames: for each item (F, D), perhaps memory-mapped. normalise: (n, D) -> (n, D), of each frame
    by itself. Where the clips that are read again and again are small, they are normalised once
    and stay in memory; else blocks are read and normalised as they are asked for. Both give the
    same numbers.
    """

    def __init__(
        self, frames: Sequence[NDArray[Any]], normalise: Any, device: str, again: NDArray[np.int64]
    ) -> None:
        self.frames, self.normalise, self.device = frames, normalise, device
        self._held: dict[int, torch.Tensor] = {}
        if sum(frames[i].size for i in again.tolist()) <= HELD:
            self._held = {i: self._made([frames[i]]) for i in again.tolist()}

    def rows(self, spans: Sequence[tuple[int, int, int]]) -> torch.Tensor:
        """(n, D): frames start..stop of clips, as (clip, start, stop); beyond a clip, of zeros."""
        if all(c in self._held and stop <= len(self.frames[c]) for c, _, stop in spans):
            parts = [self._held[clip][start:stop] for clip, start, stop in spans]
            return parts[0] if len(parts) == 1 else torch.cat(parts)
        return self._made([_padded(self.frames[clip], *own) for clip, *own in spans])

    def _made(self, parts: Sequence[NDArray[Any]]) -> torch.Tensor:
        values = torch.from_numpy(np.concatenate(parts)).to(self.device)
        made: torch.Tensor = self.normalise(values.float())
        return made


HELD = 1 << 26  # numbers that `FrameFeatures` keeps in memory: 256 MB


def _padded(frames: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
    own = frames[start:stop]
    beyond = stop - start - len(own)
    return np.pad(own, ((0, beyond), (0, 0))) if beyond else own
