"""Shards that are written: their bytes, their sizes, runs that were killed."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from original_trees import sound

from earmark.benchmark.prepare import packing
from earmark.benchmark.prepare.packing import Packed, PackingError, pack
from earmark.benchmark.prepare.recipe import SourceClip
from earmark.benchmark.prepare.source_folder import OriginalFolder
from earmark.benchmark.shards.shard import read_shard

PATTERNS = {"train": "train*.tar", "test": "test-*.tar"}


def clips(folder: Path, count: int = 6) -> list[SourceClip]:
    """Clips of 1644 bytes each, two thirds of them in train."""
    made = []
    for number in range(count):
        sound(folder / f"{number}.wav", number)
        split = "test" if number % 3 == 2 else "train"
        made.append(SourceClip(split, f"k{number}", f"{number}.wav", {"label": "é", "n": number}))
    return made


def packed(tmp_path: Path, found: list[SourceClip], **options: Any) -> Packed:
    return pack(
        found, OriginalFolder(tmp_path / "o"), tmp_path / "d", PATTERNS, {"task": "t"}, **options
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_shard_holds(tmp_path: Path) -> None:
    found = clips(tmp_path / "o")
    done = packed(tmp_path, list(reversed(found)))
    assert names(done.folder) == ["prepared.json", "test-000000.tar", "train-000000.tar"]
    with tarfile.open(done.folder / "train-000000.tar") as shard:
        members = shard.getmembers()
        assert [m.name for m in members] == [
            f"k{n}.{suffix}" for n in (0, 1, 3, 4) for suffix in ("wav", "json")
        ]
        for member in members:  # nothing of this machine or this hour
            assert (member.mtime, member.uid, member.gid, member.uname, member.mode) == (
                0, 0, 0, "", 0o644,
            )  # fmt: skip
        file = shard.extractfile("k3.json")
        assert file is not None and json.loads(file.read()) == {"label": "é", "n": 3}
        audio = shard.extractfile("k3.wav")
        assert audio is not None and audio.read() == (tmp_path / "o/3.wav").read_bytes()
    assert done.clips == {"train": 4, "test": 2}


def test_a_split_becomes_as_many_shards_as_its_size_asks_for(tmp_path: Path) -> None:
    found = clips(tmp_path / "o")
    size = (tmp_path / "o/0.wav").stat().st_size
    done = packed(tmp_path, found, shard_bytes=2 * size)
    assert done.written == ["train-000000.tar", "train-000001.tar", "test-000000.tar"]
    assert [entry.key for entry in read_shard(done.folder / "train-000001.tar").entries] == [
        "k3", "k4",
    ]  # fmt: skip
    again = packed(tmp_path, found, shard_bytes=10 * size)  # fewer shards: those left over go
    assert names(again.folder) == ["prepared.json", "test-000000.tar", "train-000000.tar"]
    assert again.kept == ["test-000000.tar"]


@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=30),
    limit=st.integers(1, 60),
    starred=st.booleans(),
)
def test_every_clip_is_in_one_shard_in_order(sizes: list[int], limit: int, starred: bool) -> None:
    sources = [
        packing._Source(SourceClip("s", f"{n:02d}", "", {}), None, size, 0, "")
        for n, size in enumerate(sizes)
    ]
    shards = packing._divide(sources, "s*.tar" if starred else "s.tar", limit)
    assert [source for shard in shards for source in shard.sources] == sources
    assert len({shard.name for shard in shards}) == len(shards)
    assert all(shard.sources for shard in shards)
    assert starred or [shard.name for shard in shards] == ["s.tar"]
    for shard in shards:
        held = sum(source.size for source in shard.sources)
        assert held <= limit or len([s for s in shard.sources if s.size]) == 1 or not starred


def test_a_killed_run_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = clips(tmp_path / "o", 12)
    size = (tmp_path / "o/0.wav").stat().st_size
    whole = packed(tmp_path, found, shard_bytes=2 * size)
    expected = {path.name: path.read_bytes() for path in whole.folder.iterdir()}
    shutil.rmtree(tmp_path / "d")

    calls = 0

    def killed(*arguments: Any) -> str:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return add(*arguments)

    add = packing._add
    monkeypatch.setattr(packing, "_add", killed)
    with pytest.raises(KeyboardInterrupt):
        packed(tmp_path, found, shard_bytes=2 * size)
    assert names(tmp_path / "d") == ["prepared.json", "train-000000.tar", "train-000001.tar"]
    done = packed(tmp_path, found, shard_bytes=2 * size)
    assert done.kept == ["train-000000.tar", "train-000001.tar"]
    assert {path.name: path.read_bytes() for path in done.folder.iterdir()} == expected


def test_a_shard_that_was_renamed_but_not_recorded_is_ours(tmp_path: Path) -> None:
    found = clips(tmp_path / "o")
    done = packed(tmp_path, found)
    record = json.loads((done.folder / "prepared.json").read_text())
    record["shards"]["train-000000.tar"] = None  # as the record is until the shard is whole
    (done.folder / "prepared.json").write_text(json.dumps(record))
    assert packed(tmp_path, found).written == ["train-000000.tar"]


def test_a_run_killed_before_the_first_shard_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = clips(tmp_path / "o")
    write = packing._write_shard

    def killed(*arguments: Any) -> Any:
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_write_shard", killed)
        with pytest.raises(KeyboardInterrupt):
            packed(tmp_path, found)
    assert names(tmp_path / "d") == ["prepared.json", "train-000000.tar"]
    assert packed(tmp_path, found).written == ["train-000000.tar", "test-000000.tar"]


@pytest.mark.parametrize("change", ["audio", "metadata", "damage", "gone", "record"])
def test_what_changed_is_written_again(tmp_path: Path, change: str) -> None:
    found = clips(tmp_path / "o")
    done = packed(tmp_path, found)
    shard = done.folder / "train-000000.tar"
    good = shard.read_bytes()
    if change == "audio":
        sound(tmp_path / "o/3.wav", 77)
    elif change == "metadata":
        found[3] = found[3]._replace(metadata={"label": "other"})
    elif change == "damage":
        shard.write_bytes(good[:-5000])
    elif change == "gone":
        shard.unlink()
    else:
        (done.folder / "prepared.json").write_text('{"shards": {"train-000000.tar": {}, ')
        with pytest.raises(PackingError, match="is there already and was not prepared here"):
            packed(tmp_path, found)
        return
    again = packed(tmp_path, found)
    assert (again.written, again.kept) == (["train-000000.tar"], ["test-000000.tar"])
    assert (shard.read_bytes() == good) == (change in ("damage", "gone"))


def test_shards_that_were_fetched_are_left_alone(tmp_path: Path) -> None:
    fetched = tmp_path / "d" / "train-fetched.tar"
    fetched.parent.mkdir()
    fetched.write_bytes(b"theirs")
    with pytest.raises(PackingError) as caught:
        packed(tmp_path, clips(tmp_path / "o"))
    assert f"{fetched} is there already and was not prepared here" in str(caught.value)
    assert names(tmp_path / "d") == ["train-fetched.tar"]
    assert fetched.read_bytes() == b"theirs"


def test_a_disk_that_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(PackingError, match=r"GB are to be written and 0.0 GB are free"):
        packed(tmp_path, clips(tmp_path / "o"))
    assert not (tmp_path / "d").exists()


def test_progress_counts_every_byte(tmp_path: Path) -> None:
    found = clips(tmp_path / "o")
    total = sum(path.stat().st_size for path in (tmp_path / "o").iterdir())
    for _ in range(2):  # written, then kept
        seen: list[tuple[int, ...]] = []
        packed(tmp_path, found, report=lambda *both, seen=seen: seen.append(both))
        assert seen[-1] == (total, total)


def test_long_and_foreign_names(tmp_path: Path) -> None:
    key = "ü" * 60 + "x" * 90
    sound(tmp_path / "o/a.wav", 1)
    sound(tmp_path / "o/b.wav", 2)
    done = packed(
        tmp_path, [SourceClip("train", key, "a.wav", {}), SourceClip("test", "b", "b.wav", {})]
    )
    (entry,) = read_shard(done.folder / "train-000000.tar").entries
    assert entry.key == key


def test_formats_that_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    (tmp_path / "o/a.m4a").write_bytes(b"x")
    (tmp_path / "o/b.wav").mkdir()
    done = packed(
        tmp_path, [SourceClip("train", "a", "a.m4a", {}), SourceClip("test", "b", "b.wav", {})]
    )
    assert [fault.reason for fault in done.faults] == [
        "not one of wav, flac, ogg, mp3, au; convert it", "not a file",
    ]  # fmt: skip
