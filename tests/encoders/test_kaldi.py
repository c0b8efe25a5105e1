"""Kaldi's filter bank against torchaudio's port of it, and its length rule."""

from __future__ import annotations

import pytest
import torch
import torchaudio.compliance.kaldi as kaldi

from earmark.encoders.kaldi import KaldiFbank, Window, fbank_constants


def made(bands: int, window: Window = "povey") -> KaldiFbank:
    fbank = KaldiFbank(bands)
    fbank.load_state_dict(fbank_constants(bands, window))
    return fbank


def noise(samples: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(samples)
    swing = torch.linspace(-3, 0, samples).exp()  # quiet frames and loud ones, and an offset
    return scale * (swing * torch.rand(2, samples, generator=generator) - 0.3)


@pytest.mark.parametrize("bands", [64, 80, 128])
@pytest.mark.parametrize("window", ["povey", "hanning"])
@pytest.mark.parametrize("scale", [1.0, 32_768.0])
def test_it_is_kaldis(bands: int, window: Window, scale: float) -> None:
    audio = noise(16_000 + bands, scale)
    found = made(bands, window)(audio)
    for row, clip in enumerate(audio.double()):
        wanted = kaldi.fbank(
            clip[None], num_mel_bins=bands, window_type=window, sample_frequency=16_000,
            dither=0.0, frame_length=25, frame_shift=10,
        )  # fmt: skip
        torch.testing.assert_close(found[row].double(), wanted, atol=2e-3, rtol=1e-4)
        assert (found[row] - wanted).abs().median() < 2e-5


@pytest.mark.parametrize(("samples", "frames"), [(400, 1), (559, 1), (560, 2), (16_000, 98)])
def test_frames_lie_within_the_clip(samples: int, frames: int) -> None:
    fbank, audio = made(128), noise(samples)
    found = fbank(audio)
    assert found.shape == (2, frames, 128) and fbank.frames(samples) == frames
    padded = torch.nn.functional.pad(audio, (0, 900), value=0.5)
    assert torch.equal(fbank(padded)[:, :frames], found)


def test_silence_is_the_floor() -> None:
    found = made(128)(torch.zeros(1, 800))
    torch.testing.assert_close(found, torch.full_like(found, -15.942385))


def test_long_audio_goes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    fbank, audio = made(80), noise(8_000)
    whole = fbank(audio)
    monkeypatch.setattr("earmark.encoders.kaldi.WINDOWS_AT_ONCE", 14)
    torch.testing.assert_close(fbank(audio), whole)
