"""Two signals brought together: rate, length, delay."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.reconstruction.metric import alignment
from earmark.benchmark.reconstruction.metric.alignment import estimate_delay, fit, resample
from earmark.benchmark.reconstruction.metric.pair import AudioPair, measure_pair
from earmark.benchmark.reconstruction.metric.registry import all_metrics


def noise(count: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(count)).astype("f4")


def moved(signal: np.ndarray, lag: int) -> np.ndarray:
    """`lag` samples late, of the same length."""
    found = np.zeros_like(signal)
    if lag >= 0:
        found[lag:] = signal[: len(signal) - lag]
    else:
        found[:lag] = signal[-lag:]
    return found


@given(st.integers(-800, 800), st.sampled_from([1.0, -0.3]), st.integers(3000, 9000))
@settings(max_examples=30, deadline=None)
def test_a_delay_is_found_to_the_sample(lag: int, gain: float, count: int) -> None:
    x = noise(count)
    found = estimate_delay(x, (gain * moved(x, lag) + 0.01 * noise(count, 1)).astype("f4"), 16_000)
    assert found.seconds == lag / 16_000
    assert math.copysign(1, found.correlation) == math.copysign(1, gain)
    assert abs(found.correlation) > 0.5


def test_a_delay_is_that_of_the_whole_signal_however_it_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = noise(20_000)
    y = moved(x, 313)
    whole = estimate_delay(x, y, 16_000)
    wanted = float(np.dot(x[:-313], x[:-313])) / float(np.sqrt(np.dot(x, x) * np.dot(y, y)))
    assert whole.correlation == pytest.approx(wanted, rel=1e-5)
    monkeypatch.setattr(alignment, "_BLOCK", 1111)
    assert estimate_delay(x, y, 16_000) == pytest.approx(whole, rel=1e-9)


def test_a_delay_beyond_50_ms_and_of_silence_is_not_made_up() -> None:
    x = noise(16_000)
    assert abs(estimate_delay(x, moved(x, 1200), 16_000).correlation) < 0.1
    for pair in ((x, 0 * x), (0 * x, x)):
        assert all(math.isnan(value) for value in estimate_delay(*pair, 16_000))
    # of a tone every period fits, but none as long as no delay
    tone = np.sin(2 * np.pi * np.arange(16_000) / 16).astype("f4")
    assert estimate_delay(tone, tone, 16_000).seconds == 0
    assert estimate_delay(x[:1], x[:1], 16_000).seconds == 0


def test_fit_and_resample() -> None:
    x = noise(100)
    assert np.array_equal(fit(x, 60), x[:60])
    assert np.array_equal(fit(x, 130), np.concatenate([x, np.zeros(30, "f4")]))
    assert resample(x, 16_000, 16_000) is x
    assert np.array_equal(resample(x, 8000, 16_000), soxr.resample(x, 8000, 16_000, "HQ"))
    assert len(resample(x[:1], 48_000, 8000)) == 1


def test_what_a_codec_adds_at_the_end_is_reported_and_does_not_count() -> None:
    x = noise(16_050)
    metrics = [metric for metric in all_metrics() if metric.package is None]
    longer = np.concatenate([x, noise(350, 5)])
    found = measure_pair(AudioPair(x, 16_000, longer, 16_000, len(x)), metrics)
    assert found.length_difference == 350
    assert found.values["mel_distance_16k"] == 0
    assert found.values["si_sdr"] == 100
    # nor does it ring into the clip where the metric's rate is another
    for mine, wanted in zip(
        AudioPair(x, 16_000, longer, 16_000, len(x)).at(8000),
        AudioPair(x, 16_000, x, 16_000, len(x)).at(8000), strict=True,
    ):  # fmt: skip
        assert np.array_equal(mine, wanted)
    shorter = measure_pair(AudioPair(x, 16_000, x[:-50], 16_000, len(x)), metrics)
    assert shorter.length_difference == -50
    assert 0 < shorter.values["mel_distance_16k"] < 0.5
    wanted = 10 * np.log10(np.sum(x[:-50].astype("f8") ** 2) / np.sum(x[-50:].astype("f8") ** 2))
    assert shorter.values["si_sdr"] == pytest.approx(wanted, abs=0.05)


def test_a_delay_is_reported_and_stays_in() -> None:
    x = noise(16_000)
    metrics = [metric for metric in all_metrics() if metric.name == "si_sdr"]
    late = measure_pair(AudioPair(x, 16_000, moved(x, 80), 16_000, len(x)), metrics)
    assert late.delay == 0.005
    assert late.values["si_sdr"] < 0  # as of unrelated noise


def test_the_reference_is_its_own_file_not_what_the_codec_heard() -> None:
    # a codec of 8 kHz that loses nothing of what it hears loses half the band of the file
    t = np.arange(44_100) / 44_100
    x = (0.1 * np.sin(2 * np.pi * 1000 * t) + 0.1 * np.sin(2 * np.pi * 6000 * t)).astype("f4")
    heard = resample(x, 44_100, 8000)
    pair = AudioPair(x, 44_100, heard, 8000, len(heard))
    reference, decoded = pair.at(16_000)
    assert np.array_equal(reference, resample(x, 44_100, 16_000))
    assert len(decoded) == len(reference) == 16_000
    metrics = [metric for metric in all_metrics() if metric.name == "si_sdr"]
    # one of two tones of equal level is gone
    assert measure_pair(pair, metrics).values["si_sdr"] == pytest.approx(0, abs=0.3)


def test_what_cannot_be_computed_has_a_reason() -> None:
    silence = np.zeros(16_000, "f4")
    found = measure_pair(AudioPair(silence, 16_000, silence, 16_000, 16_000), all_metrics())
    for name in ("pesq_wb", "pesq_nb", "stoi", "estoi", "si_sdr"):
        assert math.isnan(found.values[name])
        assert "silent" in found.reasons[name]
    assert set(found.reasons) == {"pesq_wb", "pesq_nb", "stoi", "estoi", "si_sdr"}
    assert found.values["mel_distance_16k"] == 0
    assert math.isnan(found.delay)
