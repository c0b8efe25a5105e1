"""Power mel spectrograms against librosa's."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from earmark.encoders.inwheel.mel import PowerMel, mel_constants, slaney_filters


def power_mel(n_fft: int, hop: int, bands: int) -> PowerMel:
    mel = PowerMel(n_fft, hop, bands)
    mel.load_state_dict(mel_constants(n_fft, bands))
    return mel


@pytest.mark.parametrize(("n_fft", "bands"), [(400, 40), (512, 96)])
def test_filters_are_slaneys(n_fft: int, bands: int) -> None:
    wanted = librosa.filters.mel(sr=16_000, n_fft=n_fft, n_mels=bands, dtype=np.float64)
    assert slaney_filters(n_fft, bands).T.numpy() == pytest.approx(wanted, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("sizes", [(400, 160, 40), (512, 256, 96)])
@pytest.mark.parametrize("samples", [1, 255, 4000, 16_123])
def test_spectrograms_are_librosas(sizes: tuple[int, int, int], samples: int) -> None:
    n_fft, hop, bands = sizes
    audio = np.random.default_rng(samples).normal(0, 0.2, samples)
    wanted = librosa.feature.melspectrogram(
        y=audio, sr=16_000, n_fft=n_fft, hop_length=hop, n_mels=bands, pad_mode="constant"
    ).T
    # what lies beyond a clip's own samples is not heard
    batch = torch.from_numpy(np.pad(audio, (0, 900), constant_values=0.7)).float()[None]
    found = power_mel(n_fft, hop, bands)(batch, torch.tensor([samples]), len(wanted))
    assert found[0].numpy() == pytest.approx(wanted, rel=1e-5, abs=1e-9)
