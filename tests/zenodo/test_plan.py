"""Fetching the shards of tasks: all of them and nothing else, each once."""

from __future__ import annotations

import dataclasses
import os
import shutil
import threading

import pytest
import zenodo as ways
from zenodo import content, record
from zenodo_task import FILES, FIRST, NUMBER, fetched, parts, shards

from earmark import download
from earmark.benchmark.zenodo import server as server_module
from earmark.benchmark.zenodo.record import FetchError
from earmark.benchmark.zenodo.run import Fetched
from earmark.benchmark.zenodo.status import holding


def test_all_shards_of_a_task_come_and_nothing_else(zenodo, spec, tmp_path, waits):
    zenodo.records[NUMBER] |= {"README.md": b"read me", "original.zip": b"all of it", "x.tar": b"x"}
    assert download(spec, tmp_path / "new" / "data") == [
        Fetched("my_task", tmp_path / "new" / "data" / "mine", None)
    ]
    folder = tmp_path / "new" / "data" / "mine"
    assert shards(folder) == FILES
    assert parts(folder) == [] and waits == []
    asked = {path for path, _ in zenodo.requests}
    assert asked == {record(NUMBER), *(content(NUMBER, key) for key in FILES)}
    umask = os.umask(0)
    os.umask(umask)
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*.tar")} == {0o666 & ~umask}
    # all there: nobody is asked anything
    zenodo.requests.clear()
    assert fetched(spec, tmp_path / "new" / "data") == (None, [])
    assert zenodo.requests == []


def test_what_somebody_put_there_is_taken_as_it_is(zenodo, spec, tmp_path):
    for name in ("train.tar", "valid.tar", "test.tar"):
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(b"my own")
    assert fetched(spec, tmp_path) == (None, [])
    assert zenodo.requests == [] and set(shards(tmp_path / "mine").values()) == {b"my own"}


# ---- several tasks


def test_shared_shards_are_fetched_once(zenodo, spec, tmp_path):
    other = dataclasses.replace(spec, name="other", folder="twin", also_in="mine")
    first = dataclasses.replace(spec, also_in="twin")
    for order in ([first, other], [other, first], [other]):
        data = tmp_path / f"data{len(list(tmp_path.iterdir()))}"
        zenodo.requests.clear()
        outcomes = download(order, data)
        assert [one.error for one in outcomes] == [None] * len(order)
        assert {one.folder for one in outcomes} == {data / "mine"}
        assert len(zenodo.requests) == 5  # the record, and each file once
        assert holding(other, data).state == holding(first, data).state == "present"
    zenodo.always[FIRST] = ways.says(403)
    outcomes = download([first, other], tmp_path / "refused")
    assert outcomes[0].error == outcomes[1].error is not None
    assert len(zenodo.asked(FIRST)) == 1 + 1  # of the last order above, and of this


def test_too_little_disk_is_refused_before_the_first_byte(zenodo, spec, tmp_path, monkeypatch):
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        "earmark.benchmark.zenodo.plan.shutil.disk_usage",
        lambda _: real._replace(free=(256 << 20) + 372_999),  # one byte too little
    )
    with pytest.raises(FetchError, match="too little disk: 373 kB to fetch") as caught:
        download(spec, tmp_path / "data")
    assert len(str(caught.value).splitlines()) == 1
    assert [path for path, _ in zenodo.requests] == [record(NUMBER)]
    assert not (tmp_path / "data").exists()
    monkeypatch.setattr(
        "earmark.benchmark.zenodo.plan.shutil.disk_usage",
        lambda _: real._replace(free=(256 << 20) + 373_000),
    )
    assert fetched(spec, tmp_path / "data")[0] is None


def test_the_first_failure_to_reach_anybody_is_enough(zenodo, spec, tmp_path, waits, monkeypatch):
    second = dataclasses.replace(spec, name="second", folder="second", zenodo_record="124")
    monkeypatch.setenv("EARMARK_ZENODO", "http://127.0.0.1:9")
    tried: list[str] = []
    get = server_module._Session.get

    def counted(session, url, **more):
        tried.append(url)
        return get(session, url, **more)

    monkeypatch.setattr(server_module._Session, "get", counted)
    outcomes = download([spec, second], tmp_path)
    assert len(tried) == 1 and waits == []
    assert {one.error for one in outcomes} == {"127.0.0.1:9 cannot be reached (Connection refused)"}
    # the network goes away in the middle: it is tried for a while, once
    monkeypatch.setenv("EARMARK_ZENODO", zenodo.address)
    zenodo.add("124", FILES)
    zenodo.changes["train-0.tar"] = {"links": {"self": "http://127.0.0.1:9/gone"}}
    outcomes = download([spec, second], tmp_path)
    assert waits == [2, 5, 15, 45, 120]
    words = "127.0.0.1:9 cannot be reached (Connection refused) (6 tries)"
    assert {one.error for one in outcomes} == {words}
    assert not (tmp_path / "second").exists()


def test_a_task_that_fails_does_not_keep_the_others(zenodo, spec, tmp_path, waits):
    second = dataclasses.replace(spec, name="second", folder="second", zenodo_record="124")
    own = dataclasses.replace(spec, name="own", folder="own", zenodo_record=None)
    zenodo.add("124", FILES)
    zenodo.always[FIRST] = ways.says(500)
    outcomes = download([spec, own, second], tmp_path)
    assert "out of order" in str(outcomes[0].error) and "6 tries" in str(outcomes[0].error)
    assert "no Zenodo record" in str(outcomes[1].error)
    assert outcomes[2].error is None and shards(tmp_path / "second") == FILES


def test_a_server_that_is_out_of_order_is_not_waited_for_again_and_again(
    zenodo, spec, tmp_path, waits
):
    specs = []
    for number in range(200, 210):
        specs.append(
            dataclasses.replace(
                spec, name=f"t{number}", folder=f"f{number}", zenodo_record=str(number)
            )
        )
        zenodo.always[record(str(number))] = ways.says(503)
    outcomes = download(specs, tmp_path)
    assert all("out of order (503)" in str(one.error) for one in outcomes)
    assert len(waits) == 5 and len(zenodo.requests) == 6 + 9


def test_two_threads_at_once_fetch_each_file_once(zenodo, spec, tmp_path):
    outcomes: list[Fetched] = []
    threads = [
        threading.Thread(target=lambda: outcomes.extend(download(spec, tmp_path))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.error for one in outcomes] == [None] * 4
    for key in FILES:
        assert len(zenodo.asked(content(NUMBER, key))) == 1
    assert shards(tmp_path / "mine") == FILES
