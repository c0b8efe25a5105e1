"""Events and notes: each frame says what is active at its centre (binary cross-entropy)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.metric import (
    f1_of_counts,
    segment_counts,
    segment_total,
    segments_of_events,
    segments_of_frames,
)
from earmark.benchmark.probe.frames import BLOCK, Span
from earmark.tasks.spec import Event

_DECIMALS = 6  # of a frame, to which times are compared
_HELD = 1 << 28  # bytes of targets that are kept


class EventObjective:
    """Independent yes or no for each class and frame; judged by segment F1 of sigmoid >= 0.5.

    events: each item's; lengths: each item's number of frames; seconds: of each item's file.
    average: `macro` or `micro` F1. positive_weight: what a positive frame weighs in the loss.
    absent_classes: see `f1_of_counts`.
    """

    def __init__(
        self,
        events: Sequence[Sequence[Event]],
        lengths: Sequence[int],
        seconds: NDArray[np.float64],
        *,
        frame_rate: float,
        segment_s: float,
        classes: int,
        average: str,
        positive_weight: float = 1.0,
        absent_classes: str = "left out",
    ) -> None:
        self.outputs = classes
        self.events, self.lengths, self.seconds = events, lengths, seconds
        self.frame_rate, self.segment_s, self.average = frame_rate, segment_s, average
        self.positive_weight, self.absent_classes = positive_weight, absent_classes
        self._keeps = sum(lengths) * classes <= _HELD
        self._targets: dict[int, NDArray[np.bool_]] = {}

    def batches(
        self, clips: NDArray[np.int64], size: int, rng: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        order = rng.permutation(clips)
        return [order[i : i + size] for i in range(0, len(order), size)]

    def blocks(self, batch: NDArray[np.int64]) -> Iterator[list[Span]]:
        block: list[Span] = []
        room = BLOCK
        for clip, length in zip(batch.tolist(), self.trained_lengths(batch), strict=True):
            start = 0
            while start < length:
                stop = min(length, start + room)
                block.append(Span(clip, start, stop))
                room -= stop - start
                start = stop
                if room == 0:
                    yield block
                    block, room = [], BLOCK
        if block:
            yield block

    def trained_lengths(self, batch: NDArray[np.int64]) -> list[int]:
        """How many frames of each clip of a batch are in its loss."""
        return [self.lengths[clip] for clip in batch.tolist()]

    def extent(self, clip: int) -> int:
        return self.lengths[clip]

    def slope(
        self,
        logits: torch.Tensor,
        block: list[Span],
        batch: NDArray[np.int64],
        *,
        with_loss: bool = True,
    ) -> tuple[torch.Tensor, NDArray[np.float64]]:
        wanted = np.concatenate([self._known_targets(span) for span in block])
        target = torch.from_numpy(wanted).to(logits.device).float()[:, None, :]
        share = 1 / (sum(self.trained_lengths(batch)) * self.outputs)
        extra = self.positive_weight - 1
        slope = torch.sigmoid(logits)
        if extra:
            slope.mul_(1 + extra * target)
        slope.sub_(self.positive_weight * target).mul_(share)
        if not with_loss:
            return slope, np.zeros(logits.shape[1])
        # -[p y log s(x) + (1 - y) log(1 - s(x))] without overflow
        softplus = torch.nn.functional.softplus
        each = self.positive_weight * target * softplus(-logits) + (1 - target) * softplus(logits)
        loss: NDArray[np.float64] = each.double().sum(dim=(0, 2)).cpu().numpy() * share
        return slope, loss

    def _known_targets(self, span: Span) -> NDArray[np.bool_]:
        """As `targets`; those of a clip are worked out once where they all fit into memory."""
        if not self._keeps or span.stop > self.lengths[span.clip]:
            return self.targets(span)
        if span.clip not in self._targets:
            self._targets[span.clip] = self.targets(Span(span.clip, 0, self.lengths[span.clip]))
        return self._targets[span.clip][span.start : span.stop]

    def targets(self, span: Span) -> NDArray[np.bool_]:
        """Whether each class is active at the centre of each frame: (n, C)."""
        change = np.zeros((span.stop - span.start + 1, self.outputs), np.int32)
        if len(self.events[span.clip]):
            times = np.array([event[:2] for event in self.events[span.clip]])
            labels = np.array([event.label for event in self.events[span.clip]])
            edges = np.clip(self.edges(times), span.start, span.stop) - span.start
            np.add.at(change, (edges[:, 0], labels), 1)
            np.add.at(change, (edges[:, 1], labels), -1)
        active: NDArray[np.bool_] = np.cumsum(change, axis=0)[:-1] > 0
        return active

    def edges(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        """First frame and the frame after the last of events with these onsets and offsets in s.

        Frame j is inside where onset <= (j + 1/2) / rate < offset.
        """
        return np.ceil(np.round(times * self.frame_rate - 0.5, _DECIMALS)).astype(np.int64)

    def decide(self, logits: torch.Tensor) -> NDArray[np.bool_]:
        active: NDArray[np.bool_] = (logits >= 0).cpu().numpy()
        return active

    def decode(self, decided: NDArray[Any], clip: int) -> list[NDArray[np.uint8]]:
        """Each head's active frames (F, C), packed along C: those of hours are held at once."""
        return [np.packbits(one, axis=1) for one in decided.transpose(1, 0, 2)]

    def active(self, packed: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """The active frames (F, C) that `decode` packed."""
        return np.unpackbits(packed, axis=1, count=self.outputs).astype(np.bool_)

    def quality(self, predicted: list[list[Any]], clips: NDArray[np.int64]) -> list[float]:
        counts = sum(
            self.counts(frames, clip)
            for frames, clip in zip(predicted, clips.tolist(), strict=True)
        )
        return [float(np.nan_to_num(f1)) for f1 in self.f1(np.asarray(counts))]

    def f1(self, counts: NDArray[Any]) -> NDArray[np.float64]:
        """F1 of summed counts (..., C, 3) -> (...)."""
        return f1_of_counts(counts, self.average, self.absent_classes)

    def segments(self, clip: int) -> NDArray[np.bool_]:
        """What is true of a clip's segments: (N, C)."""
        return segments_of_events(
            self.events[clip], float(self.seconds[clip]), self.segment_s, self.outputs
        )

    def predicted_segments(self, packed: NDArray[np.uint8], clip: int) -> NDArray[np.bool_]:
        """What a head's prediction says of a clip's segments: (N, C)."""
        return self.pooled(self.active(packed), clip)

    def pooled(self, active: NDArray[np.bool_], clip: int) -> NDArray[np.bool_]:
        """Whether any frame of a clip's segments is active: (F, any number) -> (N, it)."""
        total = segment_total(float(self.seconds[clip]), self.segment_s)
        return segments_of_frames(active, self.frame_rate, total, self.segment_s)

    def counts(self, predicted: list[NDArray[np.uint8]], clip: int) -> NDArray[np.int64]:
        """True positives, false positives, false negatives of a clip: (S, C, 3)."""
        reference = self.segments(clip)
        every = np.concatenate([self.active(one) for one in predicted], axis=1)
        counts = segment_counts(np.tile(reference, len(predicted)), self.pooled(every, clip))
        return counts.reshape(len(predicted), self.outputs, 3)
