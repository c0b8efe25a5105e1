"""Files that are there already: nothing is written over, no link followed, parts resumed."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zenodo_task import FILES, FIRST, NUMBER, fetched, parts, shards

from earmark.benchmark.zenodo import server as server_module
from earmark.benchmark.zenodo.download import download_file
from earmark.benchmark.zenodo.record import FetchError


def test_nothing_is_written_over(zenodo, spec, tmp_path):
    (tmp_path / "mine").mkdir()
    own = tmp_path / "mine" / "train-0.tar"
    own.write_bytes(b"my own")
    error, _ = fetched(spec, tmp_path)
    assert error is not None and f"{own} is not the record's (6 bytes, not 300000" in error
    assert own.read_bytes() == b"my own"
    own.write_bytes(bytes(300_000))  # the right size is not enough
    error, _ = fetched(spec, tmp_path)
    assert error is not None and "its MD5 is" in error and own.read_bytes() == bytes(300_000)
    own.write_bytes(FILES["train-0.tar"])
    assert fetched(spec, tmp_path)[0] is None
    assert zenodo.asked(FIRST) == [] and shards(tmp_path / "mine") == FILES


def test_what_came_meanwhile_is_not_written_over(zenodo, spec, tmp_path):
    (own := tmp_path / "train-0.tar").write_bytes(b"my own")
    file = server_module.Server().record(NUMBER).files[0]
    with pytest.raises(FetchError, match="in the way"):
        download_file(server_module.Server(), file, tmp_path, lambda _: None)
    assert own.read_bytes() == b"my own"


def test_no_link_is_followed(zenodo, spec, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    data = tmp_path / "data"
    data.mkdir()
    (data / "mine").symlink_to(outside)
    error, _ = fetched(spec, data)
    assert error is not None and f"{data / 'mine'} is a link" in error
    (data / "mine").unlink()
    (data / "mine").mkdir()
    (data / "mine" / ".earmark").symlink_to(outside)
    error, _ = fetched(spec, data)
    assert error is not None and "is a link" in error
    (data / "mine" / ".earmark").unlink()
    (data / "mine" / ".earmark").mkdir()
    (data / "mine" / "train-0.tar").symlink_to(outside / "new")
    error, _ = fetched(spec, data)
    assert error is not None and "train-0.tar is not the record's" in error
    (data / "mine" / "train-0.tar").unlink()
    md5 = hashlib.md5(FILES["train-0.tar"]).hexdigest()
    part = data / "mine" / ".earmark" / f"train-0.tar.{md5[:8]}.part"
    part.symlink_to(outside / "new")
    error, _ = fetched(spec, data)
    assert error is not None and "is a link" in error
    part.unlink()
    (outside / "precious").write_bytes(b"precious")
    os.link(outside / "precious", part)
    error, _ = fetched(spec, data)
    assert error is not None and "not a file of its own" in error
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"precious": b"precious"}


@settings(
    max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(left=st.binary(max_size=1200), true=st.integers(0, 1000), ranges=st.booleans())
def test_whatever_an_earlier_try_left_the_end_is_the_same(
    zenodo, spec, tmp_path_factory, monkeypatch, left, true, ranges
):
    """A part that begins truly and goes on as it likes."""
    monkeypatch.setattr(server_module.time, "sleep", lambda _: None)
    zenodo.ranges = ranges
    data = tmp_path_factory.mktemp("data")
    kept = data / "mine" / ".earmark"
    kept.mkdir(parents=True)
    whole = FILES["train-1.tar"]
    md5 = hashlib.md5(whole).hexdigest()
    (kept / f"train-1.tar.{md5[:8]}.part").write_bytes(whole[:true] + left)
    (kept / "valid-0.tar.00000000.part").write_bytes(left)
    assert fetched(spec, data)[0] is None
    assert shards(data / "mine") == FILES and parts(data / "mine") == []
