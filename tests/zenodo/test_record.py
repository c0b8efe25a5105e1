"""What a record may say, and what is not believed."""

from __future__ import annotations

from pathlib import Path

import pytest
import zenodo as ways
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zenodo import record
from zenodo_task import FIRST, NUMBER, fetched, parts, shards


@pytest.mark.parametrize(
    ("key", "change", "words"),
    [
        ("../train-9.tar", {}, "no plain file name"),
        ("/elsewhere/train-9.tar", {}, "no plain file name"),
        ("train-\\9.tar", {}, "no plain file name"),
        (".train.tar", {}, "no plain file name"),
        ("train-\n9.tar", {}, "no plain file name"),
        ("train-" + 200 * "9" + ".tar", {}, "no plain file name"),
        ("train-9.tar", {"size": -1}, "no size"),
        ("train-9.tar", {"size": 1.5}, "no size"),
        ("train-9.tar", {"size": True}, "no size"),
        ("train-9.tar", {"checksum": "md5:abc"}, "no MD5"),
        ("train-9.tar", {"checksum": None}, "no MD5"),
        ("train-9.tar", {"checksum": "sha256:" + 64 * "0"}, "no MD5"),
        ("train-9.tar", {"links": {"self": "file:///elsewhere/train-9.tar"}}, "no address"),
        ("train-9.tar", {"links": []}, "no address"),
        ("train-9.tar", {"key": "train-0.tar"}, "twice"),
    ],
)
def test_a_record_that_is_not_believed(zenodo, spec, tmp_path, key, change, words):
    zenodo.records[NUMBER][key] = b"bad"
    zenodo.changes[key] = change
    before = sorted(tmp_path.rglob("*"))
    error, _ = fetched(spec, tmp_path / "data")
    assert error is not None and words in error and NUMBER in error
    assert sorted(tmp_path.rglob("*")) == before  # nothing was written anywhere
    assert [path for path, _ in zenodo.requests] == [record(NUMBER)]


@settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(key=st.text(min_size=1) | st.sampled_from(["..", ".", "a/b", "\0", "a\u2028b", "\ud800"]))
def test_no_name_leaves_the_folder(tmp_path, key):
    from earmark.benchmark.zenodo.record import is_plain_name

    if is_plain_name(key):
        assert (tmp_path / key).resolve().parent == tmp_path.resolve()
        assert Path(key).name == key and len(key.splitlines()) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda h, _: h.give(b"[1, 2]"), "lists no files"),
        (lambda h, _: h.give(b"{}"), "lists no files"),
        (lambda h, _: h.give(b'{"files": [3]}'), "no plain file name"),
        (lambda h, _: h.give(b"not json"), "no JSON"),
        (lambda h, _: h.give(b"[" * 100_000), "no JSON"),
        (ways.page, "web page"),
        (ways.endless, "has no end"),
    ],
)
def test_an_answer_that_is_no_record(zenodo, spec, tmp_path, waits, answer, words):
    zenodo.always[record(NUMBER)] = answer
    error, _ = fetched(spec, tmp_path)
    assert error is not None and words in error


def test_a_record_without_some_shards(zenodo, spec, tmp_path):
    zenodo.records[NUMBER] = {"all.zip": b"zip", "more.tar.gz": b"gz"}
    error, _ = fetched(spec, tmp_path)
    assert error is not None and "archive (all.zip, more.tar.gz)" in error and "mine" in error
    zenodo.records[NUMBER] = {"train-0.tar": b"t", "LICENSE": b"l"}
    error, _ = fetched(spec, tmp_path)
    assert error is not None and "no file for test (test*.tar)" in error
    assert not (tmp_path / "mine").exists()


def test_the_size_that_the_record_states_is_the_bound(zenodo, spec, tmp_path, waits):
    zenodo.changes["train-0.tar"] = {"size": 1000}
    error, _ = fetched(spec, tmp_path)
    assert error is not None and "offers 300000 bytes, the record states 1000" in error
    zenodo.always[FIRST] = ways.longer  # which says no length
    error, _ = fetched(spec, tmp_path)
    assert error is not None and "more than the 1000 bytes" in error
    assert all(part.stat().st_size <= 1000 for part in parts(tmp_path / "mine"))
    zenodo.always.clear()
    zenodo.changes["train-0.tar"] = {"size": 300_001}
    error, _ = fetched(spec, tmp_path / "other")
    assert error is not None and "offers 300000 bytes, the record states 300001" in error
    assert "train-0.tar" not in shards(tmp_path / "other" / "mine")
