"""Mean, deviation and maximum of frames, against numpy in float64 clip by clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.embedding import pooling
from earmark.benchmark.embedding.pooling import deviation_and_maximum, pool
from earmark.encoders import Frames


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    dimension=st.integers(1, 9),
    offset=st.sampled_from([0.0, 100.0]),
    long=st.booleans(),
    padding=st.integers(0, 2),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=150, deadline=None)
def test_ragged_batches(
    lengths: list[int], dimension: int, offset: float, long: bool, padding: int, seed: int
) -> None:
    """Whichever way is taken, and whatever lies beyond a clip's own frames."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((len(lengths), max(lengths) + padding, dimension)) + offset
    values = values.astype(np.float32)
    for clip, length in enumerate(lengths):
        values[clip, length:] = rng.choice([np.nan, np.inf, -np.inf, 1e30])
    frames = Frames(torch.from_numpy(values), torch.tensor(lengths))
    means = pool(frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "_LONG", 0 if long else 1 << 30)
        spread = deviation_and_maximum(frames, means).numpy()
    for clip, length in enumerate(lengths):
        own = values[clip, :length].astype(np.float64)
        np.testing.assert_allclose(means[clip], own.mean(axis=0), rtol=1e-5, atol=1e-5)
        # of a float32 mean of 100 the deviation is off by its rounding
        np.testing.assert_allclose(spread[clip, 0], own.std(axis=0), rtol=1e-4, atol=3e-5)
        np.testing.assert_array_equal(spread[clip, 1], own.max(axis=0).astype(np.float32))


def test_one_frame_has_no_deviation() -> None:
    frames = Frames(torch.full((2, 3, 4), 7.1), torch.tensor([1, 1]))
    spread = deviation_and_maximum(frames, pool(frames))
    assert torch.equal(spread[:, 0], torch.zeros(2, 4))
    assert torch.equal(spread[:, 1], torch.full((2, 4), 7.1))
