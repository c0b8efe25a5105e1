"""From files, shards, manifests and recipes to one corpus: decoded once, whole, nothing hidden."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
import soundfile
import soxr
from clips import audio_bytes, clip_members, write_tar

from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.shards.dataset import DataError
from earmark.benchmark.synthetic import RECIPES, SEED
from earmark.benchmark.synthetic.recipe import Draw
from earmark.benchmark.training import TRAINING_SEED, make_corpus, training_clips
from earmark.tasks import builtin_tasks

RNG = np.random.default_rng(0)


def write(path, seconds=0.5, rate=16_000, channels=1, subtype="PCM_16"):
    """A file of noise; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = RNG.uniform(-0.3, 0.3, (round(seconds * rate), channels))
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def clip(corpus, number):
    return corpus.samples[corpus.offsets[number] : corpus.offsets[number + 1]]


def test_clips_are_decoded_to_mono_at_16_khz(tmp_path):
    paths = [
        write(tmp_path / "audio" / "a.wav"),
        write(tmp_path / "audio" / "b.flac", 0.7, 44_100, channels=2),
        write(tmp_path / "audio" / "deep" / "c.wav", 0.3, 8_000, subtype="FLOAT"),
    ]
    corpus = make_corpus([tmp_path / "audio"])
    assert corpus.samples.dtype == np.int16
    assert corpus.names == ["audio"]
    assert corpus.groups.tolist() == [0, 0, 0]
    for number, path in enumerate(paths):
        samples, rate = soundfile.read(path, always_2d=True)
        mono = soxr.resample(samples.mean(axis=1), rate, 16_000, "HQ")
        found = clip(corpus, number)
        assert len(found) == len(mono)
        assert np.abs(found - 32_768 * mono).max() < 1


def test_loud_samples_are_clipped_and_do_not_wrap(tmp_path):
    path = tmp_path / "audio" / "a.wav"
    path.parent.mkdir()
    soundfile.write(path, np.array([1.5, -1.5, 1.0, -1.0, 0.0] * 100), 16_000, subtype="FLOAT")
    assert clip(make_corpus([path.parent]), 0)[:5].tolist() == [32_767, -32_768, 32_767, -32_768, 0]


def test_what_was_decoded_is_kept(tmp_path, monkeypatch):
    write(tmp_path / "audio" / "a.wav")
    first = make_corpus([tmp_path / "audio"], cache=tmp_path / "kept")
    monkeypatch.setattr(AudioPipeline, "load", lambda self, data: pytest.fail("decoded again"))
    second = make_corpus([tmp_path / "audio"], cache=tmp_path / "kept")
    assert second.digest == first.digest
    assert np.array_equal(second.samples, first.samples)
    monkeypatch.undo()
    write(tmp_path / "audio" / "a.wav")  # other bytes under the same name
    third = make_corpus([tmp_path / "audio"], cache=tmp_path / "kept")
    assert third.digest != first.digest
    assert not np.array_equal(third.samples, first.samples)


def test_an_interrupted_decoding_leaves_nothing(tmp_path, monkeypatch):
    write(tmp_path / "audio" / "a.wav")

    def interrupted(self, data):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(AudioPipeline, "load", interrupted)
        make_corpus([tmp_path / "audio"], cache=tmp_path / "kept")
    assert not [path for path in (tmp_path / "kept" / "training").iterdir() if path.is_dir()]
    assert len(clip(make_corpus([tmp_path / "audio"], cache=tmp_path / "kept"), 0)) == 8000


def many(folder, count=120):
    for number in range(count):
        write(folder / f"{number:03d}.wav", 0.05)
    return folder


def test_a_clip_that_does_not_decode_is_told_and_left_out(tmp_path):
    folder = many(tmp_path / "audio")
    (folder / "050.wav").write_bytes(b"RIFF no audio")
    for _ in range(2):  # also where the others were kept
        told = []
        corpus = make_corpus([folder], tell=told.append)
        assert len(corpus.offsets) == 120
        assert len(told) == 1
        assert told[0].startswith("050.wav is left out: ")
    (folder / "051.wav").write_bytes(b"")
    told = []
    with pytest.raises(DataError) as caught:
        make_corpus([folder], tell=told.append)
    assert str(caught.value).startswith("2 of 120 clips cannot be decoded, more than 1%; the first")
    assert "050.wav: " in str(caught.value)
    assert len(told) == 2


def test_nothing_that_decodes(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a.wav").write_bytes(b"no audio")
    with pytest.raises(DataError, match=r"no audio that decodes to train on; the first: a\.wav: "):
        make_corpus([tmp_path / "audio"])
    with pytest.raises(DataError, match="no folder or file"):
        make_corpus([tmp_path / "none"])


def test_several_places(tmp_path):
    write(tmp_path / "one" / "a.wav", 0.5)
    members = clip_members("k", audio_bytes(RNG.uniform(-1, 1, 3200), 16_000), {"label": 0})
    shard = write_tar(tmp_path / "two.tar", members)
    places = [tmp_path / "one", shard, tmp_path / "one"]  # one of them twice
    corpus = make_corpus(places)
    assert corpus.names == ["one", "two"]
    assert corpus.groups.tolist() == [0, 1]
    assert corpus.offsets.tolist() == [0, 8000, 11_200]
    write(tmp_path / "other" / "one" / "a.wav")
    with pytest.raises(DataError, match="two data sets are named 'one'; rename"):
        make_corpus([*places, tmp_path / "other" / "one"])


def test_a_manifest_names_stretches(tmp_path):
    samples = RNG.integers(-30_000, 30_000, 32_000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    lines = ["path,start,seconds", "a.wav,0.5,0.25", "a.wav,1.75,", "a.wav,,0.1"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    corpus = make_corpus([tmp_path / "list.csv"])
    assert corpus.names == ["list"]
    for number, expected in enumerate((samples[8000:12_000], samples[28_000:], samples[:1600])):
        assert np.array_equal(clip(corpus, number), expected)
    (tmp_path / "list.csv").write_text("path,start\na.wav,2.5\n")
    with pytest.raises(DataError, match=r"a\.wav@2\.5: holds nothing from 2\.5 s on"):
        make_corpus([tmp_path / "list.csv"])
    (tmp_path / "list.csv").write_text("path\nb.wav\n")
    with pytest.raises(DataError, match=r"b\.wav: cannot be read: No such file"):
        make_corpus([tmp_path / "list.csv"])


def test_a_limit_is_a_fixed_choice(tmp_path):
    folder = many(tmp_path / "audio", 10)
    few = make_corpus([folder], limit=4)
    assert len(few.offsets) == 5
    everything = {clip(make_corpus([folder]), n).tobytes() for n in range(10)}
    assert {clip(few, n).tobytes() for n in range(4)} < everything
    assert np.array_equal(make_corpus([folder], limit=4).samples, few.samples)


def test_the_twins_draw_as_before():
    for task, names in (("esc50", ("clip", "a")), ("fsc", ("speaker", 3))):
        words = [zlib.crc32(str(word).encode()) for word in (task, *names)]
        expected = np.random.default_rng([SEED, *words]).random(4)
        assert np.array_equal(Draw(task)(*names).random(4), expected)
        other = np.random.default_rng([TRAINING_SEED, *words]).random(4)
        assert np.array_equal(Draw(task, TRAINING_SEED)(*names).random(4), other)
    assert TRAINING_SEED != SEED


def test_no_training_clip_is_a_twin_s():
    """What is made from one plan's clip under either seed differs, in every recipe."""
    material = training_clips(1)
    assert material.synthetic
    assert {one.key.split("/")[0] for one in material.clips} == set(RECIPES) == set(builtin_tasks())
    quick = ("esc50", "gtzan", "nsynth", "speech_commands_v1", "vocalsound")
    for one in material.clips:
        name = one.key.split("/")[0]
        if name not in quick:
            continue
        draw = Draw(name)
        plan = RECIPES[name](builtin_tasks()[name], draw)
        twin = next(clip for part in plan.values() for clip in part)
        samples = np.clip(twin.render(draw("clip", twin.key)), -1, 1)
        made = one.read()
        assert made == one.read()
        assert audio_bytes(samples, twin.sample_rate, subtype="PCM_16") != made
        found, rate = soundfile.read(io.BytesIO(made))
        assert rate == twin.sample_rate
        overlap = min(len(found), len(samples))
        assert abs(np.corrcoef(found[:overlap], samples[:overlap])[0, 1]) < 0.9


def test_the_limit_of_synthetic_audio_is_one_of_each_recipe():
    for limit in (1, 3):
        keys = [one.key.split("/")[0] for one in training_clips(limit).clips]
        assert all(1 <= keys.count(name) <= limit for name in RECIPES)
