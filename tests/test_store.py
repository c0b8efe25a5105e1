"""EmbeddingStore: round trips, damage, keys, several processes, size, leftovers."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import REPOSITORY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.benchmark.io.files import folder_written_whole, write_atomically
from earmark.benchmark.shards.shard import Failure
from earmark.benchmark.store import EmbeddingStore, ShardEmbeddings

KEY = "ab" * 32


def entry_of(clips: int = 3, dimension: int = 4, seed: int = 0) -> ShardEmbeddings:
    rng = np.random.default_rng(seed)
    crops = [i % 3 + 1 for i in range(clips)]
    return ShardEmbeddings(
        embeddings=rng.standard_normal((sum(crops), dimension)).astype(np.float32),
        keys=[f"k{i}é" for i in range(clips)],
        crops=crops,
        failures=[Failure("s.tar", "bad", 'cut "short": 3 of 4')],
        seconds=[round(1.5 * i, 3) for i in range(clips)],
        made={"encoder": "toy", "device": "cpu"},
    )


def same(one: ShardEmbeddings | None, other: ShardEmbeddings) -> bool:
    if one is None:
        return False
    equal = one.embeddings.dtype == other.embeddings.dtype == np.float32
    equal = equal and np.array_equal(one.embeddings, other.embeddings)
    facts = [(e.keys, e.crops, e.failures, e.seconds, e.made) for e in (one, other)]
    return bool(equal and facts[0] == facts[1])


def test_failures_that_may_pass_are_not_stored(tmp_path):
    store, entry = EmbeddingStore(tmp_path), entry_of()
    entry.transient = True
    store.put(KEY, entry)
    assert store.get(KEY) is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize("clips", [0, 1, 40])
def test_round_trip(tmp_path, clips):
    store, entry = EmbeddingStore(tmp_path), entry_of(clips)
    assert store.get(KEY) is None
    store.put(KEY, entry)
    again = EmbeddingStore(tmp_path).get(KEY)
    assert same(again, entry)
    assert again is not None and all(isinstance(failure, Failure) for failure in again.failures)
    files = [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()]
    assert sorted(files) == [f"ab/{KEY}/embeddings.npy", f"ab/{KEY}/manifest.json"]


def test_entries_are_plain_arrays_and_json(tmp_path):
    store, entry = EmbeddingStore(tmp_path), entry_of()
    store.put(KEY, entry)
    folder = tmp_path / "ab" / KEY
    assert np.array_equal(np.load(folder / "embeddings.npy", allow_pickle=False), entry.embeddings)
    assert json.loads((folder / "manifest.json").read_text())["keys"] == entry.keys


# ---- damage


def damaged(store: EmbeddingStore, name: str, change: Any) -> bool:
    """Whether the entry is refused after `change` of one of its files, and then made again."""
    entry = entry_of()
    store.put(KEY, entry)
    assert same(store.get(KEY), entry)
    file = store.folder(KEY) / name
    raw = change(file.read_bytes())
    if raw is None:
        file.unlink()
    else:
        file.write_bytes(raw)
    refused = store.get(KEY) is None
    store.put(KEY, entry)
    return refused and same(store.get(KEY), entry)


@pytest.mark.parametrize("name", ["embeddings.npy", "manifest.json"])
@pytest.mark.parametrize(
    "change",
    [lambda _: None, lambda _: b"", lambda raw: raw[:-1], lambda raw: raw[: len(raw) // 2],
     lambda raw: raw + b"x", lambda raw: b"\0" * len(raw), lambda _: b"[]", lambda _: b"null"],
    ids=["gone", "empty", "one byte less", "half", "more", "zeros", "list", "null"],
)  # fmt: skip
def test_damage_is_noticed_and_mended(tmp_path, name, change):
    assert damaged(EmbeddingStore(tmp_path), name, change)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(["embeddings.npy", "manifest.json"]),
    place=st.floats(0, 1),
    flip=st.integers(1, 255),
)
def test_no_single_wrong_byte_passes(tmp_path, name, place, flip):
    def change(raw: bytes) -> bytes:
        at = int(place * (len(raw) - 1))
        return raw[:at] + bytes([raw[at] ^ flip]) + raw[at + 1 :]

    assert damaged(EmbeddingStore(tmp_path), name, change)


@pytest.mark.parametrize("field", ["keys", "crops", "failures", "seconds"])
def test_a_changed_manifest_that_is_still_json_is_noticed(tmp_path, field):
    def change(raw: bytes) -> bytes:
        manifest = json.loads(raw)
        value = manifest[field]
        manifest[field] = value[:-1] if isinstance(value, list) else value + 1
        return json.dumps(manifest).encode()

    assert damaged(EmbeddingStore(tmp_path), "manifest.json", change)


def test_a_folder_without_files_is_mended(tmp_path):
    store = EmbeddingStore(tmp_path)
    store.folder(KEY).mkdir(parents=True)
    assert store.get(KEY) is None
    store.put(KEY, entry_of())
    assert same(store.get(KEY), entry_of())


def test_the_entry_of_another_key_is_not_taken(tmp_path):
    store = EmbeddingStore(tmp_path)
    store.put(KEY, entry_of(seed=0))
    store.put("cd" * 32, entry_of(seed=1))
    assert same(store.get(KEY), entry_of(seed=0))
    assert same(store.get("cd" * 32), entry_of(seed=1))


# ---- keys


def test_the_key_covers_every_ingredient():
    base: dict[str, Any] = {
        "encoder_fingerprint": "f", "audio": {"sample_rate": 16_000, "crop_seconds": None},
        "batches": "padded", "shard_sha256": "0", "clips": None,
    }  # fmt: skip
    changes: list[dict[str, Any]] = [
        {"encoder_fingerprint": "g"}, {"audio": {"sample_rate": 16_000, "crop_seconds": 1.0}},
        {"audio": {"sample_rate": 8_000, "crop_seconds": None}}, {"batches": "equal"},
        {"shard_sha256": "1"}, {"clips": []}, {"clips": ["a"]}, {"clips": ["a", "b"]},
        {"clips": ["ab"]},
    ]  # fmt: skip
    keys = [EmbeddingStore.key(**(base | change)) for change in [{}, *changes]]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 and int(key, 16) >= 0 for key in keys)
    again = {name: base[name] for name in reversed(base)}
    again["audio"] = {"crop_seconds": None, "sample_rate": 16_000}
    assert EmbeddingStore.key(**again) == keys[0]


# ---- several processes

WRITER = """
import sys, time
import numpy as np
from pathlib import Path
from earmark.benchmark.store import EmbeddingStore, ShardEmbeddings

root, mine, start = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
store, key = EmbeddingStore(root), "ab" * 32
array, keys = np.full((mine, 3), mine, np.float32), ["k"] * mine
entry = ShardEmbeddings(array, keys, [1] * mine, [], [mine] * mine)
time.sleep(max(0.0, start - time.time()))
found = 0
for _ in range(60):
    store.put(key, entry)
    got = store.get(key)
    if got is not None:
        found += 1
        n = len(got.seconds)
        assert got.embeddings.shape == (n, 3) and (got.embeddings == n).all(), got
        assert len(got.keys) == len(got.crops) == n
assert found > 0
"""


def test_processes_that_write_one_key_at_once_never_leave_half_an_entry(tmp_path):
    start = time.time() + 1.0
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number), str(start)],
            cwd=REPOSITORY, stderr=subprocess.PIPE, text=True,
        )
        for number in (2, 5, 7)
    ]  # fmt: skip
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors
    got = EmbeddingStore(tmp_path).get(KEY)
    assert got is not None and len(got.seconds) in (2, 5, 7)
    assert [path.name for path in (tmp_path / "ab").iterdir()] == [KEY]


# ---- size and leftovers


@pytest.mark.parametrize("dimension", [80, 768])
def test_an_entry_is_small(tmp_path, dimension):
    """Keys such as FSDD's, 600 clips a shard: the row and at most 200 bytes a clip."""
    keys = [f"{d}_{who}_{take}" for d in range(10) for who in ("george", "yweweler", "theo")
            for take in range(20)]  # fmt: skip
    matrix = np.zeros((600, dimension), np.float32)
    EmbeddingStore(tmp_path).put(KEY, ShardEmbeddings(matrix, keys, [1] * 600, [], 300.0))
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert size <= 600 * (4 * dimension + 200)


def test_leftovers_go_when_they_are_old(tmp_path):
    store = EmbeddingStore(tmp_path)
    store.put(KEY, entry_of())
    old, young = tmp_path / "ab" / ".tmp-old", tmp_path / "ab" / ".tmp-young"
    files = [tmp_path / "ab" / ".tmp-oldfile", tmp_path / "ab" / ".tmp-youngfile"]
    for folder in (old, young):
        folder.mkdir()
        (folder / "embeddings.npy").write_bytes(b"half")
    for file in files:
        file.write_bytes(b"half")
    for path, hours in ((old, 25), (young, 23), (files[0], 25), (files[1], 23)):
        then = time.time() - hours * 3600
        os.utime(path, (then, then))
    entry_time = time.time() - 1e6
    os.utime(store.folder(KEY), (entry_time, entry_time))
    store.remove_leftovers()
    assert not old.exists() and not files[0].exists()
    assert (young / "embeddings.npy").exists() and files[1].exists()
    assert same(store.get(KEY), entry_of())
    EmbeddingStore(tmp_path / "nowhere").remove_leftovers()


def test_nothing_is_written_where_nothing_is_left_over(tmp_path, monkeypatch):
    store = EmbeddingStore(tmp_path)
    store.put(KEY, entry_of())
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: pytest.fail("written"))
    store.remove_leftovers()


def test_leftovers_in_a_folder_that_cannot_be_written_stay(tmp_path, monkeypatch):
    store = EmbeddingStore(tmp_path)
    store.put(KEY, entry_of())
    (tmp_path / "ab" / ".tmp-old").mkdir()
    os.utime(tmp_path / "ab" / ".tmp-old", (0, 0))

    def read_only(**_: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    store.remove_leftovers()
    assert same(store.get(KEY), entry_of())


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    target = tmp_path / "entry"
    with pytest.raises(RuntimeError), folder_written_whole(target) as temporary:
        (temporary / "half").write_bytes(b"x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "file"
    write_atomically(file, b"first")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(file, b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and file.read_bytes() == b"first"


def test_a_folder_that_another_run_moves_away_meanwhile_is_written(tmp_path, monkeypatch):
    """Another run with `replace` stands between its own two renames when ours comes."""
    rename, calls = Path.rename, []

    def crowded(path: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 1:
            raise OSError("Directory not empty")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", crowded)
    with folder_written_whole(tmp_path / "entry") as temporary:
        (temporary / "a").write_bytes(b"1")
    assert (tmp_path / "entry" / "a").read_bytes() == b"1" and len(calls) == 2


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "entry").write_bytes(b"a file in its place")
    with pytest.raises(OSError, match="cannot write"), folder_written_whole(tmp_path / "entry"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_of_two_folders_the_first_stays_unless_replaced(tmp_path):
    target = tmp_path / "entry"
    with folder_written_whole(target) as one:
        (one / "a").write_bytes(b"1")
        with folder_written_whole(target) as other:
            (other / "a").write_bytes(b"2")
    assert (target / "a").read_bytes() == b"2"
    with folder_written_whole(target, replace=True) as third:
        (third / "a").write_bytes(b"3")
    assert (target / "a").read_bytes() == b"3"
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]
