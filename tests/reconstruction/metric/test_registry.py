"""Reconstruction metrics against other implementations and against numbers by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from auraloss.freq import STFTLoss
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from numpy.typing import NDArray
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from earmark.benchmark.reconstruction.metric import perceptual, spectral
from earmark.benchmark.reconstruction.metric.pair import AudioPair
from earmark.benchmark.reconstruction.metric.perceptual import NotComputableError
from earmark.benchmark.reconstruction.metric.registry import all_metrics, missing_packages
from earmark.benchmark.reconstruction.metric.waveform import LIMIT, si_sdr
from earmark.benchmark.reconstruction.plots import draw_pair

Signal = NDArray[np.float32]


def noise(seconds: float, seed: int = 0, rate: int = 16_000) -> Signal:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype("f4")


def voice(seconds: float, rate: int = 16_000) -> Signal:
    """A buzz with a syllable every quarter of a second: what PESQ takes for speech."""
    t = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * k * t + k * k) / k for k in range(1, 30))
    return (0.1 * buzz * (0.02 + np.sin(2 * np.pi * 2 * t) ** 2)).astype("f4")


PAIRS = [
    (noise(1.3), noise(1.3, 1)),
    (noise(1.3), 0.5 * noise(1.3) + 0.01 * noise(1.3, 2)),
    (voice(1.0), voice(1.0) + 0.02 * noise(1.0)),
    (voice(0.7), np.zeros(11_200, "f4")),
]


def with_auraloss(window: int, bands: int | None, rate: int, x: Signal, y: Signal) -> float:
    """One scale of mel or STFT distance by auraloss: its linear and its natural-log L1."""
    facts: dict[str, Any] = {
        "fft_size": window, "hop_size": window // 4, "win_length": window, "w_sc": 0.0,
        "mag_distance": "L1", "eps": spectral.FLOOR**2,
    }  # fmt: skip
    if bands is not None:
        facts |= {"scale": "mel", "n_bins": bands, "sample_rate": rate}
    total = 0.0
    for weights, factor in (({"w_log_mag": 1.0}, 2 / math.log(10)), ({"w_lin_mag": 1.0}, 1.0)):
        loss = STFTLoss(**facts | {"w_log_mag": 0.0, "w_lin_mag": 0.0} | weights)
        loss.window = torch.hann_window(window, dtype=torch.float64).sqrt()
        if bands is not None:
            loss.fb = loss.fb.double()
        a, b = (torch.from_numpy(s.astype("f8"))[None, None] for s in (x, y))
        total += factor * float(loss(a, b))
    return total


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("number", range(3))
def test_mel_and_stft_distance_are_auralosss(number: int, rate: int) -> None:
    x, y = PAIRS[number]
    wanted = sum(with_auraloss(w, None, rate, x, y) for w, _ in ((2048, 150), (512, 80)))
    assert spectral.stft_distance(x, y) == pytest.approx(wanted, rel=1e-6)
    wanted = sum(with_auraloss(w, b, rate, x, y) for w, b in ((2048, 150), (512, 80)))
    # where bins or whole bands are below the floor it matters that auraloss floors the bins first
    if rate == 16_000 and number < 2:
        assert spectral.mel_distance(x, y, rate) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize(("rate", "window", "bands"), [
    (16_000, 2048, 150), (16_000, 512, 80), (44_100, 512, 80), (22_050, 1024, 80), (8_000, 2048, 9),
])  # fmt: skip
def test_mel_filters_are_librosas(rate: int, window: int, bands: int) -> None:
    wanted = librosa.filters.mel(sr=rate, n_fft=window, n_mels=bands, dtype=np.float64)
    np.testing.assert_allclose(spectral.mel_filters(rate, window, bands), wanted.T, atol=1e-9)


def by_torch(x: Signal, window: int, hop: int, kind: str = "hann") -> Any:
    weights = torch.hann_window(window, dtype=torch.float64)
    found = torch.stft(
        torch.from_numpy(x.astype("f8")), window, hop, center=True, pad_mode="reflect",
        window=weights.sqrt() if kind == "root" else weights, return_complex=True,
    )  # fmt: skip
    return found.abs().numpy()


@pytest.mark.parametrize("number", range(4))
def test_distances_are_those_of_torchs_spectrograms(number: int) -> None:
    x, y = PAIRS[number]
    mel = stft = 0.0
    for window, bands in ((2048, 150), (512, 80)):
        filters = librosa.filters.mel(sr=16_000, n_fft=window, n_mels=bands, dtype=np.float64)
        a, b = (by_torch(s, window, window // 4, "root") for s in (x, y))
        for one, other in ((a, b), (filters @ a, filters @ b)):
            logs = [np.log10(np.maximum(s, 1e-5) ** 2) for s in (one, other)]
            value = np.abs(logs[0] - logs[1]).mean() + np.abs(one - other).mean()
            if len(one) == bands:
                mel += value
            else:
                stft += value
    assert spectral.mel_distance(x, y, 16_000) == pytest.approx(mel, rel=1e-9)
    assert spectral.stft_distance(x, y) == pytest.approx(stft, rel=1e-9)
    a, b = (by_torch(s, 2048, 512) for s in (x, y))
    rows = [np.log10(np.maximum(s, 1e-5) ** 2) for s in (a, b)]
    wanted = np.sqrt(((rows[0] - rows[1]) ** 2).mean(axis=0)).mean()
    assert spectral.log_spectral_distance(x, y) == pytest.approx(wanted, rel=1e-9)
    filters = librosa.filters.mel(sr=16_000, n_fft=1024, n_mels=80, dtype=np.float64)
    a, b = (np.log(np.maximum(filters @ by_torch(s, 1024, 256), 1e-5)) for s in (x, y))
    assert spectral.log_mel_l1(x, y, 16_000) == pytest.approx(np.abs(a - b).mean(), rel=1e-9)


def test_log_distances_of_a_louder_copy_by_hand() -> None:
    # twice the magnitude everywhere: the logarithms differ by the same amount in every bin
    x = noise(0.5, rate=16_000)
    assert spectral.log_spectral_distance(x, 2 * x) == pytest.approx(2 * math.log10(2), rel=1e-6)
    # 80 bands on 513 bins: all have a bin, and noise is far above the floor
    assert spectral.log_mel_l1(x, 2 * x, 16_000) == pytest.approx(math.log(2), rel=1e-6)


def test_long_signals_are_the_same_in_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = noise(3.0), noise(3.0, 1)
    found = spectral.stft_distance(x, y), spectral.log_spectral_distance(x, y), si_sdr(x, y)
    monkeypatch.setattr(spectral, "_BLOCK", 7)
    monkeypatch.setattr("earmark.benchmark.reconstruction.metric.waveform._BLOCK", 1000)
    again = spectral.stft_distance(x, y), spectral.log_spectral_distance(x, y), si_sdr(x, y)
    assert found == pytest.approx(again, rel=1e-12)


@given(st.integers(1, 3000), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_distances_are_symmetric_and_zero_for_itself(length: int, seed: int) -> None:
    both = np.random.default_rng(seed).uniform(-1, 1, (2, length)).astype("f4")
    functions: list[Callable[[Signal, Signal], float]] = [
        lambda x, y: spectral.mel_distance(x, y, 16_000), spectral.stft_distance,
        lambda x, y: spectral.log_mel_l1(x, y, 16_000), spectral.log_spectral_distance,
    ]  # fmt: skip
    for distance in functions:
        assert distance(both[0], both[0]) == 0
        assert distance(both[0], both[1]) == pytest.approx(distance(both[1], both[0]), rel=1e-9)
        assert distance(both[0], both[1]) > 0


@pytest.mark.parametrize("number", range(3))
def test_si_sdr_is_torchmetrics(number: int) -> None:
    x, y = (signal.astype("f8") + 0.03 for signal in PAIRS[number])
    wanted = scale_invariant_signal_distortion_ratio(
        torch.from_numpy(y), torch.from_numpy(x), zero_mean=True
    )
    assert si_sdr(x, y) == pytest.approx(float(wanted), abs=1e-6)
    assert si_sdr(x, 3 * y - 0.2) == pytest.approx(float(wanted), abs=1e-6)


def test_si_sdr_by_hand_and_at_its_limits() -> None:
    x = np.array([1.0, -1.0, 1.0, -1.0])
    other = np.array([1.0, 1.0, -1.0, -1.0])
    assert si_sdr(x, x + 0.1 * other) == pytest.approx(20.0)
    assert si_sdr(x, x) == LIMIT == 100
    assert si_sdr(x, other) == -LIMIT
    assert math.isnan(si_sdr(np.full(4, 0.5), x))
    assert math.isnan(si_sdr(x, np.zeros(4)))


def test_pesq_and_stoi_are_the_packages() -> None:
    from pesq import pesq
    from pystoi import stoi

    x = voice(3.0)
    y = x + 0.03 * noise(3.0)
    assert perceptual.pesq_wide(x, y) == pesq(16_000, x, y, "wb")
    assert perceptual.pesq_narrow(x[::2], y[::2]) == pesq(8_000, x[::2], y[::2], "nb")
    assert perceptual.stoi(x, y) == stoi(x, y, 16_000)
    assert perceptual.estoi(x, y) == pytest.approx(stoi(x, y, 16_000, extended=True), abs=1e-9)
    assert perceptual.estoi(x, y) == perceptual.estoi(x, y)  # the package's own noise is fixed
    assert 1 < perceptual.pesq_wide(x, y) < perceptual.pesq_wide(x, x)
    assert perceptual.pesq_wide(x, x) == pytest.approx(4.6439, abs=1e-4)
    assert perceptual.pesq_narrow(x, x) == pytest.approx(4.5486, abs=1e-4)


def test_extended_stoi_is_the_same_every_time() -> None:
    """Where the decoded sound is zero the package correlates noise of its own."""
    x = voice(3.0)
    y = np.concatenate([x[:16_000], np.zeros(32_000, "f4")])
    found = []
    for seed in (1, 2):
        np.random.seed(seed)
        state = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
        found.append(perceptual.estoi(x, y))
        assert np.array_equal(np.random.get_state()[1], state)  # type: ignore[index]
    assert found[0] == found[1]


def test_stoi_by_its_definition() -> None:
    """Taal et al. 2011, written out for signals without silent frames at 10 kHz."""
    pystoi = pytest.importorskip("pystoi.stoi")
    x, y = noise(1.5, rate=10_000).astype("f8"), noise(1.5, 1, 10_000).astype("f8")
    y += x
    window = np.hanning(258)[1:-1]
    starts = range(0, len(x) - 256 + 1, 128)
    bands = []
    centres = 150 * 2 ** (np.arange(15) / 3)
    bins = np.linspace(0, 10_000, 513)[:257]
    edges = [(np.argmin((bins - c * 2 ** (-1 / 6)) ** 2), np.argmin((bins - c * 2 ** (1 / 6)) ** 2))
             for c in centres]  # fmt: skip
    for signal in (x, y):
        # no frame is silent, yet removing them joins the frames again: windowed twice
        joined = np.zeros(len(x))
        for s in starts:
            joined[s : s + 256] += signal[s : s + 256] * window
        power = [np.abs(np.fft.rfft(joined[s : s + 256] * window, 512)) ** 2 for s in starts]
        bands.append(np.array([[np.sqrt(row[a:b].sum()) for row in power] for a, b in edges]))
    scores = []
    for end in range(30, bands[0].shape[1] + 1):
        for a, b in zip(bands[0][:, end - 30 : end], bands[1][:, end - 30 : end], strict=True):
            b = np.minimum(b * np.linalg.norm(a) / np.linalg.norm(b), a * (1 + 10 ** (15 / 20)))
            scores.append(np.corrcoef(a, b)[0, 1])
    assert pystoi.stoi(x, y, 10_000) == pytest.approx(np.mean(scores), abs=0.01)


@pytest.mark.parametrize("measure", [perceptual.pesq_wide, perceptual.pesq_narrow, perceptual.stoi,
                                     perceptual.estoi])  # fmt: skip
def test_what_cannot_be_computed_is_neither_0_nor_1(measure: Any) -> None:
    sound, silence = voice(2.0), np.zeros(32_000, "f4")
    with pytest.raises(NotComputableError, match="the reference is silent"):
        measure(silence, sound)
    with pytest.raises(NotComputableError, match="the decoded sound is silent"):
        measure(sound, silence)
    for length in (1, 100, 1500):
        with pytest.raises(NotComputableError, match=r"0\.25 s|0\.4 s"):
            measure(sound[5000 : 5000 + length], sound[5000 : 5000 + length])


def test_pesq_without_an_utterance_says_so() -> None:
    ticks = noise(4.0) * (np.arange(64_000) % 6400 < 1600)  # 0.1 s each, 0.3 s between
    with pytest.raises(NotComputableError, match="no utterance"):
        perceptual.pesq_wide(ticks, ticks)


def test_long_signals_are_the_mean_of_equal_parts() -> None:
    x = np.concatenate([voice(15.0), noise(15.0)])
    y = x + np.concatenate([0.05 * noise(15.0, 3), 0.2 * noise(15.0, 4)])
    half = len(x) // 2
    parts = [perceptual.pesq_wide(x[part], y[part]) for part in (slice(half), slice(half, None))]
    assert perceptual.pesq_wide(x, y) == pytest.approx(np.mean(parts), abs=1e-6)
    # a part without a score is left out, not counted as 0
    x[half:] = 0
    assert perceptual.pesq_wide(x, y) == pytest.approx(parts[0], abs=1e-6)


def test_every_metric_says_where_it_is_measured() -> None:
    metrics = {metric.name: metric for metric in all_metrics((16_000, 44_100))}
    assert metrics["mel_distance_44.1k"].rate == 44_100
    assert metrics["pesq_nb"].rate == 8_000
    x, y = noise(0.5, rate=44_100), noise(0.5, 1, 44_100)
    found = metrics["mel_distance_44.1k"].measure(x, y)
    assert found == spectral.mel_distance(x, y, 44_100)
    assert found != spectral.mel_distance(x, y, 16_000)


def test_missing_packages_are_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_packages(all_metrics()) is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    line = missing_packages(all_metrics())
    assert line is not None
    assert "\n" not in line
    for word in ("PESQ-wb", "STOI", "pesq", "pystoi", "pip install -e '.[reconstruction]'"):
        assert word in line
    assert "mel" not in line


def test_silence_is_drawn_dark(tmp_path: Path) -> None:
    colours = {}
    for name, loud in (("silence", 0.0), ("noise", 0.1)):
        samples = (loud * np.random.default_rng(0).standard_normal(16_000)).astype("f4")
        path = tmp_path / f"{name}.png"
        draw_pair(AudioPair(samples, 16_000, samples, 16_000, 16_000), path, name)
        colours[name] = imread(path)[150, 400, :3]  # within the upper spectrogram
    assert colours["silence"].sum() < 0.8 < colours["noise"].sum()  # viridis: dark violet
