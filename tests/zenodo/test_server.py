"""Requests to a server that misbehaves in many ways: tried again, or left."""

from __future__ import annotations

import email.utils
import time

import pytest
import zenodo as ways
from zenodo import content, record, serving
from zenodo_task import FILES, FIRST, NUMBER, fetched, shards

from earmark.benchmark.zenodo import server as server_module
from earmark.benchmark.zenodo.status import holding

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
