"""Bad events, notes, captions and transcripts: counted and named, or the task has failed."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import audio_bytes, clip_members
from frame_tasks import RATE, Members, make_task

from earmark import RunResult, evaluate
from earmark.benchmark.cli.main import main

LENGTH = 1.25  # seconds of each bad clip


def clip(key: str, label: Any) -> Members:
    samples = np.random.default_rng(len(key)).uniform(-0.1, 0.1, round(LENGTH * RATE))
    return clip_members(key, audio_bytes(samples, RATE), label)


def event(onset: Any, offset: Any, label: Any = "low") -> dict[str, Any]:
    return {"onset": onset, "offset": offset, "label": label}


def note(start: Any, end: Any, number: Any = 60) -> dict[str, Any]:
    return {"start": start, "end": end, "note": number}


# kind, the clip's JSON, annotations of it that are left, words of each fault
FAULTS: dict[str, tuple[str, Any, int, list[list[str]]]] = {
    "onset-after-offset": (
        "events", [event(0.2, 0.5), event(0.9, 0.4)], 1,
        [["event 2", "onset 0.9", "not before", "offset 0.4"]],
    ),
    "no-length": ("events", [event(0.2, 0.2), event(0.9, 1.1)], 1, [["event 1", "not before"]]),
    "no-such-event": ("events", [event(0.2, 0.5), event(0.6, 0.7, "cat")], 1, [["event 2", "cat"]]),
    "no-time": (
        "events", [event(0.2, 0.5), event("soon", 1), event(0.1, None), event(-1, 1)], 1,
        [["event 2", "soon"], ["event 3", "None"], ["event 4", "-1"]],
    ),
    "after-the-end": (
        "events", [event(0.2, 0.5), event(1.25, 1.5, "mid"), event(1.2, 9.0, "high")], 2,
        [["begins at 1.25 s", "ends at 1.250 s"]],
    ),
    "note-of-no-class": (
        "notes", [note(0.2, 0.5), note(0.3, 0.4, 20), note(0.3, 0.4, 108)], 1,
        [["note 2", "20"], ["note 3", "108"]],
    ),
    "note-backwards": ("notes", [note(0.2, 0.5), note(1.0, 0.4)], 1, [["note 2", "start 1"]]),
    "note-after-the-end": (
        "notes", [note(0.2, 0.5), note(2.0, 2.4, 67)], 1, [["begins at 2 s", "1.250 s"]],
    ),
    "empty-caption": ("captions", {"one": "a low tone", "two": ""}, 1, [["two", "no words"]]),
    "no-words": ("captions", {"one": " ... ", "two": "low"}, 1, [["one", "no words"]]),
    "no-caption": ("captions", {"one": "a low tone"}, 1, [["two", "no words", "None"]]),
}  # fmt: skip

# kind, the clip's JSON, words of the reason for which the clip has failed
LOST: dict[str, tuple[str, Any, list[str]]] = {
    "only-backwards": ("events", [event(0.9, 0.4)], ["none of its 1 events", "event 1", "0.9"]),
    "only-after-the-end": (
        "events", [event(1.3, 1.4), event(2, 3)], ["none of its 2 events", "begins at 1.3 s"],
    ),
    "no-list": ("events", {"label": "low"}, ["no list of events"]),
    "only-unknown-notes": ("notes", [note(0, 1, 12)], ["none of its 1 notes", "note 12"]),
    "only-empty-captions": ("captions", {"one": "", "two": "?"}, ["none of its 2 captions", "one"]),
    "empty-transcript": ("transcript", {"trans": "", "gender": "M"}, ["transcript is empty"]),
    "blank-transcript": ("transcript", {"trans": " \n", "gender": "M"}, ["transcript is empty"]),
    "no-transcript": ("transcript", {"gender": "M"}, ["no field 'trans'"]),
    "strange-letter": ("transcript", {"trans": "AB 3"}, ["'3'", "a to z"]),
    "broken": ("transcript", b'{"trans": "A', ["JSON is broken"]),
}  # fmt: skip


def score(task: Path, folder: Path, out: str, **settings: Any) -> RunResult:
    facts: dict[str, Any] = {
        "data": folder / "data", "results": folder / out, "cache": folder / f"c-{out}",
        "seeds": 1, "device": "cpu",
    }  # fmt: skip
    (result,) = evaluate("logmel", str(task), **(facts | settings))
    return result


def cli(capsys: pytest.CaptureFixture[str], task: Path, folder: Path, *more: str) -> Any:
    """Exit status, the lines that say `failed`, and the result file."""
    capsys.readouterr()
    status = main(
        ["--encoder", "logmel", "--tasks", str(task), "--data", str(folder / "data"), "--seeds",
         "1", "--device", "cpu", "--results", str(folder / "cli"), *more]
    )  # fmt: skip
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    (file,) = (folder / "cli").rglob(f"{task.stem}*.json")
    lines = [line for line in errors.splitlines() if line.startswith("failed")]
    return status, lines, json.loads(file.read_text())


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_counted_and_named(tmp_path, capsys, name):
    kind, label, left, words = FAULTS[name]
    task = make_task(tmp_path, kind)
    clean = score(task, tmp_path, "clean")
    assert clean.error is None and clean.data.label_faults == 0 and clean.data.faults == []
    make_task(tmp_path, kind, extra={"test": clip("zz-bad", label)})
    result = score(task, tmp_path, "bad", failed_share=0.2)
    assert result.status == "done" and result.error is None
    assert result.data.label_faults == len(words)
    assert result.data.labels == clean.data.labels + left + len(words)
    assert result.data.failed_clips == 0 and result.data.failures == []
    assert result.data.items["test"] == clean.data.items["test"] + 1  # the clip stays
    for fault, parts in zip(result.data.faults, words, strict=True):
        assert (fault.shard, fault.key) == ("test-000.tar", "zz-bad")
        assert all(part in fault.reason for part in parts), fault
        assert "\n" not in fault.reason
    # beyond the share: one line, on the terminal and in the result
    total = clean.data.labels + left + len(words)
    status, lines, written = cli(capsys, task, tmp_path)
    assert status == 3
    (line,) = lines
    for part in (f"{len(words)} of {total} labels", "1.0%", "test-000.tar/zz-bad", *words[0]):
        assert part in line
    assert "--failed-share" in line
    assert written["status"] == "failed" and written["scores"] == {}
    assert written["error"] in line and "\n" not in written["error"]
    assert written["data"]["label_faults"] == len(words)
    assert written["data"]["faults"] == list(map(asdict, result.data.faults))


@pytest.mark.parametrize("name", LOST)
def test_clips_without_a_usable_label_are_counted_and_named(tmp_path, capsys, name):
    kind, label, words = LOST[name]
    task = make_task(tmp_path, kind, extra={"train": clip("zz-bad", label)})
    result = score(task, tmp_path, "bad", failed_share=0.1)
    assert result.status == "done" and result.error is None
    (failure,) = result.data.failures
    assert (failure.shard, failure.key) == ("train-000.tar", "zz-bad")
    assert all(part in failure.reason for part in words), failure
    assert result.data.failed_clips == 1 and result.data.clips == 16
    assert result.data.items == {"train": 8, "valid": 3, "test": 4}
    status, lines, written = cli(capsys, task, tmp_path)
    assert status == 3
    (line,) = lines
    for part in ("1 of 16 clips failed", "train-000.tar/zz-bad", "--failed-share", *words):
        assert part in line
    assert written["status"] == "failed" and written["data"]["failures"] == [asdict(failure)]


def test_a_faulty_clip_changes_no_score_by_its_faults(tmp_path):
    """The bad annotations do not count; the good one beside them does."""
    good, late, back = event(0.2, 0.5), event(1.3, 1.4, "mid"), event(0.9, 0.4, "high")
    task = make_task(tmp_path, "events", extra={"train": clip("zz", [good])})
    clean = score(task, tmp_path, "clean")
    make_task(tmp_path, "events", extra={"train": clip("zz", [good, late, back])})
    bad = score(task, tmp_path, "bad", failed_share=0.2)
    assert bad.data.label_faults == 2
    assert bad.scores["linear"].per_seed == clean.scores["linear"].per_seed
    assert bad.scores["linear"].training_loss == clean.scores["linear"].training_loss


def test_a_clip_in_which_nothing_happens_is_no_fault(tmp_path):
    task = make_task(tmp_path, "events", extra={"test": clip("zz", [])})
    result = score(task, tmp_path, "quiet")
    assert result.status == "done" and result.data.items["test"] == 5
    assert result.data.label_faults == result.data.failed_clips == 0
    # as pandas writes it
    make_task(tmp_path, "events", extra={"test": clip("zz", [event(math.nan, math.nan, None)])})
    pandas = score(task, tmp_path, "pandas")
    assert pandas.data.label_faults == pandas.data.failed_clips == 0
    assert pandas.data.labels == result.data.labels
    assert pandas.scores["linear"].per_seed == result.scores["linear"].per_seed


def test_a_clip_that_fails_twice_is_counted_once(tmp_path):
    """Its audio is broken and its label too; events of a clip without audio are no faults."""
    members = [("zz.wav", b""), ("zz.json", json.dumps([event(0.9, 0.4)]).encode())]
    lost = [("zy.wav", b""), ("zy.json", json.dumps([event(5, 6)]).encode())]
    task = make_task(tmp_path, "events", extra={"train": [*members, *lost]})
    result = score(task, tmp_path, "r", failed_share=0.2)
    assert result.status == "done"
    assert [failure.key for failure in result.data.failures] == ["zy", "zz"]
    assert result.data.failed_clips == 2 and result.data.label_faults == 0


def test_faults_of_clips_beyond_the_limit_do_not_count(tmp_path):
    bad = [m for i in range(3) for m in clip(f"zz{i}", [event(0.1, 0.2), event(0.9, 0.4)])]
    task = make_task(tmp_path, "events", extra={"test": bad})
    whole = score(task, tmp_path, "whole", failed_share=0.5)
    assert whole.data.label_faults == 3
    limited = score(task, tmp_path, "limited", failed_share=0.5, limit=2)
    chosen = {fault.key for fault in limited.data.faults}
    assert limited.data.label_faults == len(chosen) <= 2
    assert limited.data.items["test"] == 2


def test_all_faults_are_counted_and_the_first_hundred_named(tmp_path):
    many = [event(0.1, 0.2), *(event(0.9, 0.4) for _ in range(120))]
    task = make_task(tmp_path, "events", extra={"test": clip("zz", many)})
    result = score(task, tmp_path, "many", failed_share=0.99)
    assert result.data.label_faults == 120 and len(result.data.faults) == 100
