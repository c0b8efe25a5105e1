"""Events, notes, captions and transcripts through tar shards, and within their clips."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from annotations import CLASSES, FIELDS, event, note
from clips import clip_members, write_tar
from task_files import DROP, load, task

from earmark.benchmark.shards.labels import Labelled, read_labels, within_clip
from earmark.benchmark.shards.shard import Failure, read_shard
from earmark.tasks import TaskSpec
from earmark.tasks.spec import Event

# ------------------------------------------------------------------------------- through tar shards

KINDS: dict[str, dict[str, Any]] = {
    "events": {
        "label": {"kind": "events"}, "classes": list(CLASSES), "segment_seconds": 1,
        "metric": "segment_f1_macro",
    },
    "events in a field": {
        "label": {"kind": "events", "field": "events"}, "classes": list(CLASSES),
        "segment_seconds": 1, "metric": "segment_f1_macro",
    },
    "notes": {
        "label": {"kind": "notes"}, "classes": list(range(21, 108)), "segment_seconds": 0.1,
        "metric": "segment_f1_micro",
    },
    "captions": {
        "label": {"kind": "captions", "fields": list(FIELDS)}, "classes": DROP,
        "metric": "recall@1",
    },
    "transcript": {
        "label": {"kind": "transcript", "field": "trans"}, "classes": DROP, "metric": "WER_inv",
    },
}  # fmt: skip


def task_of(kind: str, folder: Path) -> TaskSpec:
    return load(task(**KINDS[kind], knn=False), folder)


def read_clips(kind: str, folder: Path, clips: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """Labels by key and failures' reasons by key, of one tar file."""
    members = [member for key, value in clips.items() for member in clip_members(key, b"", value)]
    shard = read_shard(write_tar(folder / "a.tar", members))
    labels, failures = read_labels(shard, task_of(kind, folder))
    assert all(failure.shard == "a.tar" for failure in failures)
    assert all(isinstance(failure, Failure) for failure in failures)
    assert set(labels).isdisjoint(failure.key for failure in failures)
    return labels, {failure.key: failure.reason for failure in failures}


def test_events_of_a_shard(tmp_path: Path) -> None:
    labels, failures = read_clips(
        "events",
        tmp_path,
        {
            "1-good": [event(label="Dog,Cat")],
            "1-half": [event(), event(onset=9)],
            "2-silent": [],
            "2-none": [event(label="Cow")],
            "2-object": {"events": []},
            "2-broken": b"[{",
            # as Python's JSON writes it, and as no number can be read back from
            "2-nan": b'[{"onset": NaN, "offset": 1, "label": "Dog"}]',
            "2-huge": b'[{"onset": 0, "offset": 1%s, "label": "Dog"}]' % (b"0" * 400),
            "2-longer": b'[{"onset": 0, "offset": 1%s, "label": "Dog"}]' % (b"0" * 5000),
        },
    )
    fault = "event 2: its onset 9 s is not before its offset 1 s"
    assert labels == {
        "1-good": ((Event(0.5, 1.0, 0), Event(0.5, 1.0, 1)), "1", ()),
        "1-half": ((Event(0.5, 1.0, 1),), "1", (fault,)),
        "2-silent": ((), "2", ()),
    }
    none = "none of its 1 events can be used; event 1: "
    assert failures == {
        "2-none": none + "unknown label 'Cow'",
        "2-object": "its JSON holds no list of events",
        "2-broken": "its JSON is broken",
        "2-nan": none + "its onset is no time in seconds: nan",
        "2-huge": none + f"its offset is no time in seconds: 1{'0' * 79}",
        "2-longer": "its JSON is broken",
    }


def test_events_in_a_field_of_a_shard(tmp_path: Path) -> None:
    clips = {"1-a": {"events": [event()]}, "1-b": {"other": []}, "1-c": [event()]}
    labels, failures = read_clips("events in a field", tmp_path, clips)
    assert labels == {"1-a": ((Event(0.5, 1.0, 1),), "1", ())}
    expected = {"1-b": "its JSON has no field 'events'", "1-c": "its JSON is not an object"}
    assert failures == expected


def test_notes_of_a_shard(tmp_path: Path) -> None:
    clips = {"1-a": [note(note=21), note(note=20)], "1-b": [note(note=108)]}
    labels, failures = read_clips("notes", tmp_path, clips)
    assert labels == {
        "1-a": ((Event(0.5, 1.0, 0),), "1", ("note 2: note 20 is none of the task's",))
    }
    reason = "none of its 1 notes can be used; note 1: note 108 is none of the task's"
    assert failures == {"1-b": reason}


def test_captions_of_a_shard(tmp_path: Path) -> None:
    whole = {"caption_1": "a", "caption_2": "b", "caption_3": "c"}
    labels, failures = read_clips(
        "captions", tmp_path, {"1-a": whole, "1-b": whole | {"caption_2": ""}, "1-c": ["a", "b"]}
    )
    assert labels == {
        "1-a": (("a", "b", "c"), "1", ()),
        "1-b": (("a", "c"), "1", ("caption_2 holds no words: ''",)),
    }
    reason = "none of its 3 captions can be used; caption_1 holds no words: None"
    assert failures == {"1-c": reason}


def test_transcripts_of_a_shard(tmp_path: Path) -> None:
    clips = {"1-a": {"trans": "I SEE"}, "1-b": {"trans": ""}, "1-c": {"trans": "4 U"}, "1-d": {}}
    labels, failures = read_clips("transcript", tmp_path, clips)
    assert labels == {"1-a": (("i see",), "1", ())}
    assert failures == {
        "1-b": "its transcript is empty: ''",
        "1-c": "its transcript holds '4'; letters a to z, apostrophe and space are known",
        "1-d": "its JSON has no field 'trans'",
    }


# --------------------------------------------------------------------------------- within its clip


def test_events_after_the_clip_are_faults() -> None:
    inside, across, at_end, late = (
        Event(0, 1, 0), Event(9.5, 12, 1), Event(10, 11, 2), Event(12.25, 13, 0),
    )  # fmt: skip
    labelled = Labelled((inside, across, at_end, late), "r", ("event 9: unknown label 'Cow'",))
    assert within_clip(labelled, 10.0) == (
        (inside, across),
        "r",
        (
            "event 9: unknown label 'Cow'",
            "begins at 10 s, its clip ends at 10.000 s",
            "begins at 12.25 s, its clip ends at 10.000 s",
        ),
    )
    assert within_clip(labelled, math.inf) is labelled
    assert within_clip(Labelled((), None), 1.0) == ((), None, ())
    assert json.loads(json.dumps(within_clip(labelled, 9.0).label)) == [[0, 1, 0]]
