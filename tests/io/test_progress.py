"""Progress: what a line says, when there is one, and sizes and times as people say them."""

from __future__ import annotations

import io

import pytest

from earmark.benchmark.io import progress
from earmark.benchmark.io.progress import Progress, format_bytes, format_duration, no_progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the clock shows."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_come_after_two_seconds_and_then_every_fifteen(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress("embed", 100, "clips", stream=stream) as work:
        for _ in range(40):
            clock[0] += 1
            work.advance(1)
    times = [int(line.split()[1].split("/")[0]) for line in stream.getvalue().splitlines()]
    assert times == [2, 17, 32]


def test_a_line_tells_what_is_left_by_the_pace_of_this_run(clock: list[float]) -> None:
    with Progress("train", 100, "steps", stream=io.StringIO()) as work:
        work.resume(40)
        assert work.line() == "train: 40/100 steps"  # nothing is known of the pace
        clock[0] += 30
        work.advance(10)
        assert work.line() == "train: 50/100 steps, about 2 min 30 s left"
        work.show("loss 0.5")
        assert work.line() == "train: 50/100 steps, loss 0.5, about 2 min 30 s left"
        work.to(100, 100)
        assert work.line() == "train: 100/100 steps, loss 0.5"


def test_audio_is_counted_in_hours_and_speed(clock: list[float]) -> None:
    with Progress("embed", 2, "clips", stream=io.StringIO()) as work:
        clock[0] += 36
        work.advance(1, audio_seconds=3600)
        assert work.line() == "embed: 1/2 clips, 1.00 h of audio, 100 x real time, about 36 s left"


def test_quiet_work_says_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with no_progress("embed", 2, "clips") as work:
        clock[0] += 100
        work.advance(2)
    assert work.done == 2
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"),
        (3599.7, "1 h 0 min"), (7500, "2 h 5 min"), (360_000, "100 h 0 min"),
    ],
)  # fmt: skip
def test_durations(seconds: float, said: str) -> None:
    assert format_duration(seconds) == said


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (5_300_000, "5.30 MB"),
        (53_000_000, "53.0 MB"), (999_499, "999 kB"), (999_500, "1.00 MB"),
        (1_240_000_000, "1.24 GB"), (5 * 10**15, "5000 TB"),
    ],
)  # fmt: skip
def test_sizes(size: int, said: str) -> None:
    assert format_bytes(size) == said
