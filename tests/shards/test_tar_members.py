"""Members of a tar that are no plain file of a name of its own: read right, or named."""

from __future__ import annotations

import io
import itertools
import os
import tarfile
import time
import tracemalloc
import unicodedata
from pathlib import Path

import pytest
from clips import clip_members, write_tar

from earmark.benchmark.shards.shard import Shard, ShardError, read_shard

ACUTE, ACUTE_TWO = "caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")


def heard(shard: Shard) -> dict[str, tuple[bytes, bytes]]:
    """key -> (audio, JSON), cut from the file."""
    raw = shard.path.read_bytes()
    return {
        entry.key: tuple(raw[e.offset : e.offset + e.size] for e in (entry.audio, entry.metadata))
        for entry in shard.entries
    }  # type: ignore[misc]


def lost(shard: Shard) -> dict[str, str]:
    assert len({failure.key for failure in shard.failures}) == len(shard.failures)
    return {failure.key: failure.reason for failure in shard.failures}


def shard_of(folder: Path, members: list[tuple[str, bytes]]) -> Shard:
    return read_shard(write_tar(folder / "s.tar", members))


# ---- names that are there twice


def test_a_name_twice_with_the_same_bytes_is_one_clip_and_is_named(tmp_path):
    sound = bytes(range(256)) * 9000  # several pieces
    members = [*clip_members("k", sound, {"n": 0}) * 3, *clip_members("other", b"o", {})]
    for order in (members, members[::-1]):
        shard = shard_of(tmp_path, order)
        assert heard(shard) == {"k": (sound, b'{"n": 0}'), "other": (b"o", b"{}")}
        assert list(lost(shard)) == ["k#2", "k#3"]
        assert all("with the same bytes" in reason for reason in lost(shard).values())
        assert len(shard.keys) == 4


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ((b"a0", {"n": 0}), (b"a1", {"n": 1}), "2 audio and 2 JSON members of this name"),
        ((b"a0", {"n": 0}), (b"a1", {"n": 0}), "2 audio and 2 JSON members of this name"),
        ((b"a0", {"n": 0}), (b"a0", {"n": 1}), "2 audio and 2 JSON members of this name"),
        ((b"a0", {"n": 0}), (b"a0+", {"n": 0}), "which is meant cannot be told"),
    ],
)
def test_a_name_twice_with_other_bytes_is_no_clip(tmp_path, first, second, words):
    members = [*clip_members("k", *first), *clip_members("k", *second)]
    for order in itertools.permutations(members):
        shard = shard_of(tmp_path, [*order, *clip_members("good", b"g", {})])
        assert list(heard(shard)) == ["good"]
        assert list(lost(shard)) == ["k", "k#2"]
        assert all(words in reason for reason in lost(shard).values())


def test_a_byte_at_the_end_of_two_large_members_tells_them_apart(tmp_path):
    sound = b"\1" * 3_000_000
    members = [*clip_members("k", sound, {}), *clip_members("k", sound[:-1] + b"\2", {})]
    assert heard(shard_of(tmp_path, members)) == {}


def test_two_audio_of_one_name_and_one_json(tmp_path):
    shard = shard_of(tmp_path, [("k.wav", b"A"), ("k.json", b"{}"), ("k.wav", b"A")])
    assert heard(shard) == {"k": (b"A", b"{}")} and list(lost(shard)) == ["k#2"]


# ---- names that differ by little


def test_keys_that_differ_by_case_are_two_clips(tmp_path):
    members = [*clip_members("K", b"1", {"n": 1}), *clip_members("k", b"2", {"n": 2})]
    for order in itertools.permutations(members):
        shard = shard_of(tmp_path, order)
        assert heard(shard) == {"K": (b"1", b'{"n": 1}'), "k": (b"2", b'{"n": 2}')}
        assert lost(shard) == {}


def test_halves_that_differ_by_case_are_no_clip_and_are_told_why(tmp_path):
    shard = shard_of(tmp_path, [("Rex.wav", b"1"), ("rex.json", b"{}"), ("a.wav", b"2")])
    assert heard(shard) == {}
    reasons = lost(shard)
    assert "is written 'rex'" in reasons["Rex"] and "is written 'Rex'" in reasons["rex"]
    assert reasons["a"] == "no JSON beside the audio"


def test_halves_of_two_unicode_forms_are_one_clip(tmp_path):
    for sound, note in ((ACUTE, ACUTE_TWO), (ACUTE_TWO, ACUTE)):
        shard = shard_of(tmp_path, [(f"{sound}.wav", b"1"), (f"{note}.json", b"{}")])
        assert heard(shard) == {sound: (b"1", b"{}")} and lost(shard) == {}


def test_keys_of_two_unicode_forms_are_two_clips(tmp_path):
    members = [*clip_members(ACUTE, b"1", {"n": 1}), *clip_members(ACUTE_TWO, b"2", {"n": 2})]
    for order in itertools.permutations(members):
        shard = shard_of(tmp_path, order)
        assert heard(shard) == {ACUTE: (b"1", b'{"n": 1}'), ACUTE_TWO: (b"2", b'{"n": 2}')}
    # of three halves two could belong together in two ways: none is guessed
    shard = shard_of(tmp_path, members[:3])
    assert heard(shard) == {ACUTE: (b"1", b'{"n": 1}')}
    assert lost(shard) == {ACUTE_TWO: "no JSON beside the audio"}


# ---- folders


def test_a_json_of_another_folder_only_where_the_shard_keeps_them_apart(tmp_path):
    apart = [("audio/k.wav", b"1"), ("meta/k.json", b"{}"), ("audio/l.wav", b"2")]
    assert heard(shard_of(tmp_path, apart)) == {"k": (b"1", b"{}")}
    # folders that have both are data sets of their own: the clip `k` of one is not that of another
    both = [*apart, ("audio/m.wav", b"3"), ("audio/m.json", b"[]")]
    shard = shard_of(tmp_path, both)
    assert heard(shard) == {"m": (b"3", b"[]")}
    assert sorted(lost(shard)) == ["audio/k", "l", "meta/k"]


def test_a_folder_with_an_audio_name(tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name in ("inner.wav", "k.wav"):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        for name, data in [*clip_members("inner.wav/a", b"1", {}), ("k.json", b"{}")]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    shard = read_shard(tmp_path / "s.tar")
    assert heard(shard) == {"a": (b"1", b"{}")}
    assert lost(shard) == {"k": "its audio is a folder, not a file"}


# ---- links, devices, sparse files


def test_a_hard_link_is_the_audio_that_it_links(tmp_path):
    """As tar packs a folder in which a file has two names: only the first holds the bytes."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"one")
    os.link(folder / "a.wav", folder / "b.wav")
    (folder / "c.wav").write_bytes(b"two")
    for key in "abc":
        (folder / f"{key}.json").write_text(f'"{key}"')
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
        assert tar.getmember("b.wav").islnk() and tar.getmember("b.wav").size == 0
    shard = read_shard(tmp_path / "s.tar")
    assert heard(shard) == {
        "a": (b"one", b'"a"'), "b": (b"one", b'"b"'), "c": (b"two", b'"c"'),
    }  # fmt: skip
    assert lost(shard) == {}


KINDS = {
    "device": (tarfile.CHRTYPE, "", "a device"),
    "disk": (tarfile.BLKTYPE, "", "a device"),
    "pipe": (tarfile.FIFOTYPE, "", "a pipe"),
    "folder": (tarfile.DIRTYPE, "", "a folder"),
    "link": (tarfile.SYMTYPE, "good.wav", "a link, which is not followed"),
    "hard link to nothing": (tarfile.LNKTYPE, "no.wav", "a hard link to 'no.wav'"),
    "unknown": (b"Z", "", "of the unknown kind"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("half", ["audio", "JSON"])
def test_what_is_no_file_is_named_with_or_without_its_other_half(tmp_path, kind, half):
    form, target, words = KINDS[kind]
    mine, other = ("wav", "json") if half == "audio" else ("json", "wav")
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for key, halves in (("good", ("wav", "json")), ("both", (other,)), ("alone", ())):
            for suffix in halves:
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = 2
                tar.addfile(info, io.BytesIO(b"{}"))
        for key in ("both", "alone"):
            info = tarfile.TarInfo(f"{key}.{mine}")
            info.type, info.linkname = form, target
            tar.addfile(info)
    shard = read_shard(tmp_path / "s.tar")
    assert list(heard(shard)) == ["good"]
    assert sorted(lost(shard)) == ["alone", "both"]
    assert all(f"its {half} is {words}" in reason for reason in lost(shard).values())


def sparse(version: str, numbers: bytes, data: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("GNUSparseFile.1/hole.wav")
    major, minor = version.split(".")
    info.pax_headers = {
        "GNU.sparse.major": major, "GNU.sparse.minor": minor, "GNU.sparse.name": "hole.wav",
        "GNU.sparse.realsize": "100000",
    }  # fmt: skip
    if version == "0.1":
        info.pax_headers |= {"GNU.sparse.map": numbers.decode(), "GNU.sparse.size": "100000"}
    info.size = len(data)
    return info


def with_sparse(path: Path, version: str, numbers: bytes) -> Path:
    data = b"x" * 512 if version == "0.1" else numbers.ljust(512, b"\0") + b"x" * 512
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in [*clip_members("good", b"A", {}), ("hole.json", b"{}")]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        tar.addfile(sparse(version, numbers, data), io.BytesIO(data))
    return path


@pytest.mark.parametrize(("version", "numbers"), [("1.0", b"1\n0\n512\n"), ("0.1", b"0,512")])
def test_a_sparse_member_is_named(tmp_path, version, numbers):
    path = with_sparse(tmp_path / "s.tar", version, numbers)
    with tarfile.open(path) as tar:
        assert [m.name for m in tar if m.issparse()] == ["hole.wav"]
    shard = read_shard(path)
    assert list(heard(shard)) == ["good"]
    assert lost(shard) == {"hole": "its audio is a sparse file; pack it without --sparse"}


# ---- headers that lie


def header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    """A header made by hand (POSIX ustar): `size` is the field of 12 bytes."""
    block = bytearray(512)
    for place, value in (
        (0, name.encode()), (100, b"0000644\0"), (124, size), (148, b" " * 8), (156, kind),
        (257, b"ustar\x0000"),
    ):  # fmt: skip
        block[place : place + len(value)] = value
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(record: bytes) -> bytes:
    line = next(b"%d %s\n" % (n, record) for n in range(200) if len(b"%d %s\n" % (n, record)) == n)
    return header("x", b"%011o\0" % len(line), b"x") + padded(line)


GOOD = header("k.wav", b"%011o\0" % 3) + padded(b"abc")
NOTE = header("k.json", b"%011o\0" % 2) + padded(b"{}")
MINUS = b"\xff" * 4 + (-1024).to_bytes(8, "big", signed=True)
HUGE = b"\x80" + (1 << 62).to_bytes(11, "big")
LYING = {
    "negative": header("n.wav", MINUS),
    "negative, by little": header("n.wav", b"\xff" * 12),
    "negative, by far": header("n.wav", b"\xff" * 3 + (-(1 << 62)).to_bytes(9, "big", signed=True)),
    "negative in an extended header": pax(b"size=-1024") + header("n.wav", b"%011o\0" % 0),
    "an extended header below 0": header("x", MINUS, b"x"),
    "a long name below 0": header("x", MINUS, b"L"),
    "huge": header("n.wav", HUGE),
    "huge in an extended header": pax(b"size=999999999999999999999") + header("n.wav", b"0\0"),
    "an extended header of 1.5 GB": header("x", b"%011o\0" % 1_500_000_000, b"x"),
    "a long name of 1.5 GB": header("x", b"%011o\0" % 1_500_000_000, b"L"),
    "headers upon headers": header("x", b"%011o\0" % 0, b"L") * 5000,
}


@pytest.mark.parametrize("lie", LYING)
def test_a_header_that_lies_costs_neither_time_nor_memory(tmp_path, lie):
    path = tmp_path / "s.tar"
    path.write_bytes(GOOD + NOTE + bytes(LYING[lie]) + GOOD * 3000 + bytes(1024))
    refused_quickly(path)


def test_a_map_of_a_sparse_file_that_does_not_end(tmp_path):
    path = with_sparse(tmp_path / "s.tar", "1.0", b"999999999\n")
    raw = path.read_bytes()
    path.write_bytes(raw.rstrip(b"\0"))
    refused_quickly(path)


def refused_quickly(path: Path) -> None:
    tracemalloc.start()
    clock = time.process_time()
    with pytest.raises(ShardError) as caught:
        read_shard(path)
    seconds, peak = time.process_time() - clock, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert seconds < 5 and peak < 32 << 20


def test_headers_made_by_hand_are_read(tmp_path):
    path = tmp_path / "s.tar"
    path.write_bytes(pax(b"comment=nothing") + GOOD + NOTE + bytes(1024))
    assert heard(read_shard(path)) == {"k": (b"abc", b"{}")}
