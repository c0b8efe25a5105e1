"""Every cache: damaged in any manner, the next use gives what a clean one gives."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from clips import REPOSITORY, audio_bytes, clip_members, write_tar
from paired_cells import random_predictions, write_cell

from earmark.benchmark.audit.shard_hashes import HashJob, hash_shards
from earmark.benchmark.conformance import preflight as gating
from earmark.benchmark.conformance.preflight import Preflight
from earmark.benchmark.reconstruction.journal import Journal
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shards.dataset import DataError
from earmark.benchmark.shards.shard import read_shard, shard_digest
from earmark.benchmark.store import EmbeddingStore, ShardEmbeddings
from earmark.benchmark.synthetic import synthesise, twins
from earmark.benchmark.training import make_corpus
from earmark.benchmark.uncertainty.values import values_of
from earmark.encoders import load_encoder
from earmark.tasks import builtin_tasks

Use = Callable[[Path], Any]


def noise(seed: int, count: int = 800) -> Any:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, count)


def shards(data: Path) -> list[Path]:
    """Two shards with the same keys and other audio."""
    return [
        write_tar(
            data / f"{n}.tar",
            [m for key in "ab" for m in clip_members(key, audio_bytes(noise(n), 16_000), {"l": 0})],
        )
        for n in range(2)
    ]


# ---- each cache used twice, for two things that could be taken for one another


def digests(room: Path) -> Any:
    return [shard_digest(path, room / "cache") for path in sorted((room / "data").iterdir())]


def audio_hashes(room: Path) -> Any:
    jobs = [HashJob(read_shard(path), path.name) for path in sorted((room / "data").iterdir())]
    return hash_shards(jobs, cache=room / "cache", workers=1, label="toy")


def values_for_comparing(room: Path) -> Any:
    cells = [
        write_cell(room / "results", random_predictions("accuracy", i), f"E{i}") for i in (0, 1)
    ]
    found = values_of(cells, room / "cache")
    return [(v.items, v.count, {k: a.tolist() for k, a in v.by_probe.items()}) for v in found]


def store(room: Path) -> Any:
    """What a run does: get, else make and put."""
    found = []
    kept = EmbeddingStore(room / "cache")
    for number, key in enumerate(("ab" * 32, "cd" * 32)):
        if kept.get(key) is None:
            rows = np.full((2, 3), number, np.float32)
            kept.put(key, ShardEmbeddings(rows, ["a", "b"], [1, 1], [], [1.0, 2.0]))
        entry = kept.get(key)
        assert entry is not None
        found.append(entry.embeddings.tolist())
    return found


def journal(room: Path) -> Any:
    """What `reconstruct` does for two codecs: the known clips' entries, else measured ones."""
    found = []
    for number, codec in enumerate("ab"):
        lines = Journal(room / "cache", {"codec": codec})
        for clip in ("one", "two"):
            if lines.of(clip) is None:
                lines.add(clip, 0, 1, {"score": number + len(clip) / 10})
            found.append(lines.of(clip))
    return found


def twin(room: Path) -> Any:
    folder = synthesise(builtin_tasks()["gtzan"], room / "cache")
    return {path.name: path.read_bytes() for path in folder.glob("*.tar")}


def corpus(room: Path) -> Any:
    found = []
    for number in range(2):
        audio = room / "audio" / str(number) / "audio"
        if not audio.exists():
            audio.mkdir(parents=True)
            for clip in range(2):
                soundfile.write(audio / f"{clip}.wav", noise(10 * number + clip), 16_000)
        made = make_corpus([audio], cache=room / "cache")
        found.append((made.samples.tolist(), made.offsets.tolist(), made.groups.tolist()))
    return found


CACHES: dict[str, Use] = {
    "shard digests": digests, "audio hashes": audio_hashes,
    "values for comparing": values_for_comparing,
    "store": store, "journal": journal, "twin": twin, "corpus": corpus,
}  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two shards, few resamples, and a twin whose clips are a few bytes."""
    shards(tmp_path / "data")
    monkeypatch.setattr(twins, "_audio", lambda clip, draw: clip.key.encode())


def files(room: Path) -> list[Path]:
    """What a cache has written, locks aside."""
    return sorted(
        path
        for path in (room / "cache").rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    )


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def flip_last(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-2] ^= 0x01
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("")


DAMAGES = [flip, flip_last, cut, empty, folder]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("cache", CACHES)
def test_damage_is_told_once_and_changes_nothing(
    cache: str,
    damage: Callable[[Path], None],
    small: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use = CACHES[cache]
    clean = use(tmp_path)
    written = files(tmp_path)
    # of a twin's many shards one, and its manifest
    for path in [*written[:1], *written[-1:]] if cache == "twin" else written:
        capsys.readouterr()
        damage(path)
        assert use(tmp_path) == clean, path
        said = capsys.readouterr().err.splitlines()
        if (cache, damage) != ("journal", empty):  # lines that are gone nobody knows of
            assert len(said) == 1, said
            assert str(path.parent) in said[0]
        assert use(tmp_path) == clean
        assert capsys.readouterr().err == ""  # it was made anew
        assert files(tmp_path) == written


@pytest.mark.parametrize("cache", CACHES)
def test_files_and_folders_in_each_others_place_are_not_believed(
    cache: str, small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use = CACHES[cache]
    clean = use(tmp_path)
    one, other, *_ = (
        sorted({path.parent for path in files(tmp_path)})
        if cache in ("store", "corpus")
        else files(tmp_path)
    )
    copy = shutil.copytree if one.is_dir() else shutil.copy
    for source, target in ((one, other), (other, one)):
        if target.is_dir():
            shutil.rmtree(target)
        copy(source, target)
        assert use(tmp_path) == clean
        assert capsys.readouterr().err.count("\n") == 1
        assert use(tmp_path) == clean
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_encoder_is_checked_again_where_its_mark_is_damaged(
    damage: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def checks(encoder: Any, *_: Any) -> list[Any]:
        looks.append(encoder.name)
        return []

    monkeypatch.setattr(gating, "quick_checks", checks)
    encoder = load_encoder("logmel")
    run = RunSettings(cache=tmp_path / "cache", device="cpu")
    for _ in range(2):
        Preflight({encoder: encoder.fingerprint()}, run).check(encoder)
    assert looks == ["logmel"]
    (mark,) = files(tmp_path)
    damage(mark)
    for _ in range(2):
        Preflight({encoder: encoder.fingerprint()}, run).check(encoder)
    assert looks == ["logmel"] * 2


def test_what_is_not_of_a_twin_is_named_and_left(small: None, tmp_path: Path) -> None:
    spec = builtin_tasks()["gtzan"]
    made = synthesise(spec, tmp_path)
    mine = made / "mine.tar"
    mine.write_bytes(b"real")
    with pytest.raises(DataError, match=r"mine\.tar is not of the synthetic twin .*; remove it"):
        synthesise(spec, tmp_path)
    assert mine.read_bytes() == b"real"


CHILD = """
import hashlib, sys
from pathlib import Path
from earmark.benchmark.training import make_corpus
print("ready", flush=True)
made = make_corpus([Path(sys.argv[1])], cache=Path(sys.argv[2]))
print(hashlib.sha256(made.samples.tobytes() + made.offsets.tobytes()).hexdigest())
"""


def test_two_processes_at_once_into_a_cold_cache_have_one_corpus(tmp_path: Path) -> None:
    for number in range(40):
        path = tmp_path / "audio" / f"{number}.flac"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, noise(number, 44_100), 44_100)
    alone = make_corpus([tmp_path / "audio"], cache=tmp_path / "alone")
    command = [sys.executable, "-c", CHILD, str(tmp_path / "audio"), str(tmp_path / "cold")]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        made = make_corpus([tmp_path / "audio"], cache=tmp_path / "cold")
        printed = other.communicate(timeout=120)[0]
    wanted = hashlib.sha256(alone.samples.tobytes() + alone.offsets.tobytes()).hexdigest()
    assert printed == f"{wanted}\n"
    assert np.array_equal(made.samples, alone.samples)
    assert np.array_equal(made.offsets, alone.offsets)
    assert made.digest == alone.digest
