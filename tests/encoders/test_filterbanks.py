"""logmel and mfcc against their textbook definitions, written out in float64 with numpy."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from earmark.benchmark.embedding.pooling import pool
from earmark.encoders import AudioEncoder, load_encoder

RATE, HOP, WINDOW, FFT, BANDS, STACK = 16_000, 160, 400, 512, 64, 4
LENGTHS = [1, 2, 159, 160, 639, 640, 641, 1279, 1280, 5000, 16_000, 33_333]


@cache
def htk_filters() -> np.ndarray:
    """(257, 64): triangles whose corners are 66 equal steps on mel = 2595 log10(1 + f / 700)."""
    top = 2595 * np.log10(1 + 8000 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    hertz = np.arange(FFT // 2 + 1) * RATE / FFT
    filters = np.zeros((len(hertz), BANDS))
    for band in range(BANDS):
        low, peak, high = corners[band : band + 3]
        rise, fall = (hertz - low) / (peak - low), (high - hertz) / (high - peak)
        filters[:, band] = np.maximum(0, np.minimum(rise, fall))
    return filters


@cache
def dft() -> np.ndarray:
    return np.exp(-2j * np.pi * np.outer(np.arange(WINDOW), np.arange(FFT // 2 + 1)) / FFT)


def log_mel(samples: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The given 10 ms rows: windows centred on each 10 ms, zeros beyond the clip's ends."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    places = rows[:, None] * HOP + HOP // 2 - WINDOW // 2 + np.arange(WINDOW)
    inside = (places >= 0) & (places < len(samples))
    windows = np.where(inside, samples[np.clip(places, 0, len(samples) - 1)], 0.0) * hann
    power = np.abs(windows @ dft()) ** 2
    return np.log(np.maximum(power @ htk_filters(), 1e-5))


def cepstra(log_mels: np.ndarray) -> np.ndarray:
    """Orthonormal DCT-II, the first 20."""
    k, n = np.arange(20)[:, None], np.arange(BANDS)
    matrix = np.cos(np.pi * k * (2 * n + 1) / (2 * BANDS)) * np.sqrt(2 / BANDS)
    matrix[0] /= np.sqrt(2)
    return log_mels @ matrix.T


def expected_frames(name: str, samples: np.ndarray, frames: np.ndarray) -> np.ndarray:
    rows = (frames[:, None] * STACK + np.arange(STACK)).ravel()
    values = log_mel(samples.astype(np.float64), rows)
    values = cepstra(values) if name == "mfcc" else values
    return values.reshape(len(frames), -1)


def encode(encoder: AudioEncoder, clips: list[np.ndarray]) -> tuple[torch.Tensor, list[int]]:
    lengths = torch.tensor([len(clip) for clip in clips])
    batch = torch.zeros(len(clips), int(lengths.max()))
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    with torch.inference_mode():
        frames = encoder.encode(batch, lengths)
    assert frames.values.shape[2] == encoder.embedding_dim
    assert torch.equal(frames.lengths, (lengths // 640).clamp(min=1))
    return frames.values, frames.lengths.tolist()


def sounds(kind: str) -> list[np.ndarray]:
    rng = np.random.default_rng(8)
    made = []
    for n in LENGTHS:
        t = np.arange(n) / RATE
        sound = {
            "noise": rng.uniform(-0.5, 0.5, n),
            "tone": 0.5 * np.sin(2 * np.pi * 1234.5 * t + 0.3),
            "chirp": 0.3 * np.sin(2 * np.pi * (100 + 1500 * t) * t + 0.3),
            "clicks": np.where(np.arange(n) % 331 == 7, 0.9, 0.0),
        }[kind]
        made.append(sound.astype(np.float32))
    return made


@pytest.mark.parametrize("kind", ["noise", "tone", "chirp", "clicks"])
@pytest.mark.parametrize("name", ["logmel", "mfcc"])
def test_frames_and_means_are_those_of_the_definition(name, kind):
    clips = sounds(kind)
    values, lengths = encode(load_encoder(name), clips)
    for clip, row, count in zip(clips, values, lengths, strict=True):
        expected = expected_frames(name, clip, np.arange(count))
        # single precision: a spectrum's weak bins carry the rounding of its strong ones
        assert np.abs(row[:count].numpy() - expected).max() < 5e-3
        assert np.abs(row[:count].numpy() - expected).mean() < 1e-4


@pytest.mark.parametrize("name", ["logmel", "mfcc"])
def test_ten_minutes(name):
    rng = np.random.default_rng(9)
    samples = rng.uniform(-0.5, 0.5, 600 * RATE + 77).astype(np.float32)
    values, (count,) = encode(load_encoder(name), [samples])
    assert count == 15_000
    some = np.array([0, 1, 7499, 9876, 14_998, 14_999])
    expected = expected_frames(name, samples, some)
    assert np.abs(values[0, some].numpy() - expected).max() < 5e-3


@pytest.mark.parametrize("n", [1, 640, 16_000])
def test_silence_is_the_floor(n):
    silence = [np.zeros(n, np.float32)]
    values, _ = encode(load_encoder("logmel"), silence)
    assert np.allclose(values.numpy(), np.log(1e-5), atol=1e-5)
    values, _ = encode(load_encoder("mfcc"), silence)
    first = values.reshape(-1, 20)
    assert np.allclose(first[:, 0].numpy(), np.log(1e-5) * 8, atol=1e-3)  # sqrt(64)
    assert np.abs(first[:, 1:].numpy()).max() < 1e-3


@pytest.mark.parametrize("name", ["logmel", "mfcc"])
def test_the_mean_is_over_the_clips_own_frames(name):
    clips = sounds("noise")
    encoder = load_encoder(name)
    _, lengths = encode(encoder, clips)
    with torch.inference_mode():
        batch = torch.zeros(len(clips), max(LENGTHS))
        for row, clip in zip(batch, clips, strict=True):
            row[: len(clip)] = torch.from_numpy(clip)
        means = pool(encoder.encode(batch, torch.tensor(LENGTHS))).numpy()
    for clip, mean, count in zip(clips, means, lengths, strict=True):
        expected = expected_frames(name, clip, np.arange(count)).mean(axis=0)
        assert np.abs(mean - expected).max() < 2e-3
