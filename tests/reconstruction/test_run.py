"""Codecs over data sets: from files to results."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from clips import audio_bytes
from reconstruction_files import voice, write_clips
from reconstruction_runs import run, table_of

from earmark.benchmark.reconstruction.leaderboard import make_tables
from earmark.benchmark.reconstruction.metric.pair import AudioPair, measure_pair
from earmark.benchmark.reconstruction.metric.registry import all_metrics
from earmark.benchmark.reconstruction.result import read_results
from earmark.encoders import Codec, EncoderError, Frames, load_encoder
from earmark.encoders.anchors.identity import Identity
from earmark.encoders.anchors.mulaw import MuLaw

pytestmark = pytest.mark.usefixtures("quick")


def test_values_are_those_of_the_metrics_and_their_mean(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", 3)
    (result,) = run(tmp_path, "mulaw", data, source_key="(?P<source>s[0-9]+)-")
    codec = load_encoder("mulaw")
    assert isinstance(codec, Codec)
    wanted = []
    for path in sorted(data.iterdir()):
        x, _ = soundfile.read(path, dtype="float32")
        with torch.inference_mode():
            sounds, lengths = codec.decode(
                codec.encode(torch.from_numpy(x)[None], torch.tensor([len(x)]))
            )
        pair = AudioPair(x, 16_000, sounds[0, : int(lengths[0])].numpy(), 16_000, len(x))
        wanted.append(measure_pair(pair, all_metrics()))
    assert result.status == "done"
    assert list(result.scores) == [metric.name for metric in all_metrics()]
    for name, score in result.scores.items():
        values = [one.values[name] for one in wanted]
        assert score.value == pytest.approx(np.mean(values), rel=1e-12)
        assert (score.items, score.sources, score.not_computed) == (3, 2, 0)
        assert score.interval is not None
        low, high = score.interval
        # two sources: the interval is from one's mean to the other's
        ends = sorted([np.mean(values[:2]), values[2]])
        assert [low, high] == pytest.approx(ends, rel=1e-9)
    rows = table_of(tmp_path)
    assert [row["key"] for row in rows] == ["s0-0.wav", "s0-1.wav", "s1-2.wav"]
    assert [float(row["pesq_wb"]) for row in rows] == pytest.approx(
        [one.values["pesq_wb"] for one in wanted], rel=1e-5
    )
    assert result.codec.values_per_second == 16_000
    assert result.data.seconds == pytest.approx(3.3)
    # what is written is what is returned
    (read,), unreadable = read_results(tmp_path / "results")
    assert unreadable == []
    assert read.to_json() == result.to_json()


def test_identity_is_perfect_at_its_rate_whatever_the_files(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", 1)
    for i, rate in enumerate((8000, 44_100)):
        stereo = np.stack([voice(1.0, i, rate), voice(1.0, i + 5, rate)], axis=1)
        (data / f"stereo-{rate}.wav").write_bytes(audio_bytes(stereo, rate))
    (result,) = run(tmp_path, "identity", data)
    for row in table_of(tmp_path):
        assert float(row["mel_distance_16k"]) == 0
        assert float(row["si_sdr"]) == 100
        assert float(row["stoi"]) == pytest.approx(1)
        assert float(row["pesq_wb"]) == pytest.approx(4.6439, abs=1e-3)
        assert float(row["delay_ms"]) == 0
    assert result.data.sources == 3


def test_silence_is_counted_and_named_and_never_0_or_1(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", 2)
    (data / "z-silence.wav").write_bytes(audio_bytes(np.zeros(16_000), 16_000))
    (data / "z-short.wav").write_bytes(audio_bytes(voice(0.05), 16_000))
    (result,) = run(tmp_path, "identity", data)
    score = result.scores["pesq_wb"]
    assert (score.items, score.not_computed) == (2, 2)
    assert score.value == pytest.approx(4.6439, abs=1e-3)
    assert score.reasons == {"shorter than 0.25 s": 1, "the reference is silent": 1}
    assert result.scores["mel_distance_16k"].items == 4
    rows = {row["key"]: row for row in table_of(tmp_path)}
    assert rows["z-silence.wav"]["stoi"] == ""
    assert "stoi: the reference is silent" in rows["z-silence.wav"]["not_computed"]
    assert "stoi: less than 0.4 s" in rows["z-short.wav"]["not_computed"]


def test_clips_that_fail_are_named_and_too_many_fail_the_data_set(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", 3, 0.5)
    (data / "broken.wav").write_bytes(b"RIFF nothing")
    (result,) = run(tmp_path, "identity", data)
    assert result.status == "failed"
    assert result.scores == {}
    assert "1 of 4 clips failed" in str(result.error)
    assert "broken.wav" in str(result.error)
    (passed,) = run(tmp_path, "identity", data, failed_share=0.5)
    assert passed.status == "done"
    assert passed.data.failed_clips == 1
    assert passed.data.failures[0].key == "broken.wav"
    assert passed.scores["stoi"].items == 3
    # the success has cleared the note of the failure
    (read,), _ = read_results(tmp_path / "results")
    assert read.status == "done"


def test_crops_are_items_and_pairs_are_saved(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    samples = voice(2.5)
    (tmp_path / "data" / "a b.wav").write_bytes(audio_bytes(samples, 16_000))
    (result,) = run(
        tmp_path, "mulaw", tmp_path / "data", crop_seconds=1.0,
        save_audio=tmp_path / "audio", plots=tmp_path / "plots",
    )  # fmt: skip
    rows = table_of(tmp_path)
    assert [(row["key"], row["crop"], row["seconds"]) for row in rows] == [
        ("a b.wav", "0", "1.000"), ("a b.wav", "1", "1.000"),
    ]  # fmt: skip
    assert (result.data.clips, result.data.items, result.data.sources) == (1, 2, 1)
    assert result.scores["stoi"].interval is None  # one source
    sounds = sorted((tmp_path / "audio").rglob("*.wav"))
    assert [path.name.split(".", 2)[2] for path in sounds] == [
        "crop-0.decoded.wav", "crop-0.reference.wav", "crop-1.decoded.wav", "crop-1.reference.wav",
    ]  # fmt: skip
    for path, start in zip(sounds, (0, 0, 16_000, 16_000), strict=True):
        found, rate = soundfile.read(path)
        assert rate == 16_000
        atol = 1e-4 if "reference" in path.name else 0.03
        np.testing.assert_allclose(found, samples[start : start + 16_000], atol=atol)
    assert len(list((tmp_path / "plots").rglob("*.png"))) == 2
    # where a file is gone it is made again
    sounds[0].unlink()
    run(
        tmp_path, "mulaw", tmp_path / "data", crop_seconds=1.0,
        save_audio=tmp_path / "audio", plots=tmp_path / "plots",
    )  # fmt: skip
    assert sounds[0].is_file()


def test_synthetic_is_marked_everywhere(tmp_path: Path) -> None:
    results = run(tmp_path, "identity", "synthetic", limit=1)
    assert [result.data.name for result in results] == [
        "synthetic-speech", "synthetic-sound", "synthetic-music",
    ]  # fmt: skip
    for result in results:
        assert result.synthetic
        assert result.data.clips == 1
    paths = list((tmp_path / "results").rglob("*.json"))
    assert len(paths) == 3
    assert all(".synthetic.limit-1." in path.name for path in paths)


class Doubled(Identity):
    """What was encoded, at twice the rate."""

    name, decoded_rate = "doubled", 32_000

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        sounds, lengths = super().decode(frames)
        return torchaudio.functional.resample(sounds, 1, 2, lowpass_filter_width=64), 2 * lengths


def test_what_is_decoded_may_have_a_rate_of_its_own(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", 2)
    (result,) = run(tmp_path, Doubled(), data, save_audio=tmp_path / "heard")
    assert (result.codec.sample_rate, result.codec.decoded_rate) == (16_000, 32_000)
    assert result.scores["si_sdr"].value > 25
    assert result.alignment is not None and result.alignment.length_difference is not None
    assert result.alignment.length_difference.most == 0
    rates = [
        soundfile.info(path).samplerate for path in sorted((tmp_path / "heard").rglob("*.wav"))
    ]
    assert sorted(rates) == [16_000, 16_000, 32_000, 32_000]


def test_only_codecs_and_only_settings_that_can_be(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", 1, 0.3)
    with pytest.raises(EncoderError, match="'logmel' cannot decode"):
        run(tmp_path, "logmel", data)
    with pytest.raises(EncoderError, match="did you mean 'mulaw'"):
        run(tmp_path, "mulow", data)
    for wrong in ({"preset": "x"}, {"rates": (100,)}, {"workers": 0}, {"crop_seconds": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            run(tmp_path, "mulaw", data, **wrong)

    class Mute(Codec):
        name, sample_rate, embedding_dim, frame_rate = "mute", 16_000, 160, 100.0
        encode = Identity.encode

    with pytest.raises(EncoderError, match="'mute' cannot decode"):
        run(tmp_path, Mute(), data)
    # of several codecs the others go on
    results = run(tmp_path, ["logmel", "identity"], data)
    assert [result.status for result in results] == ["failed", "done"]


def test_other_rates_and_without_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_clips(tmp_path / "data", 1, 1.0, 44_100)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (result,) = run(tmp_path, MuLaw(), data, rates=(16_000, 44_100))
    assert result.not_measured == ["pesq_wb", "pesq_nb", "stoi", "estoi"]
    assert "pesq_wb" not in result.scores
    near, far = (result.scores[f"mel_distance_{rate}"].value for rate in ("16k", "44.1k"))
    assert 0 < near < far  # above 8 kHz the codec keeps nothing
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    (full,) = run(tmp_path, MuLaw(), data, rates=(16_000, 44_100))
    assert full.not_measured == []
    assert not math.isnan(full.scores["pesq_wb"].value)
    # neither overwrites the other
    (lone,) = run(tmp_path, MuLaw(), data, rates=(44_100,))
    results, _ = read_results(tmp_path / "results")
    assert [len(result.scores) for result in results if result.comparable == full.comparable] == [
        len(full.scores)
    ]
    assert "mel_distance_16k" not in lone.scores
    (turned,) = run(tmp_path, MuLaw(), data, rates=(44_100, 16_000))
    assert turned.comparable == full.comparable


def test_what_has_other_sources_stands_in_a_table_of_its_own(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", 4, 0.3)
    (by_file,) = run(tmp_path, "identity", data)
    (by_source,) = run(tmp_path, "identity", data, source_key="(?P<source>s[0-9]+)-")
    assert (by_file.data.sources, by_source.data.sources) == (4, 2)
    assert by_file.data.digest == by_source.data.digest
    results, _ = read_results(tmp_path / "results")
    assert sorted(result.data.sources for result in results) == [2, 4]
    assert len(make_tables(results)) == 2


def test_real_speech_ranks_the_anchors(tmp_path: Path, real_data: Path) -> None:
    names = ["identity", "mulaw", "griffinlim"]
    results = run(tmp_path, names, real_data / "librispeech", limit=1, crop_seconds=5.0)
    assert {result.data.source_unit for result in results} == {"speaker"}
    pesq = [result.scores["pesq_wb"].value for result in results]
    assert pesq[0] == pytest.approx(4.6439, abs=1e-3)
    assert 4.3 < pesq[1] < pesq[0]
    assert 1.5 < pesq[2] < 3.5
    for name in ("mel_distance_16k", "stft_distance_16k", "log_spectral_distance_16k"):
        losses = [result.scores[name].value for result in results]
        assert 0 == losses[0] < losses[1] < losses[2]


def test_a_run_that_measures_less_does_not_replace_one_that_measured_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_clips(tmp_path / "data", 1, 1.0)
    (full,) = run(tmp_path, "mulaw", data)
    before = {path: path.read_bytes() for path in (tmp_path / "results").rglob("*.*")}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (less,) = run(tmp_path, MuLaw(), data)
    assert less.status == "failed"
    assert less.error is not None and "pesq_wb, pesq_nb, stoi, estoi cannot be" in less.error
    assert {path: path.read_bytes() for path in (tmp_path / "results").rglob("*.*")} == before
    assert full.scores.keys() > less.scores.keys()
