"""Windows of frames, against frames put together one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.probe.frames import Span
from earmark.benchmark.probe.standard import FrameFeatures, Standard
from earmark.benchmark.probe.windows import Windowed


def by_hand(frames: np.ndarray, reach: int) -> np.ndarray:
    """Row j: frames j - reach to j + reach side by side, at the ends the first and the last."""
    rows = []
    for j in range(len(frames)):
        row: list[float] = []
        for i in range(j - reach, j + reach + 1):
            row += frames[min(max(i, 0), len(frames) - 1)].tolist()
        rows.append(row)
    return np.array(rows, frames.dtype).reshape(len(frames), -1)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 4), st.sampled_from([0, 1, 2, 4]), st.integers(0, 12),
    st.integers(0, 12), st.integers(0, 99),
)  # fmt: skip
def test_any_rows_are_those_made_by_hand(
    length: int, width: int, reach: int, start: int, stop: int, seed: int
) -> None:
    """A clip that lies between two others in one array takes no frame of theirs."""
    rng = np.random.default_rng(seed)
    shard = rng.standard_normal((length + 10, width)).astype(np.float16)
    frames = shard[5 : 5 + length]
    windows, wanted = Windowed(frames, reach), by_hand(frames, reach)
    assert np.array_equal(windows[start:stop], wanted[start:stop])
    assert np.array_equal(np.asarray(windows), wanted)
    assert np.array_equal(np.concatenate([windows, windows]), np.concatenate([wanted, wanted]))
    assert (len(windows), windows.shape, windows.size) == (len(wanted), wanted.shape, wanted.size)
    assert windows.dtype == np.asarray(windows).dtype == np.float16


@pytest.mark.parametrize("held", [True, False])
def test_heads_see_the_same_as_of_arrays(held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept in memory or read block by block, with rows beyond a clip's end."""
    if not held:
        monkeypatch.setattr("earmark.benchmark.probe.standard.HELD", 0)
    rng = np.random.default_rng(0)
    frames = [rng.standard_normal((length, 3)).astype(np.float16) for length in (7, 1, 20)]
    spans = [Span(0, 2, 7), Span(1, 0, 1), Span(2, 5, 23)]
    found = []
    for seen in ([Windowed(own, 2) for own in frames], [by_hand(own, 2) for own in frames]):
        standard = Standard.over(seen)
        features = FrameFeatures(seen, standard.of, "cpu", np.arange(3))
        found.append((standard.mean, standard.factor, features.rows(spans)))
    for one, other in zip(*found, strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes()
