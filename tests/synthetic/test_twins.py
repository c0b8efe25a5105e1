"""Synthetic twins: complete, well-formed, free of leaks, the same bytes each time, never half."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import soundfile
import webdataset

from earmark.benchmark.synthetic import SEED, VERSION, has_twin, synthesise, twins
from earmark.benchmark.synthetic.recipe import Draw, Plan, Recipe, SyntheticClip
from earmark.benchmark.synthetic.signals import PEAK, Array, Generator, noise, record, slope
from earmark.tasks import TaskSpec, builtin_tasks

FEW = 1  # clips of a label in each split or fold, to keep the tests short
MADE = (
    "asv2015", "clotho", "desed", "fsd50k", "librispeech_100h", "librispeech_mf", "maestro",
    "nsynth", "urbansound8k", "voxceleb1", "voxlingua33",
)  # fmt: skip
BY_CLASS = ("class", "multilabel")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twins of the first FEW clips of each label only; which clips they are stays the same."""

    def shortened(recipe: Recipe) -> Recipe:
        def plan(spec: TaskSpec, draw: Draw) -> Plan:
            return {part: first_of_each(spec, clips) for part, clips in recipe(spec, draw).items()}

        return plan

    monkeypatch.setattr(twins, "RECIPES", {k: shortened(r) for k, r in twins.RECIPES.items()})


def first_of_each(spec: TaskSpec, clips: list[SyntheticClip]) -> list[SyntheticClip]:
    seen: dict[str, int] = {}
    kept: list[SyntheticClip] = []
    for clip in clips:
        label = str(clip.metadata[spec.label.field]) if spec.label.kind in BY_CLASS else ""
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= FEW and len(kept) < 60:
            kept.append(clip)
    return kept


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    """Member name -> bytes, over all shards of a pattern."""
    found: dict[str, bytes] = {}
    for shard in sorted(folder.glob(pattern)):
        with tarfile.open(shard) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


def labels_of(spec: TaskSpec, metadata: Any) -> list[str]:
    """Names of the classes in a clip's JSON; none for a task of texts."""
    if spec.label.kind == "class":
        return [str(metadata[spec.label.field])]
    if spec.label.kind == "multilabel":
        return str(metadata[spec.label.field]).split(spec.label.separator)
    if spec.label.kind == "events":
        return [name for event in metadata for name in event["label"].split(",")]
    return [str(note["note"]) for note in metadata] if spec.label.kind == "notes" else []


# --- every plan -----------------------------------------------------------------------------------


def test_every_task_has_a_twin() -> None:
    assert [name for name in builtin_tasks() if not has_twin(name)] == []
    assert set(twins.RECIPES) <= set(builtin_tasks())


@pytest.mark.parametrize("name", sorted(twins.RECIPES))
def test_plan(name: str) -> None:
    """Keys, labels, sources and sizes of a whole twin; no audio is made."""
    spec = builtin_tasks()[name]
    plan = twins.RECIPES[name](spec, Draw(name))
    assert list(plan) == list(spec.shard_patterns)
    keys = [clip.key for clips in plan.values() for clip in clips]
    assert len(set(keys)) == len(keys)
    assert (30 if spec.label.kind == "notes" else 200) <= len(keys) <= 700

    used = {
        part: {one for clip in clips for one in labels_of(spec, clip.metadata)}
        for part, clips in plan.items()
    }
    everything = set().union(*used.values())
    assert everything <= set(spec.classes)
    parts = list(spec.folds) or (["train"] if spec.label.kind == "notes" else ["train", "test"])
    assert all(used[part] == everything for part in parts)

    owner: dict[str, str] = {}
    for part, clips in plan.items():
        for clip in clips:
            source = spec.source.source_of(clip.key, clip.metadata)
            if source is None:
                assert spec.source.key is None, f"{clip.key}: the source rule finds nothing"
                assert spec.source.field is None, f"{clip.key}: the source rule finds nothing"
                continue
            assert owner.setdefault(source, part) == part, f"{source} is in two splits"


def test_speakers_of_voxceleb_are_in_every_split() -> None:
    spec = builtin_tasks()["voxceleb1"]
    plan = twins.RECIPES["voxceleb1"](spec, Draw("voxceleb1"))
    speakers = [{clip.metadata["speakerid"] for clip in clips} for clips in plan.values()]
    assert speakers[0] == speakers[1] == speakers[2]


def webdataset_reads(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """Samples of the shards of a pattern, as webdataset itself groups their members."""
    shards = [str(shard) for shard in sorted(folder.glob(pattern))]
    found: list[dict[str, Any]] = list(webdataset.WebDataset(shards, shardshuffle=False))
    return found


@pytest.mark.parametrize("name", sorted(twins.RECIPES))
def test_webdataset_reads_every_clip(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all keys of the twin; the audio, which does not matter here, is a few samples."""
    spec = builtin_tasks()[name]
    monkeypatch.setattr(twins, "_audio", lambda clip, draw: b"audio of " + clip.key.encode())
    folder = synthesise(spec, tmp_path)
    for part, clips in twins.RECIPES[name](spec, Draw(name)).items():
        wanted = {clip.key: clip for clip in clips}
        samples = webdataset_reads(folder, spec.shard_patterns[part])
        assert sorted(sample["__key__"] for sample in samples) == sorted(wanted)
        for sample in samples:
            clip = wanted[sample["__key__"]]
            assert sample[clip.suffix] == b"audio of " + clip.key.encode()
            assert json.loads(sample["json"]) == clip.metadata


# --- made twins -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MADE)
def test_twin_is_well_formed(name: str, few: None, tmp_path: Path) -> None:
    spec = builtin_tasks()[name]
    folder = synthesise(spec, tmp_path)
    assert folder == tmp_path / spec.folder
    matched = {part: sorted(folder.glob(p)) for part, p in spec.shard_patterns.items()}
    assert all(matched.values())
    shards = [shard for group in matched.values() for shard in group]
    assert len(set(shards)) == len(shards), "two splits match one shard"
    assert sorted(folder.glob("*.tar")) == sorted(shards)
    for pattern in spec.shard_patterns.values():
        members = contents(folder, pattern)
        audio = {n.rpartition(".")[0]: data for n, data in members.items() if n[-5:] != ".json"}
        texts = {n.rpartition(".")[0]: data for n, data in members.items() if n[-5:] == ".json"}
        assert audio.keys() == texts.keys()
        for key, data in audio.items():
            metadata = json.loads(texts[key])
            if spec.label.kind in BY_CLASS:
                assert isinstance(metadata[spec.label.field], int) == spec.label.index
            assert set(labels_of(spec, metadata)) <= set(spec.classes)
            samples, rate = soundfile.read(io.BytesIO(data))
            assert rate >= 16_000
            assert 0.2 < len(samples) / rate < 25
            assert np.isfinite(samples).all()
            assert 0.001 < np.abs(samples).max() <= 1


def test_clips_of_two_crops(few: None, tmp_path: Path) -> None:
    """Tasks with crops have clips of two crops and clips shorter than one."""
    spec = builtin_tasks()["voxceleb1"]
    members = contents(synthesise(spec, tmp_path), spec.splits["train"])
    lengths = [
        soundfile.info(io.BytesIO(d)).duration for n, d in members.items() if n[-5:] == ".flac"
    ]
    assert spec.crop_seconds is not None
    assert max(lengths) >= 2 * spec.crop_seconds
    assert min(lengths) < spec.crop_seconds


def test_rates_and_channels_of_urbansound(few: None, tmp_path: Path) -> None:
    spec = builtin_tasks()["urbansound8k"]
    folder = synthesise(spec, tmp_path)
    found = [
        soundfile.info(io.BytesIO(data))
        for pattern in spec.folds.values()
        for name, data in contents(folder, pattern).items()
        if name.endswith(".wav")
    ]
    assert len({info.samplerate for info in found}) >= 3
    assert {info.channels for info in found} == {1, 2}


def test_the_same_bytes_again(few: None, tmp_path: Path) -> None:
    spec = builtin_tasks()["nsynth"]
    first, second = synthesise(spec, tmp_path / "a"), synthesise(spec, tmp_path / "b")
    files = sorted(path.name for path in first.iterdir())
    assert files == sorted(path.name for path in second.iterdir())
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


def test_second_call_makes_nothing(few: None, tmp_path: Path) -> None:
    spec = builtin_tasks()["asv2015"]
    told: list[tuple[int, int]] = []
    folder = synthesise(spec, tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(i + 1, len(told)) for i in range(len(told))]
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    told.clear()
    assert synthesise(spec, tmp_path, lambda done, total: told.append((done, total))) == folder
    assert told == []
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def breaking(after: int) -> Callable[[Recipe], Recipe]:
    """A recipe whose audio fails after so many clips, as a killed run would."""

    def wrap(recipe: Recipe) -> Recipe:
        made = 0

        def plan(spec: TaskSpec, draw: Draw) -> Plan:
            def fail(clip: SyntheticClip) -> SyntheticClip:
                def render(rng: Generator) -> Array:
                    nonlocal made
                    made += 1
                    if made > after:
                        raise KeyboardInterrupt
                    return clip.render(rng)

                return replace(clip, render=render)

            return {part: [fail(c) for c in clips] for part, clips in recipe(spec, draw).items()}

        return plan

    return wrap


def test_interrupted_making(few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = builtin_tasks()["asv2015"]
    whole = twins.RECIPES
    monkeypatch.setattr(twins, "RECIPES", {"asv2015": breaking(3)(whole["asv2015"])})
    with pytest.raises(KeyboardInterrupt):
        synthesise(spec, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f".{spec.folder}.lock"]
    monkeypatch.setattr(twins, "RECIPES", whole)
    folder = synthesise(spec, tmp_path)
    assert json.loads((folder / twins.MANIFEST).read_text())["version"] == VERSION
    assert all(list(folder.glob(pattern)) for pattern in spec.splits.values())


def test_second_of_two_runs_waits_and_takes_the_first_ones(few: None, tmp_path: Path) -> None:
    spec = builtin_tasks()["asv2015"]
    made: list[int] = []
    second = Thread(target=lambda: synthesise(spec, tmp_path, lambda done, _: made.append(done)))

    def meanwhile(done: int, total: int) -> None:
        if done == 1:
            second.start()
        assert made == []

    folder = synthesise(spec, tmp_path, meanwhile)
    first = (folder / twins.MANIFEST).stat().st_ino
    second.join(60)
    assert not second.is_alive()
    assert made == []
    assert (folder / twins.MANIFEST).stat().st_ino == first


def test_older_version_is_made_anew(
    few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = builtin_tasks()["asv2015"]
    folder = synthesise(spec, tmp_path)
    (folder / "left_over.tar").write_bytes(b"")
    manifest = json.loads((folder / twins.MANIFEST).read_text())
    manifest["files"]["left_over.tar"] = hashlib.sha256(b"").hexdigest()
    (folder / twins.MANIFEST).write_text(json.dumps(manifest))
    monkeypatch.setattr(twins, "VERSION", VERSION + 1)
    assert synthesise(spec, tmp_path) == folder
    assert json.loads((folder / twins.MANIFEST).read_text())["version"] == VERSION + 1
    assert not (folder / "left_over.tar").exists()
    assert capsys.readouterr().err == f"{folder} holds something else; it is made anew\n"


def test_real_data_is_left_alone(tmp_path: Path) -> None:
    spec = builtin_tasks()["asv2015"]
    shard = tmp_path / spec.folder / "asvspoof_train_000000.tar"
    shard.parent.mkdir()
    shard.write_bytes(b"real")
    with pytest.raises(ValueError, match="exists and is not a synthetic twin; remove it"):
        synthesise(spec, tmp_path)
    assert shard.read_bytes() == b"real"


def test_unknown_task(tmp_path: Path) -> None:
    spec = replace(builtin_tasks()["esc50"], name="my_task")
    assert not has_twin("my_task")
    with pytest.raises(ValueError, match="task 'my_task' has no synthetic twin") as caught:
        synthesise(spec, tmp_path)
    assert "\n" not in str(caught.value)


# --- the toolbox ----------------------------------------------------------------------------------


def test_draw_depends_on_every_name() -> None:
    values = {
        Draw(task)(*names).uniform()
        for task in ("esc50", "fsc")
        for names in (("clip", "a"), ("clip", "b"), ("voice", "a"))
    }
    assert len(values) == 6
    assert Draw("esc50")("clip", "a").uniform() == Draw("esc50")("clip", "a").uniform()
    other = np.random.default_rng([SEED + 1, 1]).uniform()
    assert other not in values


def test_record_keeps_within_full_scale() -> None:
    rng = np.random.default_rng(3)
    spikes = np.zeros(4000)
    spikes[::1000] = 1e4
    heard = record(spikes, rng, 16_000, level=(-3.0, -3.0))
    assert float(np.abs(heard).max()) <= PEAK + 1e-12
    silent = record(np.zeros(4000), rng, 16_000)
    assert np.isfinite(silent).all()


def test_noise_has_the_spectrum_asked_for() -> None:
    hiss = noise(np.random.default_rng(4), 1 << 16, 16_000, slope(-6.0206))
    power = np.abs(np.fft.rfft(hiss)) ** 2
    per_hertz = len(power) / 8000
    low = power[int(480 * per_hertz) : int(520 * per_hertz)].mean()
    high = power[int(3900 * per_hertz) : int(4100 * per_hertz)].mean()
    assert float(np.sqrt(np.mean(hiss**2))) == pytest.approx(1.0)
    assert 10 * np.log10(low / high) == pytest.approx(18, abs=1.5)  # 3 octaves
