"""Codecs over data sets: from files to results."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_models
import torch
from clips import audio_bytes
from reconstruction_files import InThisProcess, voice, write_clips

from earmark import reconstruct
from earmark.benchmark.reconstruction import codec as through
from earmark.benchmark.reconstruction import evaluator as running
from earmark.benchmark.reconstruction.journal import Journal
from earmark.benchmark.reconstruction.leaderboard import make_tables
from earmark.benchmark.reconstruction.metric.pair import AudioPair, measure_pair
from earmark.benchmark.reconstruction.metric.registry import all_metrics
from earmark.benchmark.reconstruction.result import ReconstructionResult, read_results
from earmark.encoders import Codec, EncoderError, Frames, load_encoder
from earmark.encoders.anchors.identity import Identity
from earmark.encoders.anchors.mulaw import MuLaw
from earmark.encoders.dasheng import TokenizerConfig, random_weights, save_checkpoint

CHECK = running.Preflight.check


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "speed", lambda codec, device: 5.0)
    monkeypatch.setattr(
        "earmark.benchmark.reconstruction.run.Workers", InThisProcess
    )  # the true ones: test_workers.py
    monkeypatch.setattr(running.Preflight, "check", lambda gate, codec: None)  # seen below


def run(folder: Path, codec: Any, data: Any, **changes: Any) -> list[ReconstructionResult]:
    facts = {"results": folder / "results", "cache": folder / "cache", "workers": 1}
    return reconstruct(codec, data, **facts | changes)


def table_of(folder: Path) -> list[dict[str, str]]:
    (path,) = (folder / "results").rglob("*.clips.csv")
    return list(csv.DictReader(path.open()))


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


def test_a_run_that_was_interrupted_is_taken_up_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_clips(tmp_path / "data", 5, 0.5)
    (whole,) = run(tmp_path / "whole", "mulaw", data)
    calls: list[int] = []
    plain = through.round_trip

    def counted(codec: Codec, samples: Any, device: str) -> Any:
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(len(samples))
        return plain(codec, samples, device)

    monkeypatch.setattr("earmark.benchmark.reconstruction.measure.round_trip", counted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", "mulaw", data)
    (journal,) = (tmp_path / "cut" / "cache" / "reconstruction" / "journals").rglob("*.jsonl")
    kept = journal.read_bytes().count(b"\n")
    journal.write_bytes(journal.read_bytes() + b'{"clip": "half a li')  # as a kill may leave it
    assert list((tmp_path / "cut" / "cache" / "reconstruction" / "scratch").iterdir()) == []
    calls.clear()
    monkeypatch.setattr(
        "earmark.benchmark.reconstruction.measure.round_trip",
        lambda codec, samples, device: (calls.append(1), plain(codec, samples, device))[1],
    )
    (again,) = run(tmp_path / "cut", "mulaw", data)
    assert len(calls) == 5 - kept
    assert facts(again) == facts(whole)
    calls.clear()
    (third,) = run(tmp_path / "cut", "mulaw", data)
    assert calls == []
    assert facts(third) == facts(whole)
    # other bytes under the same name are measured anew
    (data / "s0-0.wav").write_bytes(audio_bytes(voice(0.5, 9), 16_000))
    (fourth,) = run(tmp_path / "cut", "mulaw", data)
    assert len(calls) == 1
    assert fourth.data.digest != whole.data.digest
    assert fourth.comparable != whole.comparable


def test_a_journal_knows_only_what_is_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"codec": "a"})
    journal.add("whole", 1, 2, {"seconds": 1.0})
    journal.add("half", 1, 2, {"seconds": 3.0})
    assert journal.of("whole") is None
    journal.add("whole", 0, 2, {"seconds": 2.0})
    with journal.path.open("ab") as file:
        file.write(b'[1]\n{"clip": "torn", "crop": 0, "cr')
    again = Journal(tmp_path, {"codec": "a"})
    again.add("more", 0, 1, {"seconds": 4.0})  # on a line of its own
    for known in (again, Journal(tmp_path, {"codec": "a"})):
        assert [entry["seconds"] for entry in known.of("whole") or []] == [2.0, 1.0]
        assert [entry["seconds"] for entry in known.of("more") or []] == [4.0]
        for clip in ("half", "torn", "never"):
            assert known.of(clip) is None
    assert Journal(tmp_path, {"codec": "b"}).of("whole") is None
    assert Journal(tmp_path, {"codec": "a"}, fresh=True).of("whole") is None


def facts(result: ReconstructionResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.to_json())
    for part in ("run", "command", "versions"):
        found.pop(part)
    return found


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
    assert passed.data.failures[0]["key"] == "broken.wav"
    assert passed.scores["stoi"].items == 3
    # the success has cleared the note of the failure
    (read,), _ = read_results(tmp_path / "results")
    assert read.status == "done"


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
    reasons = {failure["key"]: failure["reason"] for failure in result.data.failures}
    assert "not this one" in reasons["high.wav"]
    assert "NaN" in reasons["low.wav"]
    assert result.scores["si_sdr"].items == 1


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
    assert [failure["key"] for failure in result.data.failures] == ["a.wav"]
    assert result.data.failures[0]["reason"] == (
        "encoder silencer: silence in what it decoded of sound"
    )
    assert [row["key"] for row in table_of(tmp_path)] == ["b.wav", "quiet.wav"]
    (strictly,) = run(tmp_path / "strictly", Silencer(), data)
    assert strictly.status == "failed"
