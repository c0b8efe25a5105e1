"""Resemblyzer's released weights in our network against the package's own class."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis.strategies as st
import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from inwheel_packages import module_from
from numpy.typing import NDArray

from earmark.benchmark.conformance.run import validate
from earmark.encoders import load_encoders
from earmark.encoders.inwheel.resemblyzer import LOUDNESS, partial_starts, raised

Audio = NDArray[np.float32]


def mel(audio: Audio) -> Audio:
    """As the package's audio.py says, which needs a voice detector to be imported."""
    made = librosa.feature.melspectrogram(
        y=audio, sr=16_000, n_fft=400, hop_length=160, n_mels=40, pad_mode="constant"
    )
    found: Audio = made.astype(np.float32).T
    return found


@pytest.fixture
def theirs(packages: Path) -> Any:
    """The package's VoiceEncoder with its weights."""
    folder = packages / "resemblyzer"
    whole, audio = ModuleType("resemblyzer"), ModuleType("resemblyzer.audio")
    audio.wav_to_mel_spectrogram = mel  # type: ignore[attr-defined]
    whole.audio = audio  # type: ignore[attr-defined]
    hparams = module_from(folder / "hparams.py")
    module = module_from(
        folder / "voice_encoder.py", resemblyzer=whole, resemblyzer__hparams=hparams
    )
    return module.VoiceEncoder("cpu", verbose=False)


@pytest.mark.parametrize("samples", [300, 16_000, 25_600, 63_001])
def test_frames_and_utterances_are_the_packages(samples: int, theirs: Any) -> None:
    rng = np.random.default_rng(samples)
    quiet = (rng.normal(0, 0.01, samples) * np.linspace(0.2, 2, samples)).astype(np.float32)
    rms = np.sqrt(np.mean(quiet.astype(np.float64) ** 2))
    loud = (quiet * (10 ** (-30 / 20) / rms)).astype(np.float32)  # what its normalize_volume does
    batch = torch.from_numpy(np.pad(quiet, (0, 5000), constant_values=0.3))[None]
    with torch.inference_mode():
        wanted = theirs.lstm(torch.from_numpy(mel(loud))[None])[0][0]
        frames, utterance = (
            encoder.encode(batch, torch.tensor([samples]))
            for encoder in load_encoders(["resemblyzer", "resemblyzer:utterance"])
        )
        assert utterance.values[0, 0].numpy() == pytest.approx(
            theirs.embed_utterance(loud), abs=1e-5
        )
    assert int(frames.lengths[0]) == len(wanted)
    assert frames.values[0].numpy() == pytest.approx(wanted.numpy(), abs=1e-5)


@given(st.integers(1, 2_000_000))
@settings(max_examples=300, deadline=None)
def test_partials_start_where_the_published_rule_puts_them(samples: int) -> None:
    """1.3 a second, of 160 frames each; the last kept with 75 % of audio; one at least."""
    starts = partial_starts(samples)
    assert starts == list(range(0, 77 * len(starts), 77))
    assert round(16_000 / 1.3 / 160) == 77
    frames = -(-(samples + 1) // 160)
    enough = (samples - 160 * starts[-1]) / 25_600 >= 0.75
    assert enough or len(starts) == 1
    # one more would begin beyond what is left, or hold too little
    following = starts[-1] + 77
    assert following >= frames - 160 + 77 + 1 or (samples - 160 * following) / 25_600 < 0.75


def test_quiet_clips_are_raised_and_no_others() -> None:
    clips = torch.tensor([[0.001, -0.001, 9.0], [0.5, -0.5, 0.5], [0.0, 0.0, 0.0]])
    found = raised(clips, torch.tensor([2, 3, 3]))
    assert found[0].tolist() == pytest.approx([LOUDNESS, -LOUDNESS, 0.0])
    assert found[1:].tolist() == clips[1:].tolist()


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", ["resemblyzer", "resemblyzer:utterance"])
def test_it_keeps_the_contract(name: str) -> None:
    (encoder,) = load_encoders([name])
    checks = validate(encoder, device="cpu", quick=True)
    assert [check for check in checks if check.verdict == "BREACH"] == []
