"""From heads and neighbours to scores: metric, spread over seeds, interval over sources."""

from __future__ import annotations

from dataclasses import replace

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.splits import make_splits
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.score.captions import score_captions
from earmark.benchmark.score.clips import score_clips
from earmark.benchmark.score.events import score_timed
from earmark.benchmark.score.majority import majority_score
from earmark.benchmark.score.presence import class_presence
from earmark.benchmark.score.scored import Scored
from earmark.benchmark.score.shots import add_shots
from earmark.benchmark.score.transcripts import score_transcripts
from earmark.tasks import TaskSpec

__all__ = ["Scored", "add_shots", "score_items"]


def score_items(
    items: Items,
    spec: TaskSpec,
    protocol: Protocol,
    *,
    frame_rate: float = 0.0,
    device: str = "cpu",
    track: ProgressFactory = no_progress,
) -> Scored:
    """Train and test every probe of a task on its items.

    frame_rate: of the encoder, in Hz; where the task is scored by frames. track: what shows the
    progress.
    """
    splits = make_splits(items, spec, protocol)
    if spec.by_frame:
        by_frame = score_transcripts if spec.label.kind == "transcript" else score_timed
        scored = by_frame(items, splits, spec, protocol, frame_rate, device, track)
    else:
        by_clip = score_captions if spec.label.kind == "captions" else score_clips
        scored = by_clip(items, splits, spec, protocol, device, track)
    floor = majority_score(items, splits, scored.predictions, spec, protocol)
    for score in scored.scores.values():
        score.majority = floor
    return replace(
        scored,
        parts={split.name: split.sizes for split in splits},
        classes=class_presence(items, splits, spec),
    )
