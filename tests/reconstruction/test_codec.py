"""Codecs that fail, break their contract, or lose the sound; and learned ones."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_models
import torch
from clips import audio_bytes
from reconstruction_files import write_clips
from reconstruction_runs import run, table_of

from earmark.benchmark.reconstruction import evaluator as running
from earmark.encoders import Frames
from earmark.encoders.anchors.identity import Identity
from earmark.encoders.anchors.mulaw import MuLaw
from earmark.encoders.dasheng import TokenizerConfig, random_weights, save_checkpoint

pytestmark = pytest.mark.usefixtures("quick")

CHECK = running.Preflight.check


class Moody(Identity):
    """Fails on clips whose first sample is above 0.5, and gives NaN where it is below -0.5."""

    name = "moody"

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        first = float(frames.values[0, 0, 0])
        if first > 0.5:
            raise RuntimeError("not this one")
        if first < -0.5:
            return super().decode(Frames(frames.values * torch.nan, frames.lengths))
        return super().decode(frames)


def test_what_a_codec_cannot_do_is_lost_alone(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", 1, 0.5)
    for name, first in (("high", 0.9), ("low", -0.9)):
        (data / f"{name}.wav").write_bytes(audio_bytes(np.full(8000, first), 16_000))
    codec = Moody().train()
    (result,) = run(tmp_path, codec, data, failed_share=0.9)
    assert codec.training  # given back as it came
    reasons = {failure.key: failure.reason for failure in result.data.failures}
    line = r"encoder moody: RuntimeError: not this one \(test_codec\.py, line \d+\)"
    assert re.fullmatch(line, reasons["high.wav"])
    assert "NaN" in reasons["low.wav"]
    assert result.scores["si_sdr"].items == 1


class Forgetful(Identity):
    """Gives no lengths of what it decodes."""

    name = "forgetful"

    def decode(self, frames: Frames) -> Any:
        return super().decode(frames)[0]


class Swapped(Identity):
    """Gives frames as torch's convolutions leave them."""

    name = "swapped"

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        made = super().encode(waveforms, lengths)
        return Frames(made.values.transpose(1, 2), made.lengths)


@pytest.mark.parametrize(
    ("codec", "said"),
    [
        (Forgetful, "'forgetful' returned a Tensor from decode(); return (waveforms, lengths)"),
        (Swapped, "frames come before the dimension: return values.transpose(1, 2)"),
    ],
)
def test_what_is_wrong_with_every_clip_ends_it_with_the_cure(
    codec: type[Identity], said: str, tmp_path: Path
) -> None:
    (result,) = run(tmp_path, codec(), write_clips(tmp_path / "data", 3, 0.3))
    assert result.status == "failed" and said in str(result.error)
    assert result.data.failed_clips == 0  # not one after the other


class Wrong(Identity):
    """Claims a frame rate that it does not have."""

    name = "wrong"
    frame_rate = 50.0


def test_a_codec_that_breaks_its_contract_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_clips(tmp_path / "data", 1, 0.3)
    monkeypatch.setattr(running.Preflight, "check", CHECK)
    (result,) = run(tmp_path, Wrong(), data)
    assert result.status == "failed"
    assert "'wrong' breaks its contract: frame rate" in str(result.error)


def test_learned_codecs_of_any_rate(tmp_path: Path) -> None:
    config = TokenizerConfig(
        embed_dim=64, depth=1, num_heads=2, n_mels_patch=16, decoder_embed_dim=32, decoder_depth=1,
        decoder_intermediate_size=48,
    )  # fmt: skip
    save_checkpoint(tmp_path / "dasheng", config, random_weights(config))
    data = write_clips(tmp_path / "data", 1, 0.5)
    names = ["dasheng", "dasheng:semantic", "dasheng:acoustic"]
    results = run(tmp_path, names, data, weights=tmp_path / "dasheng")
    # of other sizes than the published model, which their names say
    own = [name.partition(":") for name in names]
    found = [str(result.codec.name) for result in results]
    assert [name.partition(":")[2] for name in found] == [part for _, _, part in own]
    assert all(name.startswith("dasheng@config-") for name in found)
    assert len({result.scores["mel_distance_16k"].value for result in results}) == 3
    assert {result.codec.values_per_second for result in results} == {64 * 25}
    tiny_models.save("dac", tmp_path / "dac")
    results = run(tmp_path, ["dac", "dac:quantized"], data, weights=tmp_path / "dac")
    for result in results:
        assert result.status == "done"
        assert result.codec.sample_rate == 44_100
        assert math.isfinite(result.scores["mel_distance_16k"].value)
        assert result.command.split()[-2:] == ["--weights", str(tmp_path / "dac")]
    # decoding the latent before the quantiser quantises it first
    assert results[0].scores["si_sdr"].value == pytest.approx(results[1].scores["si_sdr"].value)


class Silencer(MuLaw):
    """Decodes every clip whose first sample is positive to silence."""

    name = "silencer"

    def decode(self, frames: Any) -> tuple[torch.Tensor, torch.Tensor]:
        sounds, lengths = super().decode(frames)
        return sounds * (sounds[:, :1] <= 0), lengths


def test_sound_that_is_decoded_to_silence_is_the_codecs_failure(tmp_path: Path) -> None:
    """Else a codec would be better for what it silences, as PESQ leaves such clips out."""
    data = tmp_path / "data"
    data.mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    for name, first in (("a", 0.1), ("b", -0.1)):
        soundfile.write(data / f"{name}.wav", np.append(first, noise), 16_000)
    soundfile.write(data / "quiet.wav", np.zeros(16_000), 16_000)
    (result,) = run(tmp_path, Silencer(), data, failed_share=0.5)
    assert [failure.key for failure in result.data.failures] == ["a.wav"]
    assert result.data.failures[0].reason == (
        "encoder silencer: silence in what it decoded of sound"
    )
    assert [row["key"] for row in table_of(tmp_path)] == ["b.wav", "quiet.wav"]
    (strictly,) = run(tmp_path / "strictly", Silencer(), data)
    assert strictly.status == "failed"
