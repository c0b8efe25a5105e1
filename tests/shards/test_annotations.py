"""Events, notes, captions and transcripts: what is used, what is left out, and how that is said."""

from __future__ import annotations

import doctest
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clips import clip_members, write_tar
from hypothesis import given, settings
from hypothesis import strategies as st
from task_files import DROP, load, task

from earmark.benchmark.shards import annotations
from earmark.benchmark.shards.annotations import (
    ALPHABET,
    LabelError,
    read_captions,
    read_events,
    read_notes,
    read_transcript,
    words_of,
)
from earmark.benchmark.shards.labels import Labelled, read_labels, within_clip
from earmark.benchmark.shards.shard import Failure, read_shard
from earmark.tasks import TaskSpec, spec
from earmark.tasks.spec import Event

CLASSES = {"Cat": 0, "Dog": 1, "Running_water": 2}
KEYS = {str(note): note - 21 for note in range(21, 108)}
FIELDS = ("caption_1", "caption_2", "caption_3")
GOOD_EVENT = {"onset": 0.5, "offset": 1, "label": "Dog"}
GOOD_NOTE = {"start": 0.5, "end": 1, "note": 60}
HUGE = 10**400  # a whole number that JSON may hold and a float may not


def event(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**GOOD_EVENT, **changes}.items() if value is not DROP}


def note(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**GOOD_NOTE, **changes}.items() if value is not DROP}


def error_of(read: Callable[[], Any]) -> str:
    with pytest.raises(LabelError) as caught:
        read()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# ---------------------------------------------------------------------------------- events, notes


def test_good_events_are_read_and_sorted() -> None:
    value = [event(onset=3, offset=4.25), event(onset=0, label="Cat", more="ignored")]
    assert read_events(value, CLASSES) == (((0.0, 1.0, 0), (3.0, 4.25, 1)), ())


def test_classes_joined_by_commas_are_an_event_each() -> None:
    expected = ((0.5, 1.0, 0), (0.5, 1.0, 1))
    for label in ("Dog,Cat", " Cat , Dog ", "Cat,Dog,Cat"):
        assert read_events([event(label=label)], CLASSES) == (expected, ())
    assert read_events([event(), event(label="Dog,Cat")], CLASSES) == (expected, ())


def test_good_notes_are_read() -> None:
    value = [note(note=107), note(start=0, note=21)]
    assert read_notes(value, KEYS) == (((0.0, 1.0, 0), (0.5, 1.0, 86)), ())


def test_silence_is_a_label() -> None:
    """A clip in which nothing is heard is no fault."""
    assert read_events([], CLASSES) == ((), ())
    assert read_notes([], KEYS) == ((), ())


NOTHING = [(None, None, None), (math.nan, math.nan, None), (math.nan,) * 3, (math.nan, None, None)]


@pytest.mark.parametrize("values", NOTHING, ids=repr)
def test_a_lone_row_of_nothing_is_silence(values: tuple[Any, ...]) -> None:
    """As pandas writes a clip in which nothing happens, and DESED's own tables hold it."""
    row = dict(zip(("onset", "offset", "label"), values, strict=True))
    assert read_events([row], CLASSES) == ((), ())
    assert read_events([row | {"file": "a.wav"}], CLASSES) == ((), ())
    assert read_notes([dict(zip(("start", "end", "note"), values, strict=True))], KEYS) == ((), ())
    # beside an event, twice, or with a key that is not there it says nothing that can be known
    assert read_events([event(), row], CLASSES).label == ((0.5, 1.0, 1),)
    assert len(read_events([event(), row], CLASSES).faults) == 1
    error_of(lambda: read_events([row, row], CLASSES))
    for name in row:
        lacking = {key: value for key, value in row.items() if key != name}
        error_of(lambda lacking=lacking: read_events([lacking], CLASSES))  # type: ignore[misc]


@pytest.mark.parametrize(
    "row",
    [
        (math.nan, math.nan, "Dog"), (0.0, math.nan, None), (math.nan, 1.0, math.nan),
        (0, 0, None), ("", "", ""), (False, False, False), (math.inf, math.inf, None),
    ],
)  # fmt: skip
def test_a_row_that_holds_anything_is_no_silence(row: tuple[Any, ...]) -> None:
    value = [dict(zip(("onset", "offset", "label"), row, strict=True))]
    error_of(lambda: read_events(value, CLASSES))


def test_numbers_and_letters_of_each_way_of_writing_are_one_class() -> None:
    numbers = {"1": 0, "2": 1, "caf\u00e9": 2}
    for label in (2, 2.0, "2", " 2 "):
        assert read_events([event(label=label)], numbers) == (((0.5, 1.0, 1),), ())
    assert read_events([event(label="cafe\u0301, 1")], numbers).label == (
        (0.5, 1.0, 0), (0.5, 1.0, 2),
    )  # fmt: skip
    for number in (60, 60.0, "60"):
        assert read_notes([note(note=number)], KEYS) == (((0.5, 1.0, 39),), ())


BAD_EVENTS: dict[str, tuple[Any, str]] = {
    "onset after offset": (event(onset=2), "its onset 2 s is not before its offset 1 s"),
    "no length": (event(onset=1), "its onset 1 s is not before its offset 1 s"),
    "onset below 0": (event(onset=-0.1), "its onset is no time in seconds: -0.1"),
    "offset below 0": (event(offset=-1), "its offset is no time in seconds: -1"),
    "onset nan": (event(onset=math.nan), "its onset is no time in seconds: nan"),
    "offset infinite": (event(offset=math.inf), "its offset is no time in seconds: inf"),
    "onset true": (event(onset=True, offset=5), "its onset is no time in seconds: True"),
    "onset text": (event(onset="0.5"), "its onset is no time in seconds: '0.5'"),
    "onset null": (event(onset=None), "its onset is no time in seconds: None"),
    "no offset": (event(offset=DROP), "its offset is no time in seconds: None"),
    "offset huge": (event(offset=HUGE), f"its offset is no time in seconds: 1{'0' * 79}"),
    "offset beyond all clips": (event(offset=1e308), "its offset is no time in seconds: 1e+308"),
    "unknown class": (event(label="dog"), "unknown label 'dog'; did you mean 'Dog'? case counts"),
    "one of several unknown": (event(label="Dog,Cow"), "unknown label 'Cow'"),
    "comma at the end": (event(label="Dog,"), "unknown label ''"),
    "no class": (event(label=""), "unknown label ''"),
    "class of two lines": (event(label="Dog\nCat"), "unknown label 'Dog\\nCat'"),
    "label missing": (event(label=DROP), "label None is not a name"),
    "label number": (event(label=1), "unknown label '1'"),
    "label fraction": (event(label=1.5), "label 1.5 is not a name"),
    "label nan": (event(label=math.nan), "label nan is not a name"),
    "label true": (event(label=True), "label True is not a name"),
    "label list": (event(label=["Dog"]), "label ['Dog'] is not a name"),
    "long label": (event(label="x" * 500), f"unknown label '{'x' * 79}"),
    "not an object": ("Dog", "is not a JSON object"),
    "null": (None, "is not a JSON object"),
    "list": ([0.5, 1, "Dog"], "is not a JSON object"),
}
BAD_NOTES: dict[str, tuple[Any, str]] = {
    "onset after offset": (note(end=0.25), "its start 0.5 s is not before its end 0.25 s"),
    "end nan": (note(end=math.nan), "its end is no time in seconds: nan"),
    "below 0": (note(start=-1), "its start is no time in seconds: -1"),
    "true": (note(end=True), "its end is no time in seconds: True"),
    "start huge": (note(start=HUGE), f"its start is no time in seconds: 1{'0' * 79}"),
    "names of an event": (event(), "its start is no time in seconds: None"),
    "too low": (note(note=20), "note 20 is none of the task's"),
    "too high": (note(note=108), "note 108 is none of the task's"),
    "negative": (note(note=-60), "note -60 is none of the task's"),
    "fraction": (note(note=60.5), "note 60.5 is not a MIDI number"),
    "text": (note(note="C4"), "note 'C4' is not a MIDI number"),
    "float in text": (note(note="60.0"), "note '60.0' is not a MIDI number"),
    "nan": (note(note=math.nan), "note nan is not a MIDI number"),
    "boolean": (note(note=True), "note True is not a MIDI number"),
    "missing": (note(note=DROP), "note None is not a MIDI number"),
    "note huge": (note(note=HUGE), f"note 1{'0' * 79} is none of the task's"),
    "number": (3, "is not a JSON object"),
}


@pytest.mark.parametrize("case", sorted(BAD_EVENTS))
def test_bad_event_is_named_and_the_rest_stays(case: str) -> None:
    bad, fault = BAD_EVENTS[case]
    found = read_events([event(), bad, event(label="Cat")], CLASSES)
    assert found.label == ((0.5, 1.0, 0), (0.5, 1.0, 1))
    assert found.faults == (f"event 2: {fault}",)
    alone = error_of(lambda: read_events([bad], CLASSES))
    assert alone == f"none of its 1 events can be used; event 1: {fault}"


@pytest.mark.parametrize("case", sorted(BAD_NOTES))
def test_bad_note_is_named_and_the_rest_stays(case: str) -> None:
    bad, fault = BAD_NOTES[case]
    found = read_notes([bad, note()], KEYS)
    assert (found.label, found.faults) == (((0.5, 1.0, 39),), (f"note 1: {fault}",))
    alone = error_of(lambda: read_notes([bad, bad], KEYS))
    assert alone == f"none of its 2 notes can be used; note 1: {fault}"


@pytest.mark.parametrize("value", [{}, {"events": []}, "Dog", 3, None, True])
def test_no_list_at_all(value: Any) -> None:
    assert error_of(lambda: read_events(value, CLASSES)) == "its JSON holds no list of events"
    assert error_of(lambda: read_notes(value, KEYS)) == "its JSON holds no list of notes"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(HUGE),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["onset", "offset", "label", "start", "end", "note", "caption_1"]),
            inner,
        )
    ),
)


@settings(max_examples=200, deadline=None)
@given(JSON_VALUES)
def test_whatever_the_json_holds_is_read_or_refused_in_one_line(value: Any) -> None:
    for read in (
        lambda: read_events(value, CLASSES),
        lambda: read_notes(value, KEYS),
        lambda: read_captions(value, FIELDS),
        lambda: read_transcript(value),
    ):
        try:
            said = list(read().faults)
        except LabelError as error:
            said = [str(error)]
        for line in said:
            assert len(line.splitlines()) == 1 and len(line) < 250


# -------------------------------------------------------------------------------- captions, words


def test_captions_are_read_in_the_order_of_the_fields() -> None:
    metadata = {"caption_2": "A  dog\nbarks.", "caption_1": " Rain ", "caption_3": "2", "x": "y"}
    assert read_captions(metadata, FIELDS) == (("Rain", "A dog barks.", "2"), ())


@pytest.mark.parametrize("bad", [DROP, None, "", "  \n", "...", 3, ["a dog"], {"text": "a dog"}])
def test_bad_caption_is_named_and_the_rest_stays(bad: Any) -> None:
    metadata = {"caption_1": "rain", "caption_3": "wind"}
    if bad is not DROP:
        metadata["caption_2"] = bad
    shown = None if bad is DROP else bad
    found = read_captions(metadata, FIELDS)
    assert found == (("rain", "wind"), (f"caption_2 holds no words: {shown!r}",))


def test_half_a_character_is_a_fault_of_its_caption() -> None:
    found = read_captions({"a": "rain \ud800 falls", "b": "rain falls"}, ("a", "b"))
    assert found.label == ("rain falls",)
    assert "a is no Unicode text" in found.faults[0]


@pytest.mark.parametrize("metadata", [{}, {"caption": "rain"}, ["rain"], "rain", None])
def test_no_caption_at_all(metadata: Any) -> None:
    said = error_of(lambda: read_captions(metadata, FIELDS))
    assert said == "none of its 3 captions can be used; caption_1 holds no words: None"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A dog barks.", ["a", "dog", "barks"]),
        ("It's 3-4 birds,chirping!", ["its", "3", "4", "birds", "chirping"]),
        ("...", []),
        ("", []),
        ("Café  ÉTÉ", ["café", "été"]),
        ("Cafe\u0301 E\u0301TE\u0301", ["caf\u00e9", "\u00e9t\u00e9"]),
    ],
)
def test_words_of_a_caption(text: str, words: list[str]) -> None:
    assert words_of(text) == words


# ------------------------------------------------------------------------------------ transcripts


def test_a_transcript_is_in_lower_case_with_single_spaces() -> None:
    assert read_transcript("  DON'T\tLOOK  NOW ") == (("don't look now",), ())
    assert set(ALPHABET) == set(" 'abcdefghijklmnopqrstuvwxyz") and len(ALPHABET) == 28


@pytest.mark.parametrize("value", ["", "  \n ", None, 3, ["a"], {"trans": "a"}, True])
def test_an_empty_transcript(value: Any) -> None:
    assert error_of(lambda: read_transcript(value)) == f"its transcript is empty: {value!r}"


@pytest.mark.parametrize(
    ("text", "strange"),
    [("CHAPTER 1", "1"), ("it’s", "’"), ("well-known", "-"), ("a, b", ","), ("café", "é")],
)
def test_a_transcript_that_the_probe_cannot_spell(text: str, strange: str) -> None:
    said = error_of(lambda: read_transcript(text))
    expected = f"its transcript holds {strange!r}; letters a to z, apostrophe and space are known"
    assert said == expected


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


@pytest.mark.parametrize("module", [annotations, spec])
def test_examples_in_docstrings_hold(module: Any) -> None:
    failed, tried = doctest.testmod(module)
    assert failed == 0 < tried
