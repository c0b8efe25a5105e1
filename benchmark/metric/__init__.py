"""Metrics: pure functions of labels and predictions, one file a family.

Every value is a share in 0..1, higher is better, but for error rates. What cannot be computed is
NaN, never 0.
"""

from earmark.benchmark.metric.classification import (
    accuracy,
    average_precision,
    mean_average_precision,
)
from earmark.benchmark.metric.retrieval import (
    average_precision_at,
    first_rank,
    mean_recall,
    recall_at,
    recall_counts,
)
from earmark.benchmark.metric.sound_events import (
    f1_of_counts,
    segment_counts,
    segment_f1,
    segment_total,
    segments_of_events,
    segments_of_frames,
)
from earmark.benchmark.metric.speech_recognition import character_edits, share_right, word_edits
from earmark.benchmark.metric.transcription import NoteScores, note_scores, notes_of_frames

__all__ = [
    "NoteScores", "accuracy", "average_precision", "average_precision_at", "character_edits",
    "f1_of_counts", "first_rank", "mean_average_precision", "mean_recall", "note_scores",
    "notes_of_frames", "recall_at", "recall_counts", "segment_counts", "segment_f1",
    "segment_total", "segments_of_events", "segments_of_frames", "share_right", "word_edits",
]  # fmt: skip
