"""Lengths that an encoder cannot take as they are: clips padded, or cut into windows, and put back.

An encoder of `min_seconds`, `max_seconds` or `fixed_seconds` is given pieces: consecutive windows
of its longest, what is left as the last, zero-padded at its end to its shortest. What it returns of
padding is dropped. A clip's mean is that of its windows, weighted by their share of its audio; its
frames are put together by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.audio.decode import Samples
from earmark.encoders import AudioEncoder

FITTING = 1  # raised where clips are padded, cut or put together in another way
_DECIMALS = 6  # of a frame, to which times are compared


class Limits(NamedTuple):
    """The fewest and the most samples that an encoder is given. most: None for any number."""

    least: int = 1
    most: int | None = None

    def in_words(self, sample_rate: int) -> str:
        """As what is done to clips: `padded to 1 s, cut into windows of 10 s`."""
        said = [f"padded to {self.least / sample_rate:g} s"] if self.least > 1 else []
        if self.most is not None:
            said.append(f"cut into windows of {self.most / sample_rate:g} s")
        return ", ".join(said)


def limits_of(encoder: AudioEncoder) -> Limits:
    """What `min_seconds`, `max_seconds` and `fixed_seconds` say, in samples."""
    least, most = encoder.min_seconds, encoder.max_seconds
    if encoder.fixed_seconds is not None:
        least = most = encoder.fixed_seconds
    rate = encoder.sample_rate
    return Limits(
        1 if least is None else max(1, round(least * rate)),
        None if most is None else max(1, round(most * rate)),
    )


class Piece(NamedTuple):
    """What an encoder is given of a crop at once.

    samples: (n,) of it, zero-padded to `length`. start: of the first, in the crop.
    """

    samples: Samples
    length: int
    start: int = 0

    @property
    def is_padded(self) -> bool:
        return len(self.samples) < self.length


def whole(crop: Samples) -> Piece:
    """A crop as it is."""
    return Piece(crop, len(crop))


def pieces_of(crop: Samples, limits: Limits) -> list[Piece]:
    """A crop (n,), n >= 1, in windows that an encoder of these limits takes; in order."""
    step = len(crop) if limits.most is None else limits.most
    found = []
    for start in range(0, len(crop), step):
        samples = crop[start : start + step]
        found.append(Piece(samples, max(len(samples), limits.least), start))
    return found


class Placed(NamedTuple):
    """Frames of a piece, those of its padding left out, and where in the crop they are.

    values: (F, D) float16. centres: (F,) in samples from the crop's start.
    """

    values: NDArray[np.float16]
    centres: NDArray[np.floating[Any]]


def is_placed(encoder: AudioEncoder) -> bool:
    """Whether an encoder's frames are put together by time, not kept as they come."""
    return encoder.frame_rate_varies or limits_of(encoder) != Limits()


def spacing(encoder: AudioEncoder, frames: int, length: int) -> float:
    """Samples from one frame to the next, of a piece of `length` samples that has so many."""
    if encoder.frame_rate_varies or encoder.frame_rate is None:
        return length / frames
    return encoder.sample_rate / encoder.frame_rate


def own_frames(encoder: AudioEncoder, frames: torch.Tensor, pieces: Sequence[Piece]) -> list[int]:
    """How many frames of each piece are of its audio: centred in it, and one at least.

    frames: (B,) how many were returned.
    """
    own = []
    for count, piece in zip(frames.tolist(), pieces, strict=True):
        if piece.is_padded:
            inside = len(piece.samples) / spacing(encoder, count, piece.length)
            # frame i is centred at i + 0.5
            count = min(count, max(1, int(np.ceil(np.round(inside - 0.5, _DECIMALS)))))
        own.append(count)
    return own


def placed(encoder: AudioEncoder, values: NDArray[np.float16], frames: int, piece: Piece) -> Placed:
    """The frames (F, D) of a piece's audio. frames: how many there are with those of padding.

    What is centred beyond its end is left out, so that centres ascend from window to window.
    """
    apart = spacing(encoder, frames, piece.length)
    inside = int(np.ceil(np.round(len(piece.samples) / apart - 0.5, _DECIMALS)))
    values = values[: max(1, inside)]
    return Placed(values, piece.start + (np.arange(len(values)) + 0.5) * apart)


def join_frames(
    encoder: AudioEncoder, parts: Sequence[Placed], samples: int
) -> NDArray[np.float16]:
    """A crop's frames on the grid of the encoder's `frame_rate`, (n, D).

    Point j of the grid, at (j + 0.5) / frame_rate, has the mean of the frames that are centred in
    its 1 / frame_rate; where none is, the frame that is nearest. samples: of the crop; n is its
    length times frame_rate, rounded, one at least.
    """
    assert encoder.frame_rate is not None  # no frames are kept of one vector a clip
    values = np.concatenate([part.values for part in parts])
    places = np.concatenate([part.centres for part in parts])
    places = np.round(places / encoder.sample_rate * encoder.frame_rate, _DECIMALS)
    count = max(1, round(samples / encoder.sample_rate * encoder.frame_rate))
    points = np.floor(places).astype(np.int64)
    nearest = _nearest(places, np.arange(count) + 0.5)
    grid = values[nearest]
    inside = points < count
    several = np.bincount(points[inside], minlength=count)
    crowded = np.flatnonzero(inside & (several[np.minimum(points, count - 1)] > 1))
    if len(crowded):
        own = points[crowded]  # ascending, so the frames of a point lie together
        firsts = np.flatnonzero(np.append(True, own[1:] != own[:-1]))
        sums = np.add.reduceat(values[crowded].astype(np.float32), firsts, axis=0)
        grid[own[firsts]] = sums / several[own[firsts], None]
    return grid


def _nearest(
    places: NDArray[np.floating[Any]], wanted: NDArray[np.floating[Any]]
) -> NDArray[np.int64]:
    """Which of ascending places is nearest to each of those wanted; of two the first."""
    after = np.clip(np.searchsorted(places, wanted), 1, max(1, len(places) - 1))
    before = after - 1
    last = np.minimum(after, len(places) - 1)
    closer = np.abs(places[last] - wanted) < np.abs(places[before] - wanted)
    return np.where(closer, last, before)


def join_means(
    rows: Sequence[NDArray[np.float32]], pieces: Sequence[Piece], *, one_vector: bool
) -> NDArray[np.float32]:
    """The mean (1, D), or mean, deviation and maximum (3, D), of a crop from those of its windows.

    Each window counts by its share of the crop's audio: the mean is that of the windows' means, the
    deviation that about it. one_vector: of one vector a crop the deviation is 0, and the maximum
    the vector itself.
    """
    if len(rows) == 1:
        return rows[0]
    share = np.array([len(piece.samples) for piece in pieces], np.float64)
    share /= share.sum()
    stacked = np.stack(rows).astype(np.float64)  # (windows, 1 or 3, D)
    means = stacked[:, 0]
    mean = share @ means
    found = [mean]
    if stacked.shape[1] > 1 and one_vector:
        found += [np.zeros_like(mean), mean]
    elif stacked.shape[1] > 1:
        squares = share @ (stacked[:, 1] ** 2 + (means - mean) ** 2)
        found += [np.sqrt(squares), stacked[:, 2].max(axis=0)]
    return np.stack(found).astype(np.float32)
