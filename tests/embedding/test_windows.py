"""Clips padded and cut for encoders of bounded lengths, against sums made by hand in numpy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clips import audio_bytes, clip_members, write_tar
from fitted_encoders import RATE, Both, OneVector, SevenFrames, TenHertz
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.embedding.collectors import EmbeddingRequest, EmbedSettings, FileOrder
from earmark.benchmark.embedding.embed import ShardJob, embed_shards
from earmark.benchmark.embedding.windows import Limits, join_frames, limits_of, pieces_of, placed
from earmark.benchmark.shards.shard import read_shard
from earmark.benchmark.store import ShardEmbeddings
from earmark.encoders import AudioEncoder

# a second is 1000 samples: shorter, one short of it, exactly, one over, and of several windows
LENGTHS = [1, 40, 250, 999, 1000, 1001, 1049, 1051, 1999, 2000, 2001, 2750, 5300]


def waves(lengths: list[int], seed: int = 0) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-0.5, 0.5, n).astype(np.float32) for n in lengths]


def embedded(
    folder: Path, clips: list[NDArray[np.float32]], encoder: AudioEncoder, frames: bool = False,
    batch_seconds: float = 3.0, order: FileOrder | None = None, crop_seconds: float | None = None,
) -> ShardEmbeddings:  # fmt: skip
    members = [
        member
        for i, clip in enumerate(clips)
        for member in clip_members(f"k{i:03d}", audio_bytes(clip, RATE, "wav", "FLOAT"), {})
    ]
    shard = read_shard(write_tar(folder / "s.tar", members))
    pipeline = AudioPipeline(RATE, crop_seconds)
    request = EmbeddingRequest(encoder.eval(), pipeline, frames, order)
    done: list[int] = []
    ((entry,),) = embed_shards(
        [ShardJob(shard, (request,))],
        EmbedSettings("cpu", batch_seconds, 2, folder),
        lambda count, _: done.append(count),
    )
    assert entry.failures == [] and sum(done) == len(clips)
    return entry


def windows(clip: NDArray[np.float32], least: int, most: int | None) -> list[NDArray[np.float64]]:
    """By hand: the clip in windows, as float64, without padding."""
    step = most or len(clip)
    return [clip[i : i + step].astype(np.float64) for i in range(0, len(clip), step)]


def blocks_by_hand(clip: NDArray[np.float32], least: int, most: int | None) -> list[list[Any]]:
    """Of each window the (mean, loudness) of each 100 samples whose middle is in its audio."""
    found = []
    for window in windows(clip, least, most):
        length = max(least, len(window))
        samples = np.concatenate([window, np.zeros(max(100, length) - len(window))])
        count = max(1, length // 100)
        rows = [samples[i * 100 : (i + 1) * 100] for i in range(count)]
        if length > len(window):
            rows = [row for i, row in enumerate(rows) if i == 0 or i * 100 + 50 < len(window)]
        found.append([[row.mean(), np.abs(row).mean()] for row in rows])
    return found


BOUNDS = {
    "fixed": {"fixed_seconds": 1.0}, "least": {"min_seconds": 0.9}, "most": {"max_seconds": 1.0},
    "both": {"min_seconds": 0.3, "max_seconds": 2.0}, "any": {},
}  # fmt: skip


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("batch_seconds", [0.001, 3.0, 1000.0])
def test_frames_of_padding_are_dropped_and_windows_count_by_their_audio(
    tmp_path: Path, bounds: str, batch_seconds: float
) -> None:
    encoder = TenHertz(**BOUNDS[bounds])
    least, most = limits_of(encoder)
    clips = waves(LENGTHS)
    entry = embedded(tmp_path, clips, encoder, batch_seconds=batch_seconds)
    assert entry.spread is not None
    for clip, mean, (deviation, maximum) in zip(clips, entry.embeddings, entry.spread, strict=True):
        parts = [np.array(rows) for rows in blocks_by_hand(clip, least, most)]
        # as if each frame of a window were as heavy as its share of the clip's samples
        weights = np.concatenate(
            [
                np.full(len(rows), len(window) / len(clip) / len(rows))
                for rows, window in zip(parts, windows(clip, least, most), strict=True)
            ]
        )
        frames = np.concatenate(parts)
        wanted = weights @ frames
        assert np.allclose(mean, wanted, atol=1e-6)
        assert np.allclose(deviation, np.sqrt(weights @ (frames - wanted) ** 2), atol=1e-6)
        assert np.allclose(maximum, frames.max(axis=0), atol=1e-6)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_one_vector_a_clip_is_the_mean_of_its_windows(tmp_path: Path, bounds: str) -> None:
    encoder = OneVector(**BOUNDS[bounds])
    least, most = limits_of(encoder)
    clips = waves(LENGTHS, seed=1)
    entry = embedded(tmp_path, clips, encoder)
    assert entry.spread is not None and entry.frames is None
    for clip, mean, (deviation, maximum) in zip(clips, entry.embeddings, entry.spread, strict=True):
        wanted = np.zeros(2)
        for window in windows(clip, least, most):
            length = max(least, len(window))
            largest = max(window.max(), 0.0) if length > len(window) else window.max()
            vector = np.array([np.square(window).sum() / length, largest])
            wanted += len(window) / len(clip) * vector
        assert np.allclose(mean, wanted, atol=1e-6)
        assert not deviation.any() and np.array_equal(maximum, mean)


def test_a_scene_is_what_clips_have_and_frames_are_what_frame_tasks_have(tmp_path: Path) -> None:
    clips = waves([400, 1000, 2500], seed=2)
    scenes = embedded(tmp_path, clips, Both(fixed_seconds=1.0))
    assert scenes.embeddings.shape == (3, 3) and scenes.spread is not None
    assert not scenes.spread[:, 0].any()
    short, exact, long = (clip.astype(np.float64) for clip in clips)
    assert np.allclose(scenes.embeddings[0], [short[0], 0, 1], atol=1e-6)
    assert np.allclose(scenes.embeddings[1], [exact[0], exact[999], 1], atol=1e-6)
    thirds = [[long[0], long[999]], [long[1000], long[1999]], [long[2000], 0]]
    assert np.allclose(scenes.embeddings[2, :2], np.array([0.4, 0.4, 0.2]) @ thirds, atol=1e-6)
    frames = embedded(tmp_path, clips, Both(fixed_seconds=1.0), frames=True)
    assert frames.frames == [4, 10, 25] and frames.embeddings.shape == (39, 2)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_frames_of_windows_lie_where_they_are_in_time(tmp_path: Path, bounds: str) -> None:
    """Windows of whole frames: nothing but the frames of the whole clip."""
    clips = waves([n for n in LENGTHS if n >= 100], seed=3)
    entry = embedded(tmp_path, clips, TenHertz(**BOUNDS[bounds]), frames=True)
    assert entry.frames is not None
    first = 0
    for clip, count in zip(clips, entry.frames, strict=True):
        assert abs(count - len(clip) / 100) <= (1 if bounds == "any" else 0.5)
        whole = clip[: len(clip) // 100 * 100].astype(np.float64).reshape(-1, 100).mean(axis=1)
        own = min(count, len(whole))
        got = entry.embeddings[first : first + own, 0]
        assert np.allclose(got, whole[:own], atol=1e-3)
        first += count
    assert first == len(entry.embeddings)


def test_windows_of_half_a_frame_more_do_not_drift(tmp_path: Path) -> None:
    """A window of 1.05 s has 10 frames where 10.5 would be: each lies within half a frame."""
    clip = np.repeat(np.arange(105) / 200, 100).astype(np.float32)  # a step each frame
    entry = embedded(tmp_path, [clip], TenHertz(fixed_seconds=1.05), frames=True)
    assert entry.frames == [105]
    steps = entry.embeddings[:, 0].astype(np.float64) * 200
    assert np.abs(steps - np.arange(105)).max() <= 1.0  # half a step, and half of a mixed block


@pytest.mark.parametrize("frames", [False, True])
def test_a_rate_that_varies_is_placed_by_the_clips_own_length(tmp_path: Path, frames: bool) -> None:
    clips = waves([350, 700, 1400, 7000], seed=4)
    entry = embedded(tmp_path, clips, SevenFrames(), frames=frames)
    sevenths = [
        [clip[round(i * len(clip) / 7) : round((i + 1) * len(clip) / 7)].mean() for i in range(7)]
        for clip in clips
    ]
    if not frames:
        assert np.allclose(entry.embeddings[:, 0], np.mean(sevenths, axis=1), atol=1e-6)
        return
    assert entry.frames == [4, 7, 14, 70]  # ten a second
    got = np.split(entry.embeddings[:, 0].astype(np.float64), np.cumsum(entry.frames)[:-1])
    for clip, own, grid in zip(clips, sevenths, got, strict=True):
        for point, value in enumerate(grid):
            start, stop = point * 100, (point + 1) * 100
            middles = [(i + 0.5) * len(clip) / 7 for i in range(7)]
            inside = [own[i] for i, at in enumerate(middles) if start <= at < stop]
            if not inside:
                distances = [abs(at - (start + 50)) for at in middles]
                inside = [own[int(np.argmin(distances))]]
            assert math.isclose(value, np.mean(inside), abs_tol=1e-3)


def test_batches_of_a_file_are_cut_as_well(tmp_path: Path) -> None:
    """Of a batch in file order the padding to the longest is kept, and counts as audio."""
    clips = waves([500, 1500], seed=5)
    encoder = OneVector(fixed_seconds=1.0)
    entry = embedded(tmp_path, clips, encoder, order=FileOrder(2, False))
    short, long = (clip.astype(np.float64) for clip in clips)
    wanted = [2 / 3 * np.square(short).sum() / 1000, (np.square(long).sum() / 1000) * 2 / 3]
    wanted[1] = 2 / 3 * np.square(long[:1000]).sum() / 1000 + 1 / 3 * (
        np.square(long[1000:]).sum() / 1000
    )
    assert np.allclose(entry.embeddings[:, 0], wanted, atol=1e-6)
    assert list(encoder.seen) == [[1000, 1000], [1000, 1000]]


def test_batches_are_planned_by_what_the_encoder_is_given(tmp_path: Path) -> None:
    """A hundred clips of a hundredth of a second, padded to one each: three at once, not 300."""
    encoder = TenHertz(fixed_seconds=1.0)
    embedded(tmp_path, waves([10] * 100), encoder, batch_seconds=3.0)
    assert max(map(len, encoder.seen)) == 3
    encoder = TenHertz(fixed_seconds=1.0)
    embedded(tmp_path, waves([60_000]), encoder, batch_seconds=3.0)
    assert [len(one) for one in encoder.seen] == [3] * 20


def test_crops_are_cut_into_windows_one_by_one(tmp_path: Path) -> None:
    clips = waves([4000], seed=6)
    entry = embedded(tmp_path, clips, OneVector(fixed_seconds=1.5), crop_seconds=2.0)
    assert entry.crops == [2]
    for crop, row in zip(np.split(clips[0].astype(np.float64), 2), entry.embeddings, strict=True):
        first, rest = np.square(crop[:1500]).sum() / 1500, np.square(crop[1500:]).sum() / 1500
        assert math.isclose(row[0], 0.75 * first + 0.25 * rest, abs_tol=1e-6)


def test_what_was_padded_and_cut_is_counted(tmp_path: Path) -> None:
    clips = waves([1, 999, 1000, 1001, 3000])
    made = embedded(tmp_path, clips, TenHertz(fixed_seconds=1.0)).made
    assert (made["padded_clips"], made["cut_clips"]) == (2, 2)
    assert "cut_clips" not in embedded(tmp_path, clips, TenHertz()).made


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 900), st.none() | st.integers(900, 2000))
def test_pieces_hold_every_sample_once(samples: int, least: int, most: int | None) -> None:
    crop = np.arange(samples, dtype=np.float32)
    pieces = pieces_of(crop, Limits(least, most))
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), crop)
    assert all(piece.samples[0] == piece.start for piece in pieces)
    for piece in pieces:
        assert least <= piece.length and (most is None or piece.length <= most)
        assert piece.length == max(least, len(piece.samples))


@settings(max_examples=200, deadline=None)
@given(
    st.floats(0.5, 80), st.integers(1, 40), st.integers(50, 4000), st.booleans(),
)  # fmt: skip
def test_the_grid_is_made_of_the_frames_nearest_in_time(
    rate: float, count: int, samples: int, varies: bool
) -> None:
    """Any number of frames, too many or too few: each point has one that is near, or in it."""
    encoder = TenHertz(frame_rate=rate, frame_rate_varies=varies)
    values = np.arange(count, dtype=np.float16)[:, None]
    (piece,) = pieces_of(np.zeros(samples, np.float32), Limits())
    part = placed(encoder, values, count, piece)
    grid = join_frames(encoder, [part], samples)[:, 0].astype(np.float64)
    spacing = samples / count if varies else RATE / rate
    at = (np.arange(count) + 0.5) * spacing
    assert len(grid) == max(1, round(samples / RATE * rate))
    at = at[: max(1, int((np.round(at, 6) < samples).sum()))]
    for point, value in enumerate(grid):
        cell = at / RATE * rate
        own = np.flatnonzero((cell >= point - 1e-6) & (cell < point + 1 + 1e-6))
        off = np.abs(cell - (point + 0.5))
        near = np.flatnonzero(off <= off.min() + 1e-5)
        allowed = [values[near].min(), values[near].max()]
        if len(own):
            allowed += [values[own].min(), values[own].max()]
        assert min(allowed) - 0.01 <= value <= max(allowed) + 0.01


def test_a_frame_that_hangs_over_its_window_gives_way_to_the_next() -> None:
    encoder = TenHertz(fixed_seconds=1.0)
    pieces = pieces_of(np.zeros(2000, np.float32), Limits(1000, 1000))
    parts = [
        placed(encoder, np.full((12, 1), number, np.float16), 12, piece)
        for number, piece in enumerate(pieces)
    ]
    assert [len(part.values) for part in parts] == [10, 10]
    assert join_frames(encoder, parts, 2000)[:, 0].tolist() == [0] * 10 + [1] * 10
    assert torch.float16 == torch.from_numpy(join_frames(encoder, parts, 2000)).dtype
