"""Which stretch of which clip each step sees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_files import corpus

from earmark.encoders.dasheng.mel import token_counts
from earmark.encoders.dasheng.training import Corpus, TrainingError
from earmark.encoders.dasheng.training.corpus import CHUNK_SAMPLES, Sampler
from earmark.encoders.dasheng.training.processes import Processes

TOKEN = 640
CHUNK = 161_280  # 10.08 s
SECONDS = (3.0, 25.0, 0.1, 10.08, 0.5)


def told_apart(seconds=SECONDS):
    """A corpus in which every four samples tell where they are, and none is 0."""
    lengths = [round(16_000 * one) for one in seconds]
    samples = np.random.default_rng(0).integers(1, 32_767, sum(lengths)).astype(np.int16)
    groups = np.zeros(len(lengths), np.int64)
    return Corpus(samples, np.cumsum([0, *lengths]), groups, ["all"], "told apart")


AUDIO = told_apart()
PLACES = {
    AUDIO.samples[begin : begin + 4].tobytes(): int(begin)
    for first, end in itertools.pairwise(AUDIO.offsets)
    for begin in range(first, end, CHUNK)
}


def place(waveform):
    """Where a context begins in the corpus, and how many samples it has of it."""
    found = torch.round(waveform * 32_768).numpy().astype(np.int16)
    begin, own = PLACES[found[:4].tobytes()], int(np.count_nonzero(found))
    assert np.array_equal(found[:own], AUDIO.samples[begin : begin + own])
    return begin, own


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_chunks_are_those_of_the_encoder():
    assert CHUNK_SAMPLES == CHUNK


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10**6), tokens=st.sampled_from([1, 4, 252]))
@settings(max_examples=15, deadline=None)
def test_contexts_are_chunks_of_clips_and_crops_lie_in_them(seed, step, tokens):
    crops = Sampler(AUDIO, {}, tokens, seed).draw(step, range(3), 5)
    assert crops.waveforms.dtype == torch.float32
    assert crops.starts.shape == (3, 5)
    for waveform, length, starts in zip(*crops, strict=True):
        begin, own = place(waveform)  # the beginning of a chunk, then silence
        clip = int(np.searchsorted(AUDIO.offsets, begin, side="right")) - 1
        assert own == min(AUDIO.offsets[clip + 1] - begin, CHUNK)
        assert length == max(own, tokens * TOKEN)
        assert (starts >= 0).all()
        assert (starts + tokens <= token_counts(length)).all()
        assert len(waveform) >= (int(starts.max()) + tokens) * TOKEN


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10**6), parts=st.sampled_from([1, 2, 3, 6]))
@settings(max_examples=15, deadline=None)
def test_a_step_is_the_same_however_often_and_by_whomever_it_is_drawn(seed, step, parts):
    whole = Sampler(AUDIO, {}, 4, seed).draw(step, range(6), 2)
    again = Sampler(AUDIO, {}, 4, seed)
    again.draw(step + 1, range(6), 2)  # what was drawn before is of no account
    assert same(again.draw(step, range(6), 2), whole)
    begin = 0
    for rank in range(parts):
        own = Processes(rank, parts, torch.device("cpu")).part(6)
        part = again.draw(step, own, 2)
        rows = slice(begin, begin + len(own))
        begin += len(own)
        assert torch.equal(part.lengths, whole.lengths[rows])
        assert torch.equal(part.starts, whole.starts[rows])
        wide = min(part.waveforms.shape[1], whole.waveforms.shape[1])
        assert torch.equal(part.waveforms[:, :wide], whole.waveforms[rows, :wide])
        assert not part.waveforms[:, wide:].any()
    assert begin == 6


def test_steps_and_seeds_differ():
    sampler = Sampler(AUDIO, {}, 4, 0)
    one = sampler.draw(0, range(8), 2)
    assert not torch.equal(one.starts, sampler.draw(1, range(8), 2).starts)
    assert not torch.equal(one.starts, Sampler(AUDIO, {}, 4, 1).draw(0, range(8), 2).starts)


def clips_drawn(audio, shares, steps=40):
    """How often each clip is drawn, and how often each of the chunks of the longest."""
    sampler = Sampler(audio, shares, 4, 3)
    clips = np.zeros(len(audio.offsets) - 1)
    chunks = np.zeros(3)
    for step in range(steps):
        for waveform in sampler.draw(step, range(25), 1).waveforms:
            begin, _ = place(waveform)
            clip = int(np.searchsorted(audio.offsets, begin, side="right")) - 1
            clips[clip] += 1
            if clip == 1:
                chunks[(begin - audio.offsets[1]) // CHUNK] += 1
    return clips / clips.sum(), chunks / chunks.sum()


def test_audio_is_drawn_by_its_length():
    clips, chunks = clips_drawn(AUDIO, {})
    assert clips == pytest.approx(np.array(SECONDS) / sum(SECONDS), abs=0.04)
    assert chunks == pytest.approx(np.array([10.08, 10.08, 4.84]) / 25, abs=0.06)


def test_data_sets_are_drawn_by_their_shares():
    audio = Corpus(AUDIO.samples, AUDIO.offsets, np.array([0, 1, 0, 1, 2]), ["a", "b", "c"], "")
    clips, _ = clips_drawn(audio, {"b": 1.0, "c": 6.0, "a": 3.0})
    a, b = 3.0 + 0.1, 25.0 + 10.08
    expected = np.array([3 * 3.0 / a, 25.0 / b, 3 * 0.1 / a, 10.08 / b, 6.0]) / 10
    assert clips == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("shares", [{"a": 1.0}, {"noise0": 1.0, "b": 1.0}])
def test_shares_of_other_data_sets_are_refused(shares):
    with pytest.raises(TrainingError, match=r"the data sets are noise0, noise1$"):
        Sampler(corpus(1.0, 1.0, groups=(0, 1)), shares, 4, 0)


def test_no_audio():
    for offsets in ([0], [0, 0], [0, 5, 5]):
        with pytest.raises(TrainingError, match="no audio"):
            Corpus(np.zeros(5, np.int16), np.array(offsets), np.zeros(1), ["a"], "")


def test_samples_are_scaled_to_one():
    audio = Corpus(
        np.array([-32_768, 16_384, 32_767] * 400, np.int16), np.array([0, 1200]), np.array([0]),
        ["a"], "",
    )  # fmt: skip
    waveform = Sampler(audio, {}, 1, 0).draw(0, range(1), 1).waveforms[0]
    assert waveform[:3].tolist() == [-1.0, 0.5, 32_767 / 32_768]


def test_a_batch_that_cannot_be_shared():
    with pytest.raises(TrainingError, match=r"^5 contexts .* among 2 processes; choose batch"):
        Processes(0, 2, torch.device("cpu")).part(5)
