"""Score a task: train and test its probes on embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.splits import make_splits
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.score.captions import score_captions
from earmark.benchmark.score.clips import score_clips
from earmark.benchmark.score.events import score_events, score_notes
from earmark.benchmark.score.majority import majority_score
from earmark.benchmark.score.presence import class_presence
from earmark.benchmark.score.scored import Scored, ScoreInputs
from earmark.benchmark.score.transcripts import score_transcripts
from earmark.tasks import TaskSpec

# By kind of label: what trains and tests its probes.
SCORERS: dict[str, Callable[[ScoreInputs], Scored]] = {
    "class": score_clips,
    "multilabel": score_clips,
    "events": score_events,
    "notes": score_notes,
    "captions": score_captions,
    "transcript": score_transcripts,
}


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

    Args:
        items: of the task, as `join_items` makes them.
        spec: says what is measured.
        protocol: says how.
        frame_rate: of the encoder, in Hz; where the task is scored by frames.
        device: `cpu` or `cuda`.
        track: what shows the progress.

    Returns:
        The scores of all probes, the predictions, and how many items were trained on.

    Raises:
        DataError: where a split or fold has no items to train or to test.
    """
    splits = make_splits(items, spec, protocol)
    inputs = ScoreInputs(items, splits, spec, protocol, frame_rate, device, track)
    scored = SCORERS[spec.label.kind](inputs)
    floor = majority_score(items, splits, scored.predictions, spec, protocol)
    for score in scored.scores.values():
        score.majority = floor
    return replace(
        scored,
        parts={split.name: split.sizes for split in splits},
        classes=class_presence(items, splits, spec),
    )
