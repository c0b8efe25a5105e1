"""What a folder was fetched from: half a data set is not the whole; a record that changed."""

from __future__ import annotations

import pytest
import zenodo as ways
from zenodo import content, record
from zenodo_task import FILES, NUMBER, fetched

from earmark.benchmark.zenodo.status import holding


def test_half_a_data_set_is_not_taken_for_the_whole(zenodo, spec, tmp_path, waits):
    zenodo.always[content(NUMBER, "train-1.tar")] = ways.says(403)
    assert fetched(spec, tmp_path)[0] is not None
    for key in ("valid-0.tar", "test-0.tar"):  # somebody else brings the rest, it seems
        (tmp_path / "mine" / key).write_bytes(FILES[key])
    have = holding(spec, tmp_path)
    assert (have.state, have.files) == ("incomplete", 3)
    from earmark.benchmark.shards.dataset import DataError, locate_shards

    said = "holds 3 of the 4 files of Zenodo record 123 whole; .*download TASK. fetches them"
    with pytest.raises(DataError, match=said):
        locate_shards(spec, tmp_path)
    zenodo.always.clear()
    assert fetched(spec, tmp_path)[0] is None
    assert holding(spec, tmp_path).state == "present"
    assert sum(map(len, locate_shards(spec, tmp_path).values())) == 4
    # a file that loses bytes later is seen too
    (tmp_path / "mine" / "train-1.tar").write_bytes(b"short")
    assert holding(spec, tmp_path).state == "incomplete"
    error, _ = fetched(spec, tmp_path)
    assert error is not None and "remove it" in error


def test_a_record_that_changed_is_noted_anew(zenodo, spec, tmp_path):
    assert fetched(spec, tmp_path)[0] is None
    (tmp_path / "mine" / "train-1.tar").unlink()
    assert holding(spec, tmp_path).state == "incomplete"
    del zenodo.records[NUMBER]["train-1.tar"]  # withdrawn
    zenodo.requests.clear()
    assert fetched(spec, tmp_path)[0] is None
    assert holding(spec, tmp_path).state == "present"
    assert [path for path, _ in zenodo.requests] == [record(NUMBER)]
