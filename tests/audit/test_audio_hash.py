"""What counts as the same audio, against hashes of whole arrays worked out here."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import Any

import numpy as np
import pytest
from clips import audio_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.audio import decode as audio
from earmark.benchmark.audio.decode import AudioError, decode, decode_blocks
from earmark.benchmark.audit.audio_hash import hash_audio

RATE = 16_000


def sound(count: int = 4000, seed: int = 0) -> Any:
    """16-bit noise that neither begins nor ends with a 0."""
    noise = np.random.default_rng(seed).integers(-20_000, 20_000, count).astype(np.int16)
    noise[[0, -1]] = 77
    return noise


def by_hand(samples: list[int], rate: int) -> tuple[str, int, int, bool]:
    """Hash, zeros at both ends and polarity of 16-bit samples, as the docstring defines them."""
    lead = next((i for i, sample in enumerate(samples) if sample), len(samples))
    core = samples[lead:]
    trail = 0
    while core and core[-1] == 0:
        core.pop()
        trail += 1
    inverted = bool(core) and core[0] < 0
    if inverted:
        core = [-sample for sample in core]
    digest = hashlib.sha256(b"".join(s.to_bytes(4, "little", signed=True) for s in core))
    digest.update(f"{rate} Hz".encode())
    return digest.hexdigest(), lead, trail, inverted


@settings(deadline=None)
@given(
    samples=st.lists(st.sampled_from([0, 0, 0, 1, -1, 500, -500, 32767, -32768]), min_size=1),
    rate=st.sampled_from([8000, 44_100]),
    block=st.integers(1, 9),
)
def test_hash_is_as_worked_out_by_hand_whatever_the_blocks(
    samples: list[int], rate: int, block: int
) -> None:
    data = audio_bytes(np.array(samples, np.int16), rate, subtype="PCM_16")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio, "_BLOCK", block)
        found = hash_audio(data)
    assert (found.sha256, found.lead, found.trail, found.inverted) == by_hand(list(samples), rate)
    assert (found.rate, found.samples, found.seconds) == (rate, len(samples), len(samples) / rate)
    assert found.silent == (max(samples) - min(samples) <= 2)


@pytest.mark.parametrize("count", [1, 1000, 70_000])
def test_blocks_are_the_whole(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = audio_bytes(sound(count), RATE, "flac")
    monkeypatch.setattr(audio, "_BLOCK", 999)
    blocks: list[Any] = []
    assert decode_blocks(data, blocks.append) == (count, RATE)
    assert len(blocks) == -(-count // 999)
    samples, rate = decode(data)
    assert rate == RATE
    assert np.array_equal(np.concatenate(blocks), samples)
    assert np.array_equal(samples * 32768, sound(count))


WAV = hash_audio(audio_bytes(sound(), RATE))


@pytest.mark.parametrize(
    "copy",
    [
        audio_bytes(sound(), RATE, "flac"),
        audio_bytes(sound().astype(np.int32) << 16, RATE, "wav", "PCM_24"),
        audio_bytes(sound() / 32768, RATE, "wav", "FLOAT"),
        audio_bytes(np.stack([sound(), sound()], axis=1), RATE, "flac"),
    ],
    ids=["flac", "24 bits", "float", "stereo"],
)
def test_a_lossless_copy_is_the_same_in_everything(copy: bytes) -> None:
    assert hash_audio(copy) == WAV


def test_silence_at_the_ends_and_polarity_do_not_matter_but_are_told() -> None:
    padded = hash_audio(audio_bytes(np.pad(sound(), (300, 41)), RATE, "flac"))
    assert padded == WAV._replace(samples=4341, lead=300, trail=41)
    assert hash_audio(audio_bytes(-sound(), RATE)) == WAV._replace(inverted=True)


def changed(at: int, by: int) -> Any:
    samples = sound()
    samples[at] += by
    return samples


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (changed(2000, 1), RATE),
        (changed(-1, -1), RATE),
        (np.insert(sound(), 2000, 0), RATE),
        (sound()[:-1], RATE),
        (sound()[1:], RATE),
        (sound() // 2, RATE),
        (sound()[::-1], RATE),
        (sound(), 2 * RATE),
    ],
    ids=["a step", "the last", "a zero inside", "end", "begin", "gain", "backwards", "rate"],
)
def test_other_audio_has_another_hash(samples: Any, rate: int) -> None:
    assert hash_audio(audio_bytes(samples, rate)).sha256 != WAV.sha256


@pytest.mark.parametrize(
    ("samples", "silent"),
    [
        (np.zeros(100, np.int16), True),
        (np.full(100, -3000, np.int16), True),  # an offset is not heard
        (np.array([0, 1, -1, 0] * 25, np.int16), True),
        (np.array([0, 2, -1, 0] * 25, np.int16), False),
        (np.array([0] * 99 + [3], np.int16), False),
        (np.array([3] + [0] * 99, np.int16), False),
    ],
)
def test_silent_is_within_three_steps(samples: Any, silent: bool) -> None:
    assert hash_audio(audio_bytes(samples, RATE)).silent is silent


def test_silence_in_one_block_is_not_silence_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "_BLOCK", 10)
    levels = np.repeat([0, 400], 10).astype(np.int16)  # no block holds two values
    assert not hash_audio(audio_bytes(levels, RATE)).silent


def test_float_samples_beyond_full_scale_are_no_other_ones() -> None:
    loud = np.array([0.5, 3.0, -7.5, 0.25], np.float32)
    found = hash_audio(audio_bytes(loud, RATE, "wav", "FLOAT"))
    assert found.sha256 == by_hand([16_384, 98_304, -245_760, 8_192], RATE)[0]
    huge = hash_audio(audio_bytes(np.array([0.5, 1e38, -1e38]), RATE, "wav", "FLOAT"))
    assert huge.sha256 == by_hand([16_384, 2**30, -(2**30)], RATE)[0]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty file"),
        (b"no audio at all", "cannot be decoded"),
        (audio_bytes(sound(), RATE)[:-100], "cut short"),
        (audio_bytes(np.array([0.1, np.nan, 0.2]), RATE, "wav", "FLOAT"), "NaN"),
    ],
    ids=["empty", "text", "cut", "NaN"],
)
def test_what_does_not_decode_whole_has_no_hash(data: bytes, said: str) -> None:
    with pytest.raises(AudioError, match=said):
        hash_audio(data)


def test_a_long_recording_is_hashed_block_by_block() -> None:
    minutes = 12
    tile = np.tile(sound(RATE), 60 * minutes)
    data = audio_bytes(tile, RATE, "flac")
    whole = 4 * len(tile)  # bytes of its samples as float32
    tracemalloc.start()
    try:
        found = hash_audio(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.seconds == 60 * minutes
    assert peak < 0.6 * whole  # a few blocks of 4 MB
