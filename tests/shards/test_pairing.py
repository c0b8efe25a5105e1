"""Which audio and which JSON of a shard are one clip; what is none is named, never guessed."""

from __future__ import annotations

import io
import tarfile

import pytest
from clips import clip_members, write_tar
from dataset_files import contents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.benchmark.shards.shard import (
    read_shard,
)

KEYS = st.text("abcXYZ019_-. é#", min_size=1, max_size=8).filter(
    lambda key: not key.startswith(".") and not key.endswith(".")
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(clips=st.dictionaries(KEYS, st.binary(max_size=1500), max_size=6), data=st.data())
def test_every_pair_is_found_whatever_the_order(tmp_path, clips, data):
    members = [m for key, audio in clips.items() for m in clip_members(key, audio, {"k": key})]
    members = data.draw(st.permutations(members))
    shard = read_shard(write_tar(tmp_path / "a.tar", members))
    assert shard.failures == ()
    assert [entry.key for entry in shard.entries] == sorted(clips)
    given_ = dict(members)
    assert contents(shard) == {
        key: ("wav", audio, given_[f"{key}.json"]) for key, audio in clips.items()
    }


@pytest.mark.parametrize("name", ["x" * 99 + "y", "é" * 70, "long/" * 60 + "k", "k" * 300])
@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names(tmp_path, name, kind):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=kind) as tar:
        for end, data in ((".FLAC", b"sound"), (".json", b"{}")):
            info = tarfile.TarInfo(name + end)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert contents(read_shard(path)) == {name.rpartition("/")[2]: ("flac", b"sound", b"{}")}


def test_name_that_is_not_utf8_becomes_printable(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    shard = read_shard(write_tar(tmp_path / "a.tar", clip_members(name, b"a", {})))
    (entry,) = shard.entries
    assert entry.key == "caf\\xe9"
    entry.key.encode("utf-8")


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0), (2, 1, 0, 3)])
def test_equal_names_in_two_folders_keep_their_own_json(tmp_path, order):
    members = [("a/k.wav", b"A"), ("a/k.json", b"{}"), ("b/k.wav", b"B"), ("b/k.json", b"[]")]
    shard = read_shard(write_tar(tmp_path / "a.tar", [members[i] for i in order]))
    assert contents(shard) == {"k": ("wav", b"A", b"{}"), "k#2": ("wav", b"B", b"[]")}


ELSEWHERE = {
    "one of each": (
        [("audio/k.wav", b"A"), ("meta/k.json", b"{}")], {"k": b"{}"}, {},
    ),
    "folders that sort otherwise": (
        [("b/k.wav", b"B"), ("b/k.json", b"1"), ("c/k.wav", b"C"), ("a/k.json", b"2")],
        {"k": b"1"},
        {"a/k": "no audio beside the JSON", "c/k": "no JSON beside the audio"},
    ),
    "all JSON in a folder of its own": (
        [("a/k.wav", b"A"), ("b/k.wav", b"B"), ("meta/k.json", b"1"), ("meta/k.json", b"2")],
        {},
        {
            "a/k": "no JSON beside the audio", "b/k": "no JSON beside the audio",
            "meta/k": "no audio beside the JSON",
        },
    ),
    "two audio in one folder": (
        [("a/k.wav", b"A"), ("a/k.flac", b"A"), ("a/k.json", b"1"), ("k.wav", b"0"),
         ("k.json", b"0")],
        {"k": b"0"},
        {"a/k": "2 audio and 1 JSON files for this key"},
    ),
    "the first cannot be matched": (
        [("a/k.wav", b"A"), ("b/k.wav", b"B"), ("b/k.json", b"1"), ("k.json", b"2")],
        {"k#2": b"1"},  # as the second audio is called where all match: names stay with clips
        {"a/k": "no JSON beside the audio", "./k": "no audio beside the JSON"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ELSEWHERE)
def test_a_json_in_another_folder_is_never_guessed(tmp_path, case):
    members, paired, lost = ELSEWHERE[case]
    for order in (members, members[::-1]):
        shard = read_shard(write_tar(tmp_path / "a.tar", order))
        assert {key: note for key, (_, _, note) in contents(shard).items()} == paired
        assert {failure.key: failure.reason for failure in shard.failures} == lost


def test_what_cannot_be_paired_is_named(tmp_path):
    members = [
        ("good.wav", b"A"),
        ("good.json", b"{}"),
        ("alone.wav", b"A"),
        ("orphan.json", b"{}"),
        ("two.wav", b"A"),
        ("two.flac", b"A"),
        ("two.json", b"{}"),
        ("cover.jpg", b"?"),
        ("README", b"?"),
    ]
    shard = read_shard(write_tar(tmp_path / "s.tar", members))
    assert list(contents(shard)) == ["good"]
    reasons = {failure.key: failure.reason for failure in shard.failures}
    assert {failure.shard for failure in shard.failures} == {"s.tar"}
    assert sorted(reasons) == ["README", "alone", "cover.jpg", "orphan", "two"]
    assert reasons["alone"] == "no JSON beside the audio"
    assert reasons["orphan"] == "no audio beside the JSON"
    assert "2 audio and 1 JSON" in reasons["two"]
    assert "neither JSON nor audio" in reasons["cover.jpg"]


def test_a_key_that_looks_like_a_second_one_is_kept_apart(tmp_path):
    members = [
        (f"{folder}{key}.{suffix}", data)
        for folder, key, data in (("a/", "k", b"1"), ("b/", "k", b"2"), ("", "k#2", b"3"))
        for suffix in ("wav", "json")
    ]
    shard = read_shard(write_tar(tmp_path / "s.tar", members))
    assert {key: audio for key, (_, audio, _) in contents(shard).items()} == {
        "k": b"1", "k#2#": b"2", "k#2": b"3",
    }  # fmt: skip
