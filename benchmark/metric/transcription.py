"""Note-level F1 of a transcription, by onset and pitch (conventions of mir_eval.transcription).

A note found is right where a note of the same pitch begins within the tolerance, offsets aside;
each note counts once, in a matching as large as there can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.tasks.spec import Event

ONSET_TOLERANCE_S = 0.05
_DECIMALS = 4  # to which mir_eval rounds the distance of onsets


class NoteScores(NamedTuple):
    """Shares in 0..1; all NaN where the reference has no note."""

    precision: float
    recall: float
    f1: float


def notes_of_frames(active: NDArray[np.bool_], frame_rate: float) -> list[Event]:
    """Notes of active frames: every run of a class is one.

    A frame is active where its centre is inside a note, so a note begins between the centre of the
    run's first frame and that of the frame before: its onset is taken halfway, at the frame's edge.

    Args:
        active: (F, C).
        frame_rate: in Hz.

    Returns:
        Notes, by class and onset. label: the class, not the MIDI number.
    """
    edges = np.zeros((len(active) + 2, active.shape[1]), np.int8)
    edges[1:-1] = active
    change = np.diff(edges, axis=0).T
    classes, starts = np.nonzero(change > 0)
    _, ends = np.nonzero(change < 0)
    return [
        Event(float(start) / frame_rate, float(end) / frame_rate, int(label))
        for label, start, end in zip(classes, starts, ends, strict=True)
    ]


def note_scores(
    reference: Sequence[Event], estimated: Sequence[Event], tolerance_s: float = ONSET_TOLERANCE_S
) -> NoteScores:
    """Precision, recall and F1 of the notes of one recording.

    Args:
        reference: what is played.
        estimated: what was found.
        tolerance_s: by which onsets may differ, in seconds.

    Returns:
        Shares in 0..1; all NaN where the reference has no note.

    Example:
        >>> note_scores([Event(0.0, 1.0, 5), Event(1.0, 2.0, 7)], [Event(0.02, 0.5, 5)])
        NoteScores(precision=1.0, recall=0.5, f1=0.6666666666666666)
    """
    if not reference:
        return NoteScores(float("nan"), float("nan"), float("nan"))
    by_pitch = _onsets(estimated)
    hits = sum(
        _matched(onsets, by_pitch.get(pitch, []), tolerance_s)
        for pitch, onsets in _onsets(reference).items()
    )
    if not hits:
        return NoteScores(0.0, 0.0, 0.0)
    precision, recall = hits / len(estimated), hits / len(reference)
    return NoteScores(precision, recall, 2 * precision * recall / (precision + recall))


def _onsets(notes: Iterable[Event]) -> dict[int, list[float]]:
    onsets: dict[int, list[float]] = {}
    for note in sorted(notes):
        onsets.setdefault(note.label, []).append(note.onset)
    return onsets


def _matched(reference: list[float], estimated: list[float], tolerance_s: float) -> int:
    """Size of the largest matching of two sorted lists; the earliest that fits is never worse."""
    hits = place = 0
    for onset in reference:
        while place < len(estimated) and round(onset - estimated[place], _DECIMALS) > tolerance_s:
            place += 1
        if place == len(estimated):
            break
        if round(estimated[place] - onset, _DECIMALS) <= tolerance_s:
            hits += 1
            place += 1
    return hits
