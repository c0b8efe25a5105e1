"""Fetching shards from records, against a server on loopback that misbehaves in many ways."""

from __future__ import annotations

import dataclasses
import email.utils
import hashlib
import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zenodo as ways
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from task_files import load, task
from zenodo import Zenodo, content, record, serving

from earmark import download
from earmark.benchmark.zenodo import server as server_module
from earmark.benchmark.zenodo.download import download_file
from earmark.benchmark.zenodo.record import FetchError
from earmark.benchmark.zenodo.run import Fetched
from earmark.benchmark.zenodo.status import holding
from earmark.tasks import TaskSpec

NUMBER = "123"
FILES = {
    "train-0.tar": random.Random(0).randbytes(300_000),
    "train-1.tar": random.Random(1).randbytes(1000),
    "valid-0.tar": random.Random(2).randbytes(2000),
    "test-0.tar": random.Random(3).randbytes(70_000),
}
FIRST = content(NUMBER, "train-0.tar")


@pytest.fixture
def zenodo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zenodo]:
    """A server with the record of the task; waits between tries are noted, not waited for."""
    with serving() as server:
        server.add(NUMBER, dict(FILES))
        monkeypatch.setenv("EARMARK_ZENODO", server.address)
        yield server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited for between tries."""
    waited: list[float] = []
    monkeypatch.setattr(server_module.time, "sleep", waited.append)
    return waited


@pytest.fixture
def spec(tmp_path: Path) -> TaskSpec:
    return load(task(zenodo_record=NUMBER), tmp_path)


def fetched(spec: TaskSpec | list[TaskSpec], data: Path) -> tuple[str | None, list[str]]:
    """The only task's error, and the lines that were said."""
    lines: list[str] = []
    outcomes = download(spec, data, say=lines.append)
    for text in [*lines, *(one.error for one in outcomes if one.error)]:
        assert len(text.splitlines()) == 1
    return outcomes[0].error, lines


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}


def parts(folder: Path) -> list[Path]:
    return list((folder / ".earmark").glob("*.part"))


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


PASSING = {
    "500": (ways.says(500), "out of order (500)"),
    "503": (ways.says(503), "out of order (503)"),
    "429": (ways.says(429), "too many requests (429)"),
    "page": (ways.page, "web page in place of the data"),
    "page of the right size": (ways.plain_page, "its MD5 is"),
    "changed": (ways.changed, "its MD5 is"),
    "cut": (ways.cut(100_000), "broke off"),
    "silent": (ways.silent, "broke off"),
    "longer": (ways.longer, "sends more than the 300000 bytes"),
}


@pytest.mark.parametrize("way", PASSING)
def test_a_fault_that_passes(zenodo, spec, tmp_path, waits, way):
    answer, words = PASSING[way]
    zenodo.faults[FIRST] = [answer]
    error, lines = fetched(spec, tmp_path)
    assert error is None and shards(tmp_path / "mine") == FILES
    (line,) = [line for line in lines if "again in" in line]
    assert words in line and line.startswith("train-0.tar")
    assert waits == [2.0] and len(zenodo.asked(FIRST)) == 2


@pytest.mark.parametrize("way", PASSING)
def test_a_fault_that_stays(zenodo, spec, tmp_path, waits, way):
    answer, words = PASSING[way]
    zenodo.always[FIRST] = answer
    # which gets a little further each time would come to its end; this one does not
    error, _ = fetched(spec, tmp_path)
    if way == "cut":
        assert error is None  # 100 000 bytes at a time: it went on where it stopped
        assert zenodo.asked(FIRST) == [None, "bytes=100000-", "bytes=200000-"]
        return
    assert error is not None and words in error
    tries = 2 if words == "its MD5 is" else 6  # wrong data twice are wrong data
    assert len(zenodo.asked(FIRST)) == tries
    assert waits == sorted(waits) and len(set(waits)) == len(waits) == tries - 1  # growing
    assert "train-0.tar" not in shards(tmp_path / "mine")
    assert holding(spec, tmp_path).state == "absent"
    # when the server has recovered the same command ends well
    zenodo.always.clear()
    assert fetched(spec, tmp_path)[0] is None and shards(tmp_path / "mine") == FILES


@pytest.mark.parametrize(
    ("code", "words"), [(404, "does not exist (404"), (403, "not open to everybody"), (400, "(400")]
)
@pytest.mark.parametrize("path", [record(NUMBER), FIRST])
def test_a_refusal_is_not_asked_again(zenodo, spec, tmp_path, waits, code, words, path):
    zenodo.always[path] = ways.says(code)
    error, _ = fetched(spec, tmp_path)
    assert error is not None and words in error
    assert len(zenodo.asked(path)) == 1 and waits == []


def test_retry_after_is_heeded(zenodo, spec, tmp_path, waits):
    soon = email.utils.formatdate(time.time() + 100, usegmt=True)
    zenodo.faults[record(NUMBER)] = [
        ways.says(429, Retry_After="7"), ways.says(503, Retry_After=soon),
        ways.says(429, Retry_After="nonsense"),
    ]  # fmt: skip
    assert fetched(spec, tmp_path)[0] is None
    assert waits[0] == 7 and 95 < waits[1] <= 100 and waits[2] == 15
    # and at once is too soon
    zenodo.faults[FIRST] = [ways.says(429, Retry_After="0")]
    assert fetched(spec, tmp_path / "third")[0] is None and waits[3:] == [2]
    # an hour is not waited for, but named
    waits.clear()
    zenodo.always[record(NUMBER)] = ways.says(429, Retry_After="3600")
    error, _ = fetched(spec, tmp_path / "other")
    assert waits == [] and error is not None and "asks to wait 1 h 0 min" in error


@pytest.mark.parametrize("answer", [ways.stalls(1000), ways.trickles])
def test_a_server_that_stalls_is_left(zenodo, spec, tmp_path, waits, monkeypatch, answer):
    monkeypatch.setattr(server_module, "READ_S", 0.3)
    zenodo.faults[FIRST] = [answer]
    began = time.monotonic()
    error, lines = fetched(spec, tmp_path)
    assert error is None and time.monotonic() - began < 5
    assert any("sent nothing for 0.3 s" in line for line in lines)
    first, second = zenodo.asked(FIRST)
    assert first is None and str(second).startswith("bytes=")  # what came is kept
    assert shards(tmp_path / "mine") == FILES


@pytest.mark.parametrize(
    ("answer", "count"), [(ways.from_the_start, 1), (ways.other_range, 2), (ways.says(416), 2)]
)
def test_a_server_that_does_not_resume(zenodo, spec, tmp_path, waits, answer, count):
    zenodo.faults[FIRST] = [ways.cut(5000), answer]
    error, lines = fetched(spec, tmp_path)
    assert error is None
    assert count == 1 or any("does not resume where it was asked" in line for line in lines)
    assert shards(tmp_path / "mine") == FILES
    assert zenodo.asked(FIRST) == [None, "bytes=5000-", None][: count + 1]


def test_a_redirect_is_followed_but_not_in_a_circle(zenodo, spec, tmp_path, waits):
    with serving() as other:
        other.add("1", {"train-0.tar": FILES["train-0.tar"]})
        zenodo.always[FIRST] = ways.elsewhere(f"{other.address}{content('1', 'train-0.tar')}")
        assert fetched(spec, tmp_path)[0] is None
    assert shards(tmp_path / "mine") == FILES
    zenodo.always[FIRST] = ways.circles
    error, _ = fetched(spec, tmp_path / "other")
    assert error is not None and "redirects in a circle" in error and waits == []


def test_no_password_of_the_user_is_sent(zenodo, spec, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving() as other:
        other.add("1", {"train-0.tar": FILES["train-0.tar"]})
        zenodo.always[FIRST] = ways.elsewhere(f"{other.address}{content('1', 'train-0.tar')}")
        assert fetched(spec, tmp_path)[0] is None
        asked = zenodo.headers + other.headers
    assert len(asked) == 6 and not any("Authorization" in headers for headers in asked)
    assert {headers["User-Agent"] for headers in asked} == {"earmark"}


# ---- what a record may say


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


# ---- what is there already


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
