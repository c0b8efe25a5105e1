"""The resampler that is torchaudio's own, and the one that is not asked for."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pytest
import torch
import torchaudio
from clips import audio_bytes
from file_order import RATE, noise

from earmark.benchmark.audio.pipeline import AudioPipeline


@pytest.mark.parametrize(("rate", "target"), [(44_100, 16_000), (8_000, 16_000), (48_000, 24_000)])
def test_resampler_is_torchaudios_own(rate: int, target: int) -> None:
    stereo = np.stack(noise(rate // 10, rate // 10), axis=1)
    samples, seconds = AudioPipeline(target, None, "torchaudio").load(
        audio_bytes(stereo, rate, subtype="FLOAT")
    )
    each = torch.from_numpy(stereo.T)
    # the package mixes down afterwards; the two are linear
    wanted = torchaudio.functional.resample(each, rate, target).mean(dim=0).numpy()
    np.testing.assert_allclose(samples, wanted, atol=1e-5)
    assert samples.dtype == np.float32 and seconds == 0.1
    soxr, _ = AudioPipeline(target).load(audio_bytes(stereo, rate, subtype="FLOAT"))
    assert len(soxr) == len(samples) and abs(soxr - samples).max() > 1e-3


def test_the_resampler_and_its_version_are_stated() -> None:
    said = [
        AudioPipeline(16_000, None, name).facts()["resampler"] for name in ("torchaudio", "soxr")
    ]
    assert said[0] == f"torchaudio {version('torchaudio')}"
    assert said[1].startswith(f"soxr {version('soxr')} ")


def test_at_its_own_rate_nothing_is_resampled() -> None:
    (mono,) = noise(500)
    samples, _ = AudioPipeline(RATE, None, "torchaudio").load(
        audio_bytes(mono, RATE, subtype="FLOAT")
    )
    np.testing.assert_array_equal(samples, mono)


def test_a_single_sample_remains_one() -> None:
    data = audio_bytes([0.5], 48_000, subtype="FLOAT")
    samples, _ = AudioPipeline(16_000, None, "torchaudio").load(data)
    assert len(samples) == 1
    whole = AudioPipeline(16_000, 0.5, "torchaudio").crops(data)
    assert [len(crop) for crop in whole] == [1]
