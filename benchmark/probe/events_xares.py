"""Events and notes as X-ARES 0.1.3 frames them: by whole hops, on batches with their padding.

An event is in the frames from ceil(onset / hop) up to ceil(offset / hop). A batch is padded with
zero frames to its longest clip, and these count in the loss and in the metric. Segments are of
ceil(segment / hop) frames, and what is left over at a clip's end is dropped, so encoders of other
frame rates are scored on other segments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.probe.events import EventObjective
from earmark.benchmark.probe.frames import Span


class XaresEventObjective(EventObjective):
    """As `EventObjective` takes them, and parts: indices of clips that are tested together, in
    order, so many in a batch as `batch_size`."""

    def __init__(
        self, *arguments: Any, parts: Sequence[NDArray[np.int64]], batch_size: int, **more: Any
    ) -> None:
        super().__init__(*arguments, **more)
        self.hop_s = _stated_hop_ms(self.frame_rate) / 1000
        self.frames_a_segment = math.ceil(self.segment_s / self.hop_s)
        self.extents: dict[int, int] = {}
        for part in parts:
            for start in range(0, len(part), batch_size):
                batch = part[start : start + batch_size].tolist()
                longest = max(self.lengths[clip] for clip in batch)
                self.extents |= dict.fromkeys(batch, longest)

    def trained_lengths(self, batch: NDArray[np.int64]) -> list[int]:
        longest = max(self.lengths[clip] for clip in batch.tolist())
        return [longest] * len(batch)

    def extent(self, clip: int) -> int:
        return self.extents[clip]

    def edges(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.ceil(times / self.hop_s).astype(np.int64)

    def segments(self, clip: int) -> NDArray[np.bool_]:
        return self.pooled(self.targets(Span(clip, 0, self.extent(clip))), clip)

    def pooled(self, active: NDArray[np.bool_], clip: int) -> NDArray[np.bool_]:
        """Whether any frame of each whole segment is active: (F, any number) -> (N, it)."""
        whole = len(active) // self.frames_a_segment
        cut = active[: whole * self.frames_a_segment]
        blocks = cut.reshape(whole, self.frames_a_segment, active.shape[1])
        return np.asarray(blocks.any(axis=1), np.bool_)


def _stated_hop_ms(frame_rate: float) -> float:
    """The hop in ms that a rate was made from: rounding decides on which side of an edge a time is.

    1000 / (1000 / 30) is a little less than 30.
    """
    hop = 1000 / frame_rate
    short = float(f"{hop:.12g}")
    return short if 1000 / short == frame_rate else hop
