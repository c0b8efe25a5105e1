"""Released weights tell models apart, beyond their intervals: what must not get lost unnoticed.

`results/inwheel.md` has the scores on whole data sets; here are small parts of some of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import REPOSITORY

from earmark import compare, evaluate

pytestmark = pytest.mark.usefixtures("packages")


def gap(
    first: str, second: str, task: str, room: Path, probe: str, *, data: Path | None, limit: int
) -> tuple[float, float]:
    """The interval of the first's score less the second's: a paired test over sources."""
    for result in evaluate(
        [first, second], task, data=data or "synthetic", results=room, cache=room / "cache",
        seeds=1, limit=limit, device="cpu", workers=1,
    ):  # fmt: skip
        assert result.error is None
    (found,) = compare(first, second, room, probe=probe, cache=room / "cache")
    (row,) = found.tasks
    low, high = row.difference.low, row.difference.high
    assert low is not None and high is not None
    return low, high


def test_the_voice_model_is_ahead_on_voices(tmp_path: Path) -> None:
    """kNN on made-up speakers: of the mel spectrum alone a neighbour is often someone else."""
    low, _ = gap("resemblyzer:utterance", "logmel", "voxceleb1", tmp_path, "knn", data=None,
                 limit=60)  # fmt: skip
    assert low > 0


def test_the_music_model_is_ahead_on_music_and_by_what_it_learned(tmp_path: Path) -> None:
    """Ahead of the mel spectrum; and each of its own network with weights in another order."""
    for first, second in (
        ("musicnn", "logmel"), ("musicnn", "musicnn:permuted"),
        ("resemblyzer", "resemblyzer:permuted"),
    ):  # fmt: skip
        low, _ = gap(first, second, "gtzan", tmp_path, "linear", data=None, limit=5)
        assert low > 0, (first, second)


@pytest.mark.parametrize("first", ["musicnn", "resemblyzer"])
def test_both_are_ahead_on_real_sounds(first: str, real_data: Path, tmp_path: Path) -> None:
    second = {"musicnn": "logmel", "resemblyzer": "resemblyzer:permuted"}[first]
    low, _ = gap(first, second, "esc50", tmp_path, "linear", data=real_data, limit=20)
    assert low > 0


def test_the_voice_model_is_ahead_on_real_digits(real_data: Path, tmp_path: Path) -> None:
    task = str(REPOSITORY / "tests" / "data" / "fsdd.yaml")
    low, _ = gap("resemblyzer", "logmel", task, tmp_path, "linear", data=real_data, limit=60)
    assert low > 0
