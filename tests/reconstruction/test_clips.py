"""Where clips come from: folders, manifests, shards, presets, synthetic."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import audio_bytes, clip_members, write_tar
from reconstruction_files import voice, write_clips

from earmark.benchmark.audio.decode import decode
from earmark.benchmark.reconstruction.clips import ClipSet, open_material
from earmark.benchmark.reconstruction.presets import PRESETS, open_preset
from earmark.benchmark.reconstruction.settings import ReconstructionSettings, open_materials
from earmark.benchmark.reconstruction.synthetic import synthetic_materials
from earmark.benchmark.shards.dataset import DataError
from earmark.tasks import builtin_tasks


def keys(material: ClipSet) -> list[str]:
    return [clip.key for clip in material.clips]


def sources(material: ClipSet) -> list[str]:
    return [clip.source for clip in material.clips]


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(audio_bytes(np.full(160, 0.1), 16_000))


def test_a_folder_with_what_is_in_it(tmp_path: Path) -> None:
    for name in ("b/2.WAV", "a.flac", "b/1.ogg", "c.mp3", ".hidden/x.wav", "b/._1.wav", "note.txt"):
        touch(tmp_path / name)
    material = open_material(tmp_path)
    assert keys(material) == ["a.flac", "b/1.ogg", "b/2.WAV", "c.mp3"]
    assert sources(material) == keys(material)
    assert material.clips[2].read() == (tmp_path / "b/2.WAV").read_bytes()
    ruled = open_material(tmp_path, source_key="(?P<source>[a-z])/")
    assert sources(ruled) == ["a.flac", "b", "b", "c.mp3"]


def test_shards_with_the_sources_of_their_task(tmp_path: Path) -> None:
    audio = audio_bytes(np.full(160, 0.1), 16_000)
    shard = [m for key in ("1-77-A", "1-77-B", "1-5-A") for m in clip_members(key, audio, {})]
    shard += [("alone.wav", audio)]
    write_tar(tmp_path / "esc50" / "wds-audio-fold-1-000000.tar", shard)
    material = open_material(tmp_path / "esc50")
    stem = "wds-audio-fold-1-000000"
    assert keys(material) == [f"{stem}/1-5-A", f"{stem}/1-77-A", f"{stem}/1-77-B"]
    assert sources(material) == ["5", "77", "77"]
    assert material.source_unit == "recording"
    assert material.clips[1].read() == audio
    assert [(failed.key, failed.reason) for failed in material.failures] == [
        (f"{stem}/alone", "no JSON beside the audio")
    ]
    # the same shard elsewhere is nobody's
    write_tar(tmp_path / "mine" / "wds-audio-fold-1-000000.tar", shard)
    assert sources(open_material(tmp_path / "mine")) == keys(material)
    one = open_material(tmp_path / "esc50" / f"{stem}.tar")
    assert (keys(one), sources(one)) == (keys(material), sources(material))


def test_real_shards(real_data: Path) -> None:
    esc, libri = (open_material(real_data / name) for name in ("esc50", "librispeech"))
    assert (len(esc.clips), esc.source_unit) == (400, "recording")
    assert (len(libri.clips), libri.source_unit) == (280, "speaker")
    assert len(set(sources(libri))) == 3


def test_a_manifest(tmp_path: Path) -> None:
    write_clips(tmp_path / "audio", 2)
    manifest = tmp_path / "list.csv"
    manifest.write_text(
        "path,source,start,seconds\naudio/s0-0.wav,anna,,\naudio/s0-0.wav,anna,0.25,0.5\n"
        "audio/s0-1.wav,,0,\n"
    )
    material = open_material(manifest)
    assert keys(material) == ["audio/s0-0.wav", "audio/s0-0.wav@0.25", "audio/s0-1.wav"]
    assert sources(material) == ["anna", "anna", "audio/s0-1.wav"]
    second = material.clips[1]
    assert (second.start, second.seconds) == (0.25, 0.5)
    assert second.read() == (tmp_path / "audio/s0-0.wav").read_bytes()


@pytest.mark.parametrize(("text", "said"), [
    ("file\na.wav\n", "its columns must be path and any of key, source, start, seconds, not file"),
    ("path,gain\na.wav,1\n", "not path, gain"),
    ("path,start\na.wav,-1\n", ":2: start '-1' must be a number of seconds"),
    ("path,seconds\na.wav,0\n", ":2: seconds '0' must be"),
    ("path,start\na.wav\n", ":2: has not as many fields"),
    ("path\na.wav\na.wav\n", ":3: key 'a.wav' is there twice"),
    ("path,key\n,x\n", ":2: path is empty"),
    ("path\n", "lists no clip"),
    ("", "its columns must be path"),
])  # fmt: skip
def test_a_manifest_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        open_material(tmp_path / "list.csv")
    assert said in str(caught.value)
    assert str(tmp_path / "list.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_places_that_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "both" / "a.wav")
    write_tar(tmp_path / "both" / "a.tar", [])
    touch(tmp_path / "a.wav")
    for place, said in {
        "empty": "holds no audio file", "both": "holds shards (a.tar) and audio files (a.wav)",
        "nowhere": "no folder or file", "a.wav": "is neither a folder, a shard",
    }.items():  # fmt: skip
        with pytest.raises(DataError) as caught:
            open_material(tmp_path / place)
        assert said in str(caught.value)
    for rule, said in {"(": "not a regular expression", "[0-9]+": "a group named source"}.items():
        with pytest.raises(DataError) as caught:
            open_material(tmp_path / "both" / "a.wav", rule)
        assert said in str(caught.value)


@pytest.mark.parametrize("below", ["", "zh", "seedtts_testset/zh"])
def test_seed_tts_by_its_list(tmp_path: Path, below: str) -> None:
    folder = tmp_path / below
    for name in ("u1", "u2", "unlisted"):
        touch(folder / "wavs" / f"{name}.wav")
    touch(folder / "prompt-wavs" / "p.wav")
    assert keys(open_preset("seed_tts_zh", tmp_path)) == ["u1.wav", "u2.wav", "unlisted.wav"]
    (folder / "meta.lst").write_text("u2|text|prompt-wavs/p.wav|其他\nu1|t|p|t\ngone|t|p|t\n")
    material = open_preset("seed_tts_zh", tmp_path)
    assert keys(material) == ["u2.wav", "u1.wav"]
    assert [failed.key for failed in material.failures] == ["gone.wav"]
    assert material.crop_seconds is None


@pytest.mark.parametrize("name", PRESETS)
def test_published_values_are_not_of_a_few_clips(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        below = f"t{i}/mixture.wav" if name == "musdb18" else f"wavs/{i}.wav"
        touch(tmp_path / below)
    assert open_preset(name, tmp_path).known_as is None
    for whole, known_as in ((6, name), (7, None)):
        monkeypatch.setitem(PRESETS, name, replace(PRESETS[name], whole=whole))
        assert open_preset(name, tmp_path).known_as == known_as


def test_audioset_and_musdb_by_their_folders(tmp_path: Path) -> None:
    touch(tmp_path / "audioset" / "eval_segments" / "Yabc.wav")
    touch(tmp_path / "audioset" / "train" / "Yxyz.wav")
    assert keys(open_preset("audioset_eval", tmp_path)) == ["Yabc.wav"]
    for track in ("A - B", "C - D"):
        for stem in ("mixture", "drums"):
            touch(tmp_path / "musdb18hq" / "test" / track / f"{stem}.wav")
    (tmp_path / "musdb18hq" / "test" / "empty").mkdir()
    material = open_preset("musdb18", tmp_path)
    assert (keys(material), material.crop_seconds) == (["A - B", "C - D"], 10.0)
    assert material.clips[0].read() == (
        tmp_path / "musdb18hq" / "test" / "A - B" / "mixture.wav"
    ).read_bytes()  # fmt: skip
    assert [failed.key for failed in material.failures] == ["empty"]
    (tmp_path / "stems").mkdir()
    (tmp_path / "stems" / "a.stem.mp4").write_bytes(b"")
    with pytest.raises(DataError, match="get MUSDB18-HQ"):
        open_preset("musdb18", tmp_path / "stems")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_that_is_not_there_says_what_was_expected(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        open_preset(name, tmp_path / "nowhere")
    assert "expected" in str(caught.value)
    assert str(tmp_path / "nowhere") in str(caught.value)


def test_a_limit_is_a_fixed_choice(tmp_path: Path) -> None:
    material = open_material(write_clips(tmp_path / "data", 6, 0.1))
    wanted = sorted(keys(material), key=lambda key: hashlib.sha256(key.encode()).digest())[:2]
    limited = material.limited(2)
    assert sorted(keys(limited)) == sorted(wanted)
    assert limited.limit == 2
    assert material.limited(None) is material


def test_synthetic_clips_are_the_same_every_time_and_of_all_domains() -> None:
    again = {material.name: material for material in synthetic_materials()}
    for material in synthetic_materials():
        assert material.synthetic
        assert len(material.clips) == 20
        assert len(set(keys(material))) == 20
        for clip, other in zip(material.clips[::9], again[material.name].clips[::9], strict=True):
            data = clip.read()
            assert data == other.read()
            samples, rate = decode(data)
            assert 2.5 < len(samples) / rate < 8  # long enough for PESQ and STOI
            assert 0.02 < np.abs(samples).max() < 1
    assert len(set(sources(again["synthetic-speech"]))) == 10


def test_settings_choose_what_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_clips(tmp_path / "data", 3, 0.1)
    monkeypatch.setitem(PRESETS, "audioset_eval", replace(PRESETS["audioset_eval"], whole=3))

    def opened(places: Any, **changes: Any) -> list[ClipSet]:
        return open_materials(places, ReconstructionSettings(**changes))

    assert [material.name for material in opened(["synthetic", data])] == [
        "synthetic-speech", "synthetic-sound", "synthetic-music", "data",
    ]  # fmt: skip
    (cropped,) = opened(data, crop_seconds=0.05, limit=2)
    assert (cropped.crop_seconds, cropped.limit, len(cropped.clips)) == (0.05, 2, 2)
    (preset,) = opened(data, preset="audioset_eval")
    assert (preset.name, preset.crop_seconds) == ("audioset_eval", 10.0)
    (preset,) = opened(data, preset="audioset_eval", crop_seconds=5.0)
    assert (preset.crop_seconds, preset.known_as) == (5.0, None)  # published: of other crops
    (preset,) = opened(data, preset="audioset_eval", crop_seconds=10.0)
    assert preset.known_as == "audioset_eval"
    with pytest.raises(DataError, match="leave out synthetic"):
        opened("synthetic", preset="musdb18")
    (tmp_path / "synthetic").mkdir()
    (tmp_path / "synthetic" / "a.wav").write_bytes(audio_bytes(voice(0.1), 16_000))
    (real,) = opened(tmp_path / "synthetic")  # a Path is always a folder
    assert not real.synthetic


def test_a_clip_without_its_source_is_none_of_its_own(tmp_path: Path) -> None:
    """Where others state it; where none does, the rule is of other shards."""
    audio = audio_bytes(np.full(160, 0.1), 16_000)
    spec = next(s for s in builtin_tasks().values() if s.source.field is not None)
    pattern = next(iter(spec.shard_patterns.values()))
    field = str(spec.source.field)
    stated: dict[str, Any] = {"a": {field: "ann"}, "b": {field: 2.0}, "c": {}, "d": {field: None}}
    for folder, notes in (("all", stated), ("none", {"a": {}, "c": {}})):
        shard = [m for key, note in notes.items() for m in clip_members(key, audio, note)]
        place = tmp_path / folder / spec.folder
        write_tar(place / pattern.replace("*", "-0"), shard)
    material = open_material(tmp_path / "all" / spec.folder)
    assert sources(material) == ["ann", "2"]
    assert [failed.key.rpartition("/")[2] for failed in material.failures] == ["c", "d"]
    assert "no source field" in material.failures[0].reason
    nobody = open_material(tmp_path / "none" / spec.folder)
    assert sources(nobody) == keys(nobody) and nobody.failures == ()
