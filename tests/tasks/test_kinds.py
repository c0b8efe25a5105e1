"""Task files of events, notes, captions and transcripts: their keys, and the four built in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from task_files import DROP, fault_of, load, task

from earmark.tasks import TaskSpec, builtin_tasks

SPEC = Path(__file__).parents[3] / "shared" / "spec" / "tasks.json"

EVENTS: dict[str, Any] = {
    "label": {"kind": "events"}, "metric": "segment_f1_macro", "segment_seconds": 1, "knn": False,
}  # fmt: skip
NOTES = EVENTS | {"label": {"kind": "notes"}, "metric": "segment_f1_micro", "classes": [60, 61]}
CAPTIONS: dict[str, Any] = {
    "label": {"kind": "captions", "fields": ["one", "two"]}, "classes": DROP,
    "metric": "recall@1", "knn": False,
}  # fmt: skip
TRANSCRIPT: dict[str, Any] = {
    "label": {"kind": "transcript", "field": "trans"}, "classes": DROP, "metric": "WER_inv",
    "knn": False,
}  # fmt: skip
GOOD = {"events": EVENTS, "notes": NOTES, "captions": CAPTIONS, "transcript": TRANSCRIPT}


# ------------------------------------------------------------------------------ reading the keys


@pytest.mark.parametrize("kind", GOOD)
def test_the_tasks_behind_the_faults_are_good(kind: str, tmp_path: Path) -> None:
    spec = load(task(**GOOD[kind]), tmp_path)
    assert (spec.label.kind, spec.knn, spec.crop_seconds) == (kind, False, None)
    assert spec.by_frame is (kind != "captions")
    assert spec.probe.positive_weight == 1.0


def test_events_are_read_in_full(tmp_path: Path) -> None:
    changes = EVENTS | {"label": {"kind": "events", "field": "heard"}, "probe__positive_weight": 3}
    spec = load(task(**changes), tmp_path)
    assert (spec.label.field, spec.label.fields, spec.label.index) == ("heard", (), False)
    assert (spec.segment_seconds, spec.probe.positive_weight) == (1.0, 3.0)
    assert (spec.metric, spec.num_classes) == ("segment_f1_macro", 2)
    assert load(task(**EVENTS), tmp_path).label.field == ""


def test_events_may_have_folds(tmp_path: Path) -> None:
    folds = {"splits": DROP, "folds": {1: "a*.tar", 2: "b*.tar"}}
    assert list(load(task(**EVENTS, **folds), tmp_path).folds) == ["1", "2"]


def test_notes_are_midi_numbers(tmp_path: Path) -> None:
    assert load(task(**NOTES | {"classes": 128}), tmp_path).classes[-1] == "127"
    (tmp_path / "keys.txt").write_text("21\n22\n")
    assert load(task(**NOTES | {"classes": "keys.txt"}), tmp_path).classes == ("21", "22")


def test_captions_are_read_in_full(tmp_path: Path) -> None:
    spec = load(task(**CAPTIONS, crop_seconds=30), tmp_path)
    assert (spec.label.fields, spec.label.field, spec.classes) == (("one", "two"), "", ())
    assert (spec.metric, spec.crop_seconds, spec.segment_seconds) == ("recall@1", 30.0, None)


def test_a_transcript_is_read_in_full(tmp_path: Path) -> None:
    spec = load(task(**TRANSCRIPT), tmp_path)
    assert (spec.label.field, spec.classes, spec.metric) == ("trans", (), "WER_inv")


LACKS = "add it (tasks/README.md has an example)"
NEED_SEGMENTS = "labels of kind events or notes need 'segment_seconds'"
NO_WEIGHT = "'positive_weight' in 'probe' is for labels of kind events or notes"
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "metric of events": (
        EVENTS | {"metric": "mAP"},
        "'metric' in the task must be one of segment_f1_macro, segment_f1_micro, not 'mAP'",
    ),
    "metric of notes": (NOTES | {"metric": "accuracy"}, "must be one of segment_f1_macro, segment"),
    "metric of captions": (CAPTIONS | {"metric": "mAP"}, "must be one of recall@1, not 'mAP'"),
    "metric of a transcript": (TRANSCRIPT | {"metric": "WER"}, "must be one of WER_inv, not 'WER'"),
    "segment F1 of classes": ({"metric": "segment_f1_macro"}, "must be one of accuracy, not"),
    "events without segments": (EVENTS | {"segment_seconds": None}, NEED_SEGMENTS),
    "notes without segments": (NOTES | {"segment_seconds": None}, NEED_SEGMENTS),
    "segments of classes": ({"segment_seconds": 1}, NEED_SEGMENTS),
    "segments of captions": (CAPTIONS | {"segment_seconds": 1}, NEED_SEGMENTS),
    "segments of a transcript": (TRANSCRIPT | {"segment_seconds": 1}, NEED_SEGMENTS),
    "segments of 0 s": (
        EVENTS | {"segment_seconds": 0},
        "'segment_seconds' in the task must be a number above 0, not 0",
    ),
    "segments of text": (EVENTS | {"segment_seconds": "1 s"}, "a number above 0, not '1 s'"),
    "segments nan": (EVENTS | {"segment_seconds": float("nan")}, "a number above 0, not nan"),
    "positive weight 0": (
        EVENTS | {"probe__positive_weight": 0},
        "'positive_weight' in 'probe' must be a number above 0, not 0",
    ),
    "positive weight text": (EVENTS | {"probe__positive_weight": "10"}, "above 0, not '10'"),
    "positive weight of classes": ({"probe__positive_weight": 10}, NO_WEIGHT),
    "positive weight of a transcript": (TRANSCRIPT | {"probe__positive_weight": 2}, NO_WEIGHT),
    "kNN of events": (EVENTS | {"knn": True}, "kNN is for single-label tasks; set 'knn: false'"),
    "kNN of captions": (CAPTIONS | {"knn": None}, "kNN is for single-label tasks"),
    "crops of events": (
        EVENTS | {"crop_seconds": 5},
        "labels of kind events are for whole clips; remove 'crop_seconds'",
    ),
    "crops of notes": (NOTES | {"crop_seconds": 5}, "labels of kind notes are for whole clips"),
    "crops of a transcript": (TRANSCRIPT | {"crop_seconds": 5}, "of kind transcript are for whole"),
    "folds of captions": (
        CAPTIONS | {"splits": DROP, "folds": {1: "a.tar", 2: "b.tar"}},
        "labels of kind captions take 'splits', not 'folds'",
    ),
    "folds of a transcript": (
        TRANSCRIPT | {"splits": DROP, "folds": {1: "a.tar", 2: "b.tar"}},
        "labels of kind transcript take 'splits', not 'folds'",
    ),
    "no classes of events": (EVENTS | {"classes": DROP}, f"the task lacks 'classes'; {LACKS}"),
    "classes of captions": (
        CAPTIONS | {"classes": ["a", "b"]}, "'classes' does not belong to labels of kind captions",
    ),
    "classes of a transcript": (TRANSCRIPT | {"classes": 28}, "to labels of kind transcript"),
    "note beyond MIDI": (NOTES | {"classes": [127, 128]}, "the classes are MIDI numbers, 0 to 127"),
    "note below MIDI": (NOTES | {"classes": [-1, 0]}, "the classes are MIDI numbers, 0 to 127"),
    "note by name": (NOTES | {"classes": ["C4", "D4"]}, "the classes are MIDI numbers, 0 to 127"),
    "note with a zero in front": (NOTES | {"classes": ["060", "61"]}, "are MIDI numbers, 0 to 127"),
    "note in other digits": (NOTES | {"classes": ["٦٠", "61"]}, "are MIDI numbers, 0 to 127"),
    "note squared": (NOTES | {"classes": ["²", "61"]}, "the classes are MIDI numbers, 0 to 127"),
    "too many notes": (NOTES | {"classes": 129}, "the classes are MIDI numbers, 0 to 127"),
    "transcript without a field": (
        TRANSCRIPT | {"label": {"kind": "transcript"}}, f"'label' lacks 'field'; {LACKS}",
    ),
    "captions without fields": (
        CAPTIONS | {"label": {"kind": "captions"}},
        "'label' of kind captions needs 'fields', a list of JSON fields",
    ),
    "captions with a field": (CAPTIONS | {"label__field": "one"}, "of kind captions needs 'fields"),
    "no fields": (CAPTIONS | {"label__fields": []}, "of kind captions needs 'fields', a list"),
    "fields as text": (CAPTIONS | {"label__fields": "one"}, "of kind captions needs 'fields'"),
    "field that is a number": (
        CAPTIONS | {"label__fields": ["one", 2]},
        "'fields' in 'label' must be names of JSON fields, not ['one', 2]",
    ),
    "field without a name": (CAPTIONS | {"label__fields": [""]}, "must be names of JSON fields"),
    "field that is a list": (CAPTIONS | {"label__fields": [["one"]]}, "must be names of JSON"),
    "field twice": (
        CAPTIONS | {"label__fields": ["one", "two", "one"]},
        "'fields' in 'label' names a JSON field twice",
    ),
    "fields of classes": ({"label__fields": ["a"]}, "in 'label' does not belong to kind class"),
    "fields of events": (
        EVENTS | {"label": {"kind": "events", "fields": ["a"]}},
        "'fields' in 'label' does not belong to kind events",
    ),
    "index of notes": (
        NOTES | {"label": {"kind": "notes", "index": True}},
        "'index' in 'label' does not belong to kind notes",
    ),
    "separator of events": (
        EVENTS | {"label": {"kind": "events", "separator": ","}},
        "'separator' in 'label' belongs to kind multilabel only",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(FAULTS))
def test_fault_is_named_in_one_line(case: str, tmp_path: Path) -> None:
    changes, expected = FAULTS[case]
    assert expected in fault_of(task(**changes), tmp_path)


@pytest.mark.parametrize(
    ("wrong", "where", "right"),
    [
        ("segment_second", "", "segment_seconds"),
        ("positiveweight", "probe", "positive_weight"),
        ("filds", "label", "fields"),
    ],
)
def test_a_misspelt_key_is_met_with_the_right_one(
    wrong: str, where: str, right: str, tmp_path: Path
) -> None:
    raw = task()
    (raw[where] if where else raw)[wrong] = 1
    inside = repr(where) if where else "the task"
    assert fault_of(raw, tmp_path) == f"unknown key {wrong!r} in {inside}; did you mean {right!r}?"


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("events", {"segment_seconds": 0.5}),
        ("events", {"metric": "segment_f1_micro"}),
        ("events", {"probe__positive_weight": 2}),
        ("events", {"label": {"kind": "events", "field": "heard"}}),
        ("captions", {"label": {"kind": "captions", "fields": ["one"]}}),
        ("captions", {"label": {"kind": "captions", "fields": ["two", "one"]}}),
    ],
)
def test_digest_changes_with_what_changes_a_score(
    kind: str, change: dict[str, Any], tmp_path: Path
) -> None:
    before = load(task(**GOOD[kind]), tmp_path).digest()
    assert load(task(**GOOD[kind] | change), tmp_path).digest() != before


# ------------------------------------------------------------------ the four that come along

KINDS = {
    "clotho": "captions", "desed": "events", "librispeech_100h": "transcript", "maestro": "notes",
}  # fmt: skip


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    if not SPEC.exists():
        pytest.skip("the facts (shared/spec/tasks.json) are not beside the checkout")
    found: dict[str, Any] = json.loads(SPEC.read_text(encoding="utf-8"))
    return found


def builtin(name: str) -> TaskSpec:
    return builtin_tasks()[name]


@pytest.mark.parametrize("name", KINDS)
def test_task_agrees_with_the_facts(name: str, facts: dict[str, Any]) -> None:
    spec, fact = builtin(name), facts[name]
    assert (spec.domain, spec.folder) == (fact["domain"], fact["xares_folder"])
    assert (spec.zenodo_record, spec.weight) == (fact["zenodo_record"], fact["xares_weight"])
    assert (spec.crop_seconds, spec.knn) == (fact["crop_seconds"], fact["knn"])
    for setting in ("epochs", "batch_size", "learning_rate"):
        assert getattr(spec.probe, setting) == fact["probe"][setting]
    assert spec.label.kind == fact["label"]["kind"] == KINDS[name]
    assert spec.num_classes == (fact["num_outputs"] or 0)
    assert list(spec.classes) == [str(one) for one in fact["classes"] or ()]
    assert spec.segment_seconds == fact["metric_args"].get("segment_length_in_s")
    theirs = {"recallatk_r1": "recall@1", "segmentf1_macro": "segment_f1_macro"} | {
        "segmentf1_micro": "segment_f1_micro", "WER_inv": "WER_inv",
    }  # fmt: skip
    assert spec.metric == theirs[fact["metric"]]


@pytest.mark.parametrize("name", ["clotho", "desed", "maestro"])
def test_name_agrees_with_the_facts(name: str, facts: dict[str, Any]) -> None:
    spec = builtin(name)
    assert (spec.title, spec.abbreviation) == (facts[name]["title"], facts[name]["abbreviation"])


def test_the_ctc_task_is_not_taken_for_the_published_one(facts: dict[str, Any]) -> None:
    """The published LS100h has a language model; protocols.md names ours LS100h-CTC."""
    spec = builtin("librispeech_100h")
    assert (spec.title, spec.abbreviation) == ("LibriSpeech-100h (CTC)", "LS100h-CTC")
    assert facts["librispeech_100h"]["abbreviation"] == "LS100h"
    assert spec.label.field == facts["librispeech_100h"]["label"]["field"]
    twin = facts["librispeech_100h"]["shares_shards_with"]
    assert spec.also_in == builtin(twin).folder


@pytest.mark.parametrize("name", KINDS)
def test_strict_splits(name: str, facts: dict[str, Any]) -> None:
    """Clotho: test and validation change places; DESED: its validation split is its test split,
    so it has none of its own (protocols.md)."""
    fact = facts[name]
    expected = {split: fact["shards"][shard] for split, shard in fact["splits"].items()}
    if name == "clotho":
        expected["valid"], expected["test"] = expected["test"], expected["valid"]
        assert expected["test"] == "clotho_evaluation*.tar"
    if name == "desed":
        assert expected.pop("valid") == expected["test"]
    assert builtin(name).splits == expected


def test_labels_of_the_four() -> None:
    """As protocols.md has them: five captions; weight 10 for notes, MIDI 21 to 107; no field where
    the whole JSON value is the list."""
    assert builtin("clotho").label.fields == tuple(f"caption_{i}" for i in range(1, 6))
    assert builtin("desed").label.field == builtin("maestro").label.field == ""
    assert builtin("maestro").classes == tuple(str(note) for note in range(21, 108))
    weights = {name: builtin(name).probe.positive_weight for name in KINDS}
    assert weights == {"clotho": 1, "desed": 1, "librispeech_100h": 1, "maestro": 10}


@pytest.mark.parametrize(
    ("name", "key", "source"),
    [
        ("desed", "Y-0RWZT-miFs_420.000_430.000", "-0RWZT-miFs"),
        ("desed", "-0RWZT-miFs_420_000_430_000", "-0RWZT-miFs"),
        ("desed", "Yvsy1IpYmrSY_70.000_80.000", "vsy1IpYmrSY"),
        ("desed", "1234", None),
        ("desed", "YshortId_70.000_80.000", None),
        ("librispeech_100h", "84-121123-0000", "84"),
        ("librispeech_100h", "84-121123", None),
        ("clotho", "anything", None),
        ("maestro", "anything", None),
    ],
)
def test_source_of_a_key(name: str, key: str, source: str | None) -> None:
    assert builtin(name).source.source_of(key, {}) == source
