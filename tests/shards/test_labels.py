"""Labels and sources as tables write them (a gap, 1.0 for 1), and clips that are there twice."""

from __future__ import annotations

import dataclasses
import math
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import TASK_YAML, audio_bytes, clip_members, write_tar
from frame_tasks import RATE, make_task
from task_files import fault_of, task

from earmark import RunResult, evaluate
from earmark.benchmark.prepare.verify import verify
from earmark.benchmark.shards.annotations import (
    LabelError,
    read_events,
    read_notes,
)
from earmark.benchmark.shards.dataset import open_dataset
from earmark.benchmark.shards.labels import Labelled, label_clips, read_labels
from earmark.benchmark.shards.shard import read_shard
from earmark.tasks import SourceRule, TaskSpec, read_task
from earmark.tasks.spec import Event

NFC, NFD = "Küche", unicodedata.normalize("NFD", "Küche")
NONE = (None, math.nan)


@pytest.fixture
def spec(tmp_path: Path) -> TaskSpec:
    file = tmp_path / "toy.yaml"
    file.write_text(TASK_YAML)
    return read_task(file)


def read(folder: Path, spec: TaskSpec, metadata: Any) -> Labelled | str:
    """What one clip's JSON says, or why it says nothing."""
    shard = read_shard(write_tar(folder / "one.tar", clip_members("k", b"sound", metadata)))
    labels, failures = read_labels(shard, spec)
    return labels["k"] if labels else failures[0].reason


# ---- classes


BY_NAME = {  # of the classes cat, Dog, 7 and the umlaut
    "name": ("cat", 0), "white space at its ends": (" cat\n", 0), "number": (7, 2),
    "whole float": (7.0, 2), "number in a string": ("7", 2), "composed": (NFC, 3),
    "decomposed": (NFD, 3),
    "case": ("dog", "unknown label 'dog' (the task has 4 names; 'Dog' is one, and case counts)"),
    "fraction": (7.5, "label 7.5 is not a whole number"),
    "infinity": (math.inf, "label inf is not a whole number"),
    "gap": (math.nan, "its label is missing: nan"),
    "boolean": (True, "label True is not a name or a number"),
    "float in a string": ("7.0", "unknown label '7.0'"),
    "white space within": ("ca t", "unknown label 'ca t'"),
    "zero before": ("07", "unknown label '07'"),
}  # fmt: skip


def test_two_classes_of_one_name_in_two_unicode_forms_are_refused(tmp_path):
    assert "more than once" in fault_of(task(classes=[NFC, NFD]), tmp_path)


# ---- events, notes, captions


@pytest.mark.parametrize("onset", NONE)
@pytest.mark.parametrize("label", NONE)
def test_a_lone_row_of_nothing_is_no_event(onset, label):
    row = {"onset": onset, "offset": math.nan, "label": label}
    assert read_events([row], {"Cat": 0}) == ((), ())
    note = {"start": onset, "end": math.nan, "note": label}
    assert read_notes([note], {"60": 0}) == ((), ())


@pytest.mark.parametrize(
    "rows",
    [
        [{"onset": math.nan, "offset": math.nan, "label": "Cat"}],
        [{"onset": 0.5, "offset": 1.0, "label": None}],
        [{"onset": None, "offset": None}],
        [{}],
        [{"onset": math.nan, "offset": math.nan, "label": None}] * 2,
        [{"onset": math.nan, "offset": math.nan, "label": ""}],
        [{"onset": math.inf, "offset": math.inf, "label": None}],
    ],
)
def test_half_a_row_is_a_fault(rows):
    with pytest.raises(LabelError, match=r"none of its [12] events can be used"):
        read_events(rows, {"Cat": 0})
    good = {"onset": 0.5, "offset": 1.0, "label": "Cat"}
    found = read_events([good, *rows], {"Cat": 0})
    assert found.label == (Event(0.5, 1.0, 0),) and len(found.faults) == len(rows)


def test_a_note_in_a_column_with_a_gap_is_a_float():
    assert read_notes([{"start": 0, "end": 1, "note": 60.0}], {"60": 3}).label == (Event(0, 1, 3),)


def test_names_of_events_in_two_unicode_forms():
    for name in (NFC, NFD, f" {NFD} "):
        row = {"onset": 0, "offset": 1, "label": f"{name},Cat"}
        assert read_events([row], {"Cat": 0, NFC: 1}).label == (Event(0, 1, 0), Event(0, 1, 1))


def test_clips_without_an_event_count_as_such_in_a_run(tmp_path):
    """As DESED's own tables have them; they used to be failed clips."""
    quiet = [{"onset": math.nan, "offset": math.nan, "label": None}]
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, RATE)
    clip = clip_members("zz", audio_bytes(samples, RATE), quiet)
    results = []
    for number, members in enumerate((clip, clip_members("zz", clip[0][1], []))):
        file = make_task(tmp_path, "events", extra={"test": members})
        results += evaluate(
            "logmel", str(file), data=tmp_path / "data", results=tmp_path / f"r{number}",
            cache=tmp_path / f"c{number}", seeds=1, device="cpu",
        )  # fmt: skip
    one, other = results
    assert one.status == "done" and one.data.failed_clips == one.data.label_faults == 0
    assert one.data.items == other.data.items
    assert one.scores["linear"].per_seed == other.scores["linear"].per_seed


# ---- sources


SOURCES = {
    "name": ("ann", "ann"), "white space": (" ann ", "ann"), "number": (2, "2"),
    "number in a string": ("2", "2"), "whole float": (2.0, "2"), "composed": (NFC, NFC),
    "decomposed": (NFD, NFC),
    "fraction": (2.5, None), "false": (False, None), "true": (True, None),
    "infinity": (math.inf, None), "gap": (math.nan, None), "null": (None, None),
    "empty": ("", None), "blank": ("  ", None), "list": (["ann"], None), "object": ({}, None),
}  # fmt: skip


def with_sources(folder: Path, who: list[Any], spec: TaskSpec) -> TaskSpec:
    """Shards of train, valid and test; the test clips' JSON has these sources (DROP: none)."""
    sound = audio_bytes(np.sin(np.arange(8000) / 9), 16_000)
    for split in ("train", "valid", "test"):
        named = who if split == "test" else [f"{split}{i // 2}" for i in range(8)]
        members = []
        for number, name in enumerate(named):
            metadata = {"label": ("low", "high")[number % 2], "who": name}
            if name is DROP:
                del metadata["who"]
            members += clip_members(f"{split}{number:02d}", sound, metadata)
        write_tar(folder / "toy" / f"{split}-0.tar", members)
    return dataclasses.replace(spec, source=SourceRule("speaker", field="who"))


DROP = object()
FIELD = TASK_YAML.replace(
    "{unit: recording, key: '(?P<source>r[0-9]+)-'}", "{unit: who, field: who}"
)


@pytest.mark.parametrize("strange", [DROP, False, math.inf, math.nan, None, 2.5])
def test_a_clip_without_its_source_is_a_failed_clip(tmp_path, spec, strange):
    """Six sources by hand; the seventh clip must not make a seventh."""
    who = ["a", "a", 2, 2.0, "2", strange]
    with_sources(tmp_path / "data", who, spec)
    file = tmp_path / "toy.yaml"
    file.write_text(FIELD)

    def run(name: str, **more: Any) -> RunResult:
        (result,) = evaluate(
            "logmel", str(file), data=tmp_path / "data", results=tmp_path / name, seeds=1,
            device="cpu", **more,
        )  # fmt: skip
        return result

    result = run("r", failed_share=0.1)
    assert result.status == "done" and result.data.guessed_sources == 0
    assert result.data.sources == 4 + 4 + 2  # train, valid; a and 2
    (failure,) = result.data.failures
    assert failure.key == "test05" and "'who'" in failure.reason
    assert result.data.items["test"] == 5
    refused = run("s")
    assert refused.status == "failed" and "1 of 22 clips failed" in str(refused.error)
    assert "test05" in str(refused.error)
    found = verify(read_task(file), tmp_path / "data")
    assert [f.key for f in found.unlabelled] == ["test05"] and found.guessed_sources == 0


def test_a_data_set_without_the_field_takes_each_clip_for_its_own(tmp_path, spec):
    """As tasks/fsc.yaml has it: whether the shards keep the speaker is not certain."""
    spec = with_sources(tmp_path, [DROP] * 4, spec)
    write_tar(tmp_path / "toy/train-0.tar", clip_members("a", b"", {"label": "low"}))
    write_tar(tmp_path / "toy/valid-0.tar", clip_members("b", b"", {"label": "low"}))
    read = label_clips(open_dataset(spec, tmp_path))
    assert [failures for _, failures in read] == [[], [], []]
    assert {found.source for labels, _ in read for found in labels.values()} == {None}


def test_a_key_that_does_not_fit_is_guessed_and_counted(tmp_path, spec):
    for split in ("train", "valid", "test"):
        members = [*clip_members(f"r1-{split}", b"", {"label": "low"}),
                   *clip_members(f"odd-{split}", b"", {"label": "low"})]  # fmt: skip
        write_tar(tmp_path / "toy" / f"{split}-0.tar", members)
    found = verify(spec, tmp_path)
    assert found.guessed_sources == 3 and found.unlabelled == []


# ---- one clip in several shards of a split


def test_a_clip_that_is_in_two_shards_of_a_split_counts_once(tmp_path, spec):
    one, two = clip_members("r1-k", b"A" * 3_000_000, {"label": "low"}), {"label": "high"}
    write_tar(tmp_path / "toy/train-0.tar", one)
    write_tar(tmp_path / "toy/train-1.tar", [*one, *clip_members("r2-k", b"B", two)])
    write_tar(tmp_path / "toy/train-2.tar", [*one, *clip_members("r2-k", b"C", two)])
    for split in ("valid", "test"):  # another split's clips are another matter: `audit` finds them
        write_tar(tmp_path / f"toy/{split}-0.tar", one)
    dataset = open_dataset(spec, tmp_path)
    read = label_clips(dataset)
    assert [sorted(labels) for labels, _ in read] == [
        ["r1-k"], ["r2-k"], ["r2-k"], ["r1-k"], ["r1-k"],
    ]  # fmt: skip
    said = [(f.shard, f.key, f.reason) for _, failures in read for f in failures]
    reason = "the same clip, byte for byte, is in train-0.tar: left out"
    assert said == [("train-1.tar", "r1-k", reason), ("train-2.tar", "r1-k", reason)]
    assert dataset.clips == 7  # counted, all of them
    limited = label_clips(open_dataset(spec, tmp_path, limit=1))
    assert sum(len(labels) for labels, _ in limited) == 3


@pytest.mark.parametrize("change", ["audio", "label"])
def test_keys_that_count_anew_in_every_shard_are_clips_of_their_own(tmp_path, spec, change):
    for number in range(3):
        sound = b"A" * 2_000_000 + (b"%d" % number if change == "audio" else b"0")
        label = {"label": "low", "n": number if change == "label" else 0}
        write_tar(tmp_path / f"toy/train-{number}.tar", clip_members("000", sound, label))
    for split in ("valid", "test"):
        write_tar(tmp_path / f"toy/{split}-0.tar", clip_members("000", b"A", {"label": "low"}))
    read = label_clips(open_dataset(spec, tmp_path))
    assert [(len(labels), failures) for labels, failures in read] == [(1, [])] * 5


def test_repeated_clips_are_in_the_result(toy, tmp_path):
    file, data = toy()
    held = read_shard(data / "toy/test-000.tar")
    raw, entry = held.path.read_bytes(), held.entries[0]
    sound, note = (raw[e.offset : e.offset + e.size] for e in (entry.audio, entry.metadata))
    write_tar(data / "toy/test-001.tar", clip_members(entry.key, sound, note))
    results = []
    for share, folder in ((0.1, "r"), (0.01, "s")):
        results += evaluate(
            "logmel", str(file), data=data, results=tmp_path / folder, seeds=1, device="cpu",
            failed_share=share,
        )  # fmt: skip
    done, failed = results
    assert (done.status, failed.status) == ("done", "failed")
    assert done.data.items["test"] == 20 and done.data.clips == 71
    assert [f.key for f in done.data.failures] == [entry.key]
    assert done.data.failures[0] in failed.data.failures


def test_an_entry_of_the_store_that_lacks_a_clip_is_made_anew(toy, tmp_path, monkeypatch):
    """An older version may have seen fewer clips in the same bytes."""
    file, data = toy()
    args: dict[str, Any] = {"data": data, "cache": tmp_path / "c", "seeds": 1, "device": "cpu"}
    with monkeypatch.context() as older:

        def fewer(path: Path) -> Any:
            shard = read_shard(path)
            return dataclasses.replace(shard, entries=shard.entries[1:])

        older.setattr("earmark.benchmark.shards.dataset.read_shard", fewer)
        (before,) = evaluate("logmel", str(file), results=tmp_path / "r", **args)
    (after,) = evaluate("logmel", str(file), results=tmp_path / "s", **args)
    assert before.data.items == {"train": 39, "valid": 9, "test": 19}
    assert after.data.items == {"train": 40, "valid": 10, "test": 20}
