"""Note F1: against mir_eval and by hand; notes of frames against a loop."""

from __future__ import annotations

import math
from typing import Any

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.metric import NoteScores, note_scores, notes_of_frames
from earmark.tasks.spec import Event


def by_mir_eval(
    reference: list[Event], estimated: list[Event], tolerance_s: float = 0.05
) -> tuple[float, float, float]:
    """Offsets aside; class 0 is MIDI 21."""
    intervals, pitches = [], []
    for notes in (reference, estimated):
        intervals.append(np.array([note[:2] for note in notes]).reshape(-1, 2))
        pitches.append(mir_eval.util.midi_to_hz(np.array([21.0 + note.label for note in notes])))
    precision, recall, f1, _ = mir_eval.transcription.precision_recall_f1_overlap(
        intervals[0],
        pitches[0],
        intervals[1],
        pitches[1],
        onset_tolerance=tolerance_s,
        offset_ratio=None,
    )
    return precision, recall, f1


def notes_by_looping(active: Any, rate: float) -> list[Event]:
    """Class by class, frame by frame."""
    found = []
    for label in range(active.shape[1]):
        start = None
        for k in range(len(active)):
            if active[k, label] and start is None:
                start = k
            if not active[k, label] and start is not None:
                found.append(Event(start / rate, k / rate, label))
                start = None
        if start is not None:
            found.append(Event(start / rate, len(active) / rate, label))
    return found


def played(*onsets: float, label: int = 39) -> list[Event]:
    return [Event(onset, onset + 0.3, label) for onset in onsets]


# --------------------------------------------------------------------------------------- by hand


def test_scores_by_hand() -> None:
    """Three notes; found: one, one a semitone off, one 60 ms late, and one out of nowhere."""
    reference = [Event(0, 1, 39), Event(1, 2, 43), Event(2, 3, 46)]
    estimated = [Event(0.03, 0.2, 39), Event(1, 2, 44), Event(2.06, 3, 46), Event(5, 6, 39)]
    precision, recall = 1 / 4, 1 / 3
    # F1 = 2 hits / (notes found + notes there) = 2 / (4 + 3)
    assert note_scores(reference, estimated) == pytest.approx((precision, recall, 2 / 7))
    assert by_mir_eval(reference, estimated) == pytest.approx((precision, recall, 2 / 7))


def test_offsets_do_not_count() -> None:
    assert note_scores([Event(1, 9, 0)], [Event(1, 1.01, 0)]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("reference", "estimated", "hits"),
    [
        ([1.0], [1.02, 1.03], 1),  # a note counts once, however often it is found
        ([1.0, 1.02], [1.01], 1),
        ([1.0, 1.04], [0.96, 1.0], 2),  # 0.96 must not be kept for later, nor 1.0 for itself
        ([1.0, 1.06], [1.03, 1.10], 2),
        ([1.0, 1.06], [1.05, 1.02], 2),  # order of what is found does not count
        ([1.0, 1.1, 1.2], [1.05, 1.15, 1.25], 3),
        ([1.0, 1.0], [1.0, 1.0], 2),
        ([1.0], [1.05], 1),  # exactly the tolerance: 1.05 - 1.0 is 0.050000000000000044
        ([1.0], [0.95], 1),
        ([1.0], [1.05004], 1),  # rounded to 0.1 ms, as mir_eval does
        ([1.0], [1.05006], 0),
        ([1.0], [0.9499], 0),
        ([1.0, 2.0], [1.4], 0),
        ([1.0, 2.0], [2.0], 1),  # a note that was missed does not stop the search
        ([2.0], [1.0, 2.0], 1),
    ],
)
def test_matching_by_hand(reference: list[float], estimated: list[float], hits: int) -> None:
    scores = note_scores(played(*reference), played(*estimated))
    expected = hits / len(estimated), hits / len(reference)
    assert scores[:2] == pytest.approx(expected)
    assert by_mir_eval(played(*reference), played(*estimated))[:2] == pytest.approx(expected)


def test_another_pitch_never_matches() -> None:
    assert note_scores(played(1.0, label=3), played(1.0, label=4)) == (0, 0, 0)


def test_another_tolerance() -> None:
    assert note_scores(played(1.0), played(1.08)) == (0, 0, 0)
    assert note_scores(played(1.0), played(1.08), tolerance_s=0.1) == (1, 1, 1)


def test_nothing_to_find_is_nan_and_nothing_found_is_0() -> None:
    assert all(math.isnan(value) for value in note_scores([], []))
    assert all(math.isnan(value) for value in note_scores([], played(1.0)))
    assert note_scores(played(1.0), []) == NoteScores(0.0, 0.0, 0.0)


# ------------------------------------------------------------------------------ against mir_eval

# Onsets on a grid of 10 ms or 0.1 ms, so that distances of about 50 ms and repeated notes are many.
COARSE = st.integers(0, 60).map(lambda n: n / 100)
FINE = st.integers(0, 40).flatmap(
    lambda n: st.sampled_from([0.0, 0.0499, 0.05, 0.0501, 0.1]).map(lambda more: n / 20 + more)
)
# 10 us steps around the tolerance, where mir_eval rounds
NEAR = st.integers(-12, 12).map(lambda n: round(0.05 + n / 100_000, 5))


def notes(onsets: st.SearchStrategy[float], pitches: int) -> st.SearchStrategy[list[Event]]:
    note = st.tuples(onsets, st.integers(0, pitches - 1))
    return st.lists(note.map(lambda one: Event(one[0], one[0] + 0.2, one[1])), max_size=14)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([COARSE, FINE]), st.integers(1, 3), st.data())
def test_scores_as_mir_eval(
    onsets: st.SearchStrategy[float], pitches: int, data: st.DataObject
) -> None:
    reference, estimated = (data.draw(notes(onsets, pitches)) for _ in range(2))
    scores = note_scores(reference, estimated)
    if reference:
        assert scores == pytest.approx(by_mir_eval(reference, estimated))
    else:
        assert all(math.isnan(value) for value in scores)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 200_000), NEAR, st.booleans())
def test_onsets_near_the_tolerance_as_mir_eval(
    hundredths_of_ms: int, apart: float, swapped: bool
) -> None:
    first = hundredths_of_ms / 100_000
    pair = [played(first), played(first + apart)]
    reference, estimated = pair[::-1] if swapped else pair
    assert note_scores(reference, estimated) == by_mir_eval(reference, estimated)


# ------------------------------------------------------------------------------- notes of frames


def test_notes_of_frames_by_hand() -> None:
    active = np.array([[1, 0], [1, 0], [0, 0], [1, 1], [0, 1]], bool)
    found = sorted(notes_of_frames(active, 10))
    assert found == [(0.0, 0.2, 0), (0.3, 0.4, 0), (0.3, 0.5, 1)]


def test_a_long_note_is_one_and_silence_none() -> None:
    assert notes_of_frames(np.ones((7, 1), bool), 7) == [(0, 1, 0)]
    assert notes_of_frames(np.zeros((7, 3), bool), 7) == []
    assert notes_of_frames(np.zeros((0, 3), bool), 7) == []


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 30),
    st.integers(1, 4),
    st.sampled_from([6.25, 25, 50, 99.9]),
    st.integers(0, 10_000),
)
def test_notes_of_frames_by_looping(frames: int, classes: int, rate: float, seed: int) -> None:
    active = np.random.default_rng(seed).random((frames, classes)) < 0.5
    assert sorted(notes_of_frames(active, rate)) == sorted(notes_by_looping(active, rate))


def test_notes_drawn_as_frames_come_back() -> None:
    """At 100 Hz a note is found within half a frame of its onset: all of them match."""
    rng = np.random.default_rng(0)
    reference = [
        Event(float(onset), float(onset) + 0.4, int(label))
        for onset, label in zip(
            np.arange(40) * 0.6 + rng.uniform(0, 0.1, 40), rng.integers(0, 87, 40), strict=True
        )
    ]
    centres = (np.arange(2500) + 0.5) / 100
    active = np.zeros((2500, 87), bool)
    for onset, offset, label in reference:
        active[(centres >= onset) & (centres < offset), label] = True
    found = notes_of_frames(active, 100)
    assert note_scores(reference, found, tolerance_s=0.0051) == (1, 1, 1)
