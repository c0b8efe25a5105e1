"""Shards: what the index of a tar holds, which tars are refused, digests, reads from threads."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import audio_bytes, clip_members, write_tar
from dataset_files import contents

from earmark.benchmark.shards.shard import (
    ShardError,
    ShardReader,
    read_shard,
    shard_digest,
)


def tar_of(path: Path, infos: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for info, data in infos:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_hidden_files_and_folders_are_no_clips(tmp_path):
    path = tar_of(
        tmp_path / "a.tar",
        [
            (member("clips", tarfile.DIRTYPE), b""),
            (member("clips/k.wav"), b"A"),
            (member("clips/._k.wav"), b"mac"),
            (member("clips/._k.json"), b"mac"),
            (member("./.DS_Store"), b"mac"),
            (member(".wav"), b"hidden"),
            (member("./clips/k.json"), b"{}"),
        ],
    )
    shard = read_shard(path)
    assert contents(shard) == {"k": ("wav", b"A", b"{}")}
    assert shard.failures == ()


def test_links_and_devices_are_never_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    infos = [
        (member("soft.wav", tarfile.SYMTYPE, str(secret)), b""),
        (member("hard.wav", tarfile.LNKTYPE, "good.wav"), b""),
        (member("dev.wav", tarfile.CHRTYPE), b""),
        (member("pipe.wav", tarfile.FIFOTYPE), b""),
        (member("good.wav"), b"A"),
    ]
    infos += [(member(f"{key}.json"), b"{}") for key in ("soft", "hard", "dev", "pipe", "good")]
    shard = read_shard(tar_of(tmp_path / "a.tar", infos))
    assert list(contents(shard)) == ["good"]
    assert {failure.key for failure in shard.failures} == {"soft", "hard", "dev", "pipe"}


@pytest.mark.parametrize("folder", ["../", "../../../", "/", "/etc/", "a/../../"])
def test_names_that_climb_do_no_harm(tmp_path, folder):
    inside = tmp_path / "inside"
    path = write_tar(inside / "a.tar", [(f"{folder}k.wav", b"A"), (f"{folder}k.json", b"{}")])
    assert contents(read_shard(path)) == {"k": ("wav", b"A", b"{}")}
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["a.tar"]


def test_an_empty_tar_has_no_clips(tmp_path):
    shard = read_shard(write_tar(tmp_path / "a.tar", []))
    assert shard.entries == () and shard.failures == ()


# ---- tars that are refused


def refused(path: Path) -> str:
    with pytest.raises(ShardError) as caught:
        read_shard(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


@pytest.mark.parametrize(
    "raw",
    [b"", b"x" * 5000, b"<!DOCTYPE html><html>" + b" " * 900, gzip.compress(os.urandom(3000))],
    ids=["zero-length", "junk", "html", "gzip"],
)
def test_what_is_no_tar_is_refused(tmp_path, raw):
    path = tmp_path / "a.tar"
    path.write_bytes(raw)
    assert "not a tar file; fetch it again" in refused(path)


def test_missing_file_and_folder(tmp_path):
    assert "does not exist" in refused(tmp_path / "a.tar")
    (tmp_path / "b.tar").mkdir()
    refused(tmp_path / "b.tar")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[bytes, list[int], int]:
    """A tar's bytes, where its members begin, and where its end mark does.

    Two of its members end in a block of zeros, as a WAV does that ends in silence.
    """
    silence = audio_bytes(np.zeros(3000), 16_000)
    members = [
        *clip_members("a", audio_bytes(np.full(700, 0.1), 16_000), {"label": "x"}),
        *clip_members("b", silence, {"label": "y"}),
        ("c.json", b"{}"),
        ("c.wav", silence),
    ]
    path = write_tar(tmp_path_factory.mktemp("whole") / "a.tar", members)
    with tarfile.open(path) as tar:
        starts = [info.offset for info in tar]
        last = tar.getmembers()[-1]
    end = last.offset_data + -(-last.size // 512) * 512
    return path.read_bytes(), starts, end


def test_a_tar_cut_anywhere_is_refused(tmp_path, whole):
    raw, starts, end = whole
    rng = np.random.default_rng(0)
    places = {*starts[1:], end, *rng.integers(1, end, 60).tolist(), end - 1, end + 1, end + 511}
    path = tmp_path / "cut.tar"
    for place in sorted(places):
        path.write_bytes(raw[:place])
        message = refused(path)
        assert "is cut" in message and "fetch it again" in message, place


@pytest.mark.parametrize("extra", [512, 1024, 5000])
def test_a_whole_tar_is_read_however_it_is_padded(tmp_path, whole, extra):
    raw, _, end = whole
    path = tmp_path / "a.tar"
    path.write_bytes(raw[: end + min(extra, 1024)] + bytes(max(0, extra - 1024)))
    assert [entry.key for entry in read_shard(path).entries] == ["a", "b", "c"]


def test_a_damaged_header_in_the_middle_is_refused(tmp_path, whole):
    raw, starts, _ = whole
    for start in starts:
        damaged = bytearray(raw)
        damaged[start + 148] ^= 0x55
        (tmp_path / "a.tar").write_bytes(damaged)
        refused(tmp_path / "a.tar")


def test_two_tars_in_one_file_are_refused(tmp_path, whole):
    raw, _, _ = whole
    (tmp_path / "a.tar").write_bytes(raw + raw)
    assert "goes on after its tar end mark" in refused(tmp_path / "a.tar")


# ---- digests and reads


def test_digest_is_sha256_and_is_remembered(tmp_path, monkeypatch):
    path, cache = tmp_path / "a.tar", tmp_path / "cache"
    path.write_bytes(os.urandom(3_000_000))
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert shard_digest(path, cache) == expected
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert shard_digest(path, cache) == expected
    monkeypatch.chdir(tmp_path)
    assert shard_digest(Path("a.tar"), cache) == expected


def test_digest_notices_a_change_of_equal_size_and_mtime(tmp_path):
    path, cache = tmp_path / "a.tar", tmp_path / "cache"
    path.write_bytes(b"1" * 1000)
    first, times = shard_digest(path, cache), path.stat()
    time.sleep(0.03)  # a file system's clock ticks every few milliseconds
    path.write_bytes(b"2" * 1000)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_mtime_ns == times.st_mtime_ns
    assert shard_digest(path, cache) == hashlib.sha256(b"2" * 1000).hexdigest() != first


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"signature": null}'])
def test_digest_survives_a_damaged_note(tmp_path, damage):
    path, cache = tmp_path / "a.tar", tmp_path / "cache"
    path.write_bytes(b"bytes")
    shard_digest(path, cache)
    (note,) = [p for p in cache.rglob("*") if p.is_file()]
    note.write_bytes(damage)
    assert shard_digest(path, cache) == hashlib.sha256(b"bytes").hexdigest()


def test_digest_needs_no_cache_that_can_be_written(tmp_path):
    path, cache = tmp_path / "a.tar", tmp_path / "cache"
    path.write_bytes(b"bytes")
    cache.write_text("a file in its place: nothing can be written below")
    assert shard_digest(path, cache) == hashlib.sha256(b"bytes").hexdigest()


def test_reads_from_several_threads(tmp_path):
    rng = np.random.default_rng(1)
    sounds = {f"k{i:02d}": rng.bytes(int(rng.integers(1, 40_000))) for i in range(40)}
    members = [m for key, sound in sounds.items() for m in clip_members(key, sound, {})]
    shard = read_shard(write_tar(tmp_path / "a.tar", members))
    reader = ShardReader(shard.path)
    together = threading.Barrier(8)

    def read_all(seed: int) -> bool:
        together.wait(10)
        order = np.random.default_rng(seed).permutation(len(shard.entries))
        entries = [shard.entries[i] for i in order]
        return all(reader.read(entry.audio) == sounds[entry.key] for entry in entries)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read_all, range(8)))
    reader.close()


def test_real_shards_hold_what_they_should(real_data):
    shard = read_shard(real_data / "esc50" / "wds-audio-fold-1-000000.tar")
    assert len(shard.entries) == 80 and shard.failures == ()
    with tarfile.open(shard.path) as tar:
        for entry in shard.entries[::20]:
            sound = tar.extractfile(f"{entry.key}.ogg")
            assert sound is not None
            reader = ShardReader(shard.path)
            assert reader.read(entry.audio) == sound.read()
            reader.close()


def test_a_member_is_a_file_of_which_only_a_part_is_read(tmp_path, monkeypatch):
    """As `--dry-run` looks at headers: an hour of audio is not read for its length."""
    audio = audio_bytes(np.zeros(2_000_000), 16_000)
    path = write_tar(tmp_path / "s.tar", clip_members("long", audio, {}))
    (entry,) = read_shard(path).entries
    asked = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda *words: asked.append(words[1]) or real(*words))
    reader = ShardReader(path)
    assert soundfile.info(reader.open(entry.audio)).frames == 2_000_000
    assert sum(asked) < len(audio) / 10
    with reader.open(entry.audio) as member:
        assert member.read(4) == audio[:4]
        assert member.seek(-6, os.SEEK_END) == len(audio) - 6
        assert member.read() == audio[-6:]
        assert member.read(1) == b""
    reader.close()
