"""Segment F1: by hand, against scikit-learn, and segments against loops in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from earmark.benchmark.metric import (
    f1_of_counts,
    segment_counts,
    segment_f1,
    segment_total,
    segments_of_events,
    segments_of_frames,
)
from earmark.tasks.spec import Event

RATES = ["6.25", "25", "50", "99.9"]


def total_by_looping(seconds: Fraction, segment: Fraction) -> int:
    """Segments are added until they reach the clip's end."""
    total = 1
    while total * segment < seconds:
        total += 1
    return total


def events_by_looping(
    events: list[tuple[Fraction, Fraction, int]], seconds: Fraction, segment: Fraction, classes: int
) -> Any:
    """A segment is positive where it and an event have a stretch of time in common."""
    total = total_by_looping(seconds, segment)
    found = np.zeros((total, classes), bool)
    for n in range(total):
        for onset, offset, label in events:
            if max(onset, n * segment) < min(offset, (n + 1) * segment):
                found[n, label] = True
    return found


def frames_by_looping(active: Any, rate: Fraction, total: int, segment: Fraction) -> Any:
    """Frame by frame: whose centre lies in the segment; if none does, the one around its middle."""
    found = np.zeros((total, active.shape[1]), bool)
    for n in range(total):
        inside = [
            k
            for k in range(len(active))
            if n * segment <= (k + Fraction(1, 2)) / rate < (n + 1) * segment
        ]
        if not inside:
            middle = (n + Fraction(1, 2)) * segment
            around = [k for k in range(len(active)) if k / rate <= middle < (k + 1) / rate]
            inside = around or [len(active) - 1]
        for k in inside:
            found[n] |= active[k]
    return found


def active_frames(events: list[tuple[float, float, int]], seconds: float, rate: float) -> Any:
    """What a perfect probe would say: active where a frame's centre is inside an event."""
    frames = math.ceil(seconds * rate)
    active = np.zeros((frames, 2), bool)
    for k in range(frames):
        for onset, offset, label in events:
            active[k, label] |= onset <= (k + 0.5) / rate < offset
    return active


def column(*segments: int, total: int) -> Any:
    found = np.zeros((total, 1), bool)
    found[list(segments)] = True
    return found


# ------------------------------------------------------------------------------------- golden F1

# Four segments of three classes; class 2 is not in the reference, though predicted once.
REFERENCE = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 0]], bool)
PREDICTED = np.array([[1, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 0]], bool)


def test_counts_by_hand() -> None:
    # class 0: segments 0 and 1 right, 2 wrong; class 1: 1 right, 2 and 3 missed; class 2: 1 wrong
    assert segment_counts(REFERENCE, PREDICTED).tolist() == [[2, 1, 0], [1, 0, 2], [0, 1, 0]]


def test_macro_leaves_out_a_class_that_the_reference_lacks() -> None:
    # class 0: 2*2 / (2*2 + 1 + 0) = 4/5; class 1: 2*1 / (2*1 + 0 + 2) = 1/2; mean of the two
    assert segment_f1(REFERENCE, PREDICTED, "macro") == pytest.approx((4 / 5 + 1 / 2) / 2)


def test_micro_counts_what_is_wrong_in_every_class() -> None:
    # 3 right, 2 wrong, 2 missed: 6 / (6 + 2 + 2)
    assert segment_f1(REFERENCE, PREDICTED, "micro") == pytest.approx(6 / 10)


def test_class_never_predicted_is_0_and_counts() -> None:
    reference = np.array([[1, 1]], bool)
    predicted = np.array([[1, 0]], bool)
    assert segment_f1(reference, predicted, "macro") == pytest.approx((1 + 0) / 2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("average", ["macro", "micro"])
def test_an_empty_reference_is_nan(average: str) -> None:
    nothing = np.zeros((4, 3), bool)
    assert math.isnan(segment_f1(nothing, PREDICTED, average))
    assert math.isnan(segment_f1(nothing, nothing, average))
    assert segment_f1(REFERENCE, nothing, average) == 0
    assert segment_f1(REFERENCE, REFERENCE, average) == 1


def test_any_other_average_is_refused() -> None:
    with pytest.raises(ValueError, match="average must be macro or micro, not 'weighted'"):
        segment_f1(REFERENCE, PREDICTED, "weighted")


def test_many_counts_at_once_are_each_alone() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 3, (5, 4, 3, 3))
    for average in ("macro", "micro"):
        values = f1_of_counts(counts, average)
        assert values.shape == (5, 4)
        for place in np.ndindex(5, 4):
            alone = f1_of_counts(counts[place], average)
            np.testing.assert_array_equal(values[place], alone)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 10_000))
def test_f1_as_scikit_learn(total: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, predicted = rng.random((2, total, classes)) < rng.choice([0.1, 0.4, 0.8])
    known = np.flatnonzero(reference.any(axis=0))
    macro, micro = (segment_f1(reference, predicted, average) for average in ("macro", "micro"))
    if not len(known):
        assert math.isnan(macro) and math.isnan(micro)
        return
    by_class = [f1_score(reference[:, c], predicted[:, c], zero_division=0) for c in known]
    assert macro == pytest.approx(np.mean(by_class))
    assert micro == pytest.approx(f1_score(reference.ravel(), predicted.ravel()))


# ------------------------------------------------------------------------------ segments by hand


@pytest.mark.parametrize(
    ("seconds", "segment", "total"),
    [
        (10, 1, 10), (9.99, 1, 10), (10.01, 1, 11), (0.2, 1, 1), (0, 1, 1), (2.5, 1, 3),
        (0.3, 0.1, 3),  # 0.3 / 0.1 is 2.9999999999999996
        (0.6, 0.2, 3),  # 2.9999999999999996
        (0.1 + 0.2, 0.1, 3),  # 3.0000000000000004: no fourth segment
        (0.7, 0.1, 7), (2400.1, 0.1, 24_001),
        (1.00001, 1, 2),  # 10 microseconds are something
    ],
)  # fmt: skip
def test_number_of_segments(seconds: float, segment: float, total: int) -> None:
    assert segment_total(seconds, segment) == total


@pytest.mark.parametrize(
    ("onset", "offset", "segment", "positive"),
    [
        (1, 2, 1, [1]),  # begins and ends on an edge: that segment only
        (0.5, 2, 1, [0, 1]),
        (0.5, 2.001, 1, [0, 1, 2]),
        (0, 0.001, 1, [0]),
        (3.999, 4, 1, [3]),
        (0.3, 0.4, 0.1, [3]),  # 0.3 / 0.1 is below 3; 0.4 / 0.1 is 4
        (0.1 + 0.2, 0.4, 0.1, [3]),  # 0.30000000000000004
        (0.2, 0.1 + 0.2, 0.1, [2]),
        (0.6, 0.7, 0.1, [6]),  # 5.999999999999999 and 6.999999999999999
        (4.5, 9, 1, [4]),  # beyond the clip's end
        (7, 9, 1, []),
    ],
)
def test_segments_of_an_event(
    onset: float, offset: float, segment: float, positive: list[int]
) -> None:
    seconds = 5 * segment if segment == 1 else 1
    total = 5 if segment == 1 else 10
    found = segments_of_events([Event(onset, offset, 0)], seconds, segment, 1)
    assert found.tolist() == column(*positive, total=total).tolist()


def test_a_partial_last_segment_counts_as_any() -> None:
    """2.5 s in segments of 1 s: the third holds half a second, with an event and with frames."""
    reference = segments_of_events([Event(2.2, 2.4, 1), Event(0, 0.5, 0)], 2.5, 1, 2)
    assert reference.tolist() == [[True, False], [False, False], [False, True]]
    active = np.zeros((10, 2), bool)  # 4 Hz: centres at 0.125, 0.375, ... 2.375
    active[9, 1] = active[3, 0] = True
    predicted = segments_of_frames(active, 4, 3, 1)
    assert predicted.tolist() == [[True, False], [False, False], [False, True]]


def test_overlapping_events_of_a_class_are_one() -> None:
    events = [Event(0, 2, 0), Event(1, 3, 0), Event(1, 2, 1)]
    found = segments_of_events(events, 4, 1, 2)
    assert found.tolist() == [[True, False], [True, True], [True, False], [False, False]]


def test_frames_longer_than_a_segment() -> None:
    """2 Hz in segments of 0.1 s: centres 0.25 and 0.75 are in segments 2 and 7; the others take
    the frame around their middle, so each frame fills its five segments."""
    active = np.array([[False], [True]])
    found = segments_of_frames(active, 2, 12, 0.1)
    # segments 10 and 11 are past the last frame and take it
    assert found[:, 0].tolist() == [False] * 5 + [True] * 7


def test_middle_of_a_segment_on_the_edge_of_a_frame() -> None:
    """1.4 Hz, 0.4 s: the middle of segment 112 is 45 s, where frame 63 begins; as floats
    112.5 * 0.4 * 1.4 is 62.99999999999999. No frame's centre is in 44.8 to 45.2 s."""
    active = np.zeros((70, 1), bool)
    active[63] = True
    found = segments_of_frames(active, 1.4, 125, 0.4)[:, 0]
    # frame 63: 45 to 45.714 s, its centre 45.357 in segment 113; the middle of 113 is 45.4
    assert np.flatnonzero(found).tolist() == [112, 113]


def test_frame_with_its_centre_on_an_edge_is_of_the_later_segment() -> None:
    # 25 Hz: centres 0.02, 0.06, 0.10, 0.14, 0.18; 0.1 s segments
    active = np.array([[0], [0], [1], [0], [0]], bool)
    assert segments_of_frames(active, 25, 2, 0.1)[:, 0].tolist() == [False, True]
    # 5 Hz: centres 0.1, 0.3: on the edges of segments 1 and 3, as floats 1 and 2.9999999999999996
    active = np.array([[0], [1]], bool)
    assert segments_of_frames(active, 5, 4, 0.1)[:, 0].tolist() == [False, False, True, True]


def test_frames_beyond_the_last_segment_are_left_out() -> None:
    active = np.array([[0], [0], [0], [0], [1]], bool)
    assert not segments_of_frames(active, 2, 2, 1).any()


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [10, 9.37])
def test_same_segments_whatever_the_frame_rate(rate: str, seconds: float) -> None:
    """Events that begin and end a little inside of a segment, each wider than a frame."""
    events = [(0.1, 0.9, 0), (2.2, 4.8, 0), (4.1, 5.0, 1), (7.0, 8.0, 1), (9.0, 9.36, 0)]
    reference = segments_of_events([Event(*one) for one in events], seconds, 1, 2)
    active = active_frames(events, seconds, float(rate))
    predicted = segments_of_frames(active, float(rate), segment_total(seconds, 1), 1)
    assert reference[:, 0].tolist() == [n in (0, 2, 3, 4, 9) for n in range(10)]
    assert reference[:, 1].tolist() == [n in (4, 7) for n in range(10)]
    assert predicted.tolist() == reference.tolist()


# -------------------------------------------------------------------------- segments by looping

TENTHS_OF_MS = st.integers(0, 60_000)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 70), st.integers(1, 30), st.integers(0, 2)), max_size=6),
    st.integers(1, 65),
    st.sampled_from(["1", "0.1", "0.3", "0.7", "0.25"]),
)
def test_segments_of_events_by_looping(
    found: list[tuple[int, int, int]], tenths: int, segment: str
) -> None:
    """Times in tenths of a second fall on edges often; as floats few of them do exactly."""
    exact = [(Fraction(a, 10), Fraction(a + b, 10), c) for a, b, c in found]
    events = [Event(a / 10, (a + b) / 10, c) for a, b, c in found]
    expected = events_by_looping(exact, Fraction(tenths, 10), Fraction(segment), 3)
    result = segments_of_events(events, tenths / 10, float(segment), 3)
    assert result.tolist() == expected.tolist()


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 60),
    st.sampled_from([*RATES, "1.25", "2", "4", "5", "7.5", "11.5"]),
    st.sampled_from(["1", "0.1", "0.3", "0.7", "0.05"]),
    st.integers(1, 12),
    st.integers(0, 10_000),
)
def test_segments_of_frames_by_looping(
    frames: int, rate: str, segment: str, total: int, seed: int
) -> None:
    active = np.random.default_rng(seed).random((frames, 2)) < 0.3
    expected = frames_by_looping(active, Fraction(rate), total, Fraction(segment))
    result = segments_of_frames(active, float(rate), total, float(segment))
    assert result.tolist() == expected.tolist()


@settings(max_examples=100, deadline=None)
@given(TENTHS_OF_MS, st.sampled_from(["1", "0.1", "0.3"]))
def test_number_of_segments_by_looping(tenths_of_ms: int, segment: str) -> None:
    seconds = Fraction(tenths_of_ms, 10_000)
    expected = total_by_looping(seconds, Fraction(segment))
    assert segment_total(float(seconds), float(segment)) == expected
