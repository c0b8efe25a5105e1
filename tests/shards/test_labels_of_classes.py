"""Classes of clips: by name, by index, several of them; and what is no label."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from clips import TASK_YAML, clip_members, write_tar

from earmark.benchmark.shards.labels import read_labels
from earmark.benchmark.shards.shard import read_shard
from earmark.tasks import LabelRule, TaskError, TaskSpec, read_task


def labels_of(folder: Path, spec: TaskSpec, metadata: object) -> tuple[int, ...] | str:
    """The label of one clip with this JSON, or why it has none."""
    path = write_tar(folder / "one.tar", clip_members("r1-k", b"sound", metadata))
    labels, failures = read_labels(read_shard(path), spec)
    assert len(labels) + len(failures) == 1
    if failures:
        assert failures[0][:2] == ("one.tar", "r1-k")
        return failures[0].reason
    return labels["r1-k"].label


@pytest.mark.parametrize(
    ("value", "index"), [("cat", 0), ("dog", 1), (" dog ", 1), ("7", 2), (7, 2), (7.0, 2)]
)
def test_class_by_name(tmp_path, spec, value, index):
    assert labels_of(tmp_path, spec, {"label": value, "other": 3}) == (index,)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"label": "Cat"}, "unknown label 'Cat' (the task has 3 names)"),
        ({"label": ""}, "unknown label"),
        ({"label": "Cat"}, "; did you mean 'cat'? case counts"),
        ({"label": " "}, "unknown label"),
        ({"label": "7.0"}, "unknown label '7.0'"),
        ({"label": True}, "not a name or a whole number"),
        ({"label": ["cat"]}, "not a name or a whole number"),
        ({"label": {"name": "cat"}}, "not a name or a whole number"),
        ({"label": 1.0}, "unknown label 1.0"),
        ({"label": 6.5}, "label 6.5 is not a name or a whole number"),
        ({"label": float("nan")}, "label nan is not a name or a whole number"),
        ({"label": float("inf")}, "label inf is not a name or a whole number"),
        ({"label": 2.0**53}, "not a name or a whole number"),
        ({"label": None}, "no field 'label'"),
        ({"Label": "cat"}, "no field 'label'"),
        ({}, "no field 'label'"),
        (["cat"], "not an object"),
        ("cat", "not an object"),
        (None, "not an object"),
        (b"", "JSON is broken"),
        (b'{"label": "cat"', "JSON is broken"),
        (b'{"label": "\xe9"}', "JSON is broken"),
        (b"[" * 200_000, "JSON is broken"),
        (b'{"label": ' + b"9" * 5000 + b"}", "JSON is broken"),
    ],
)
def test_what_is_no_label(tmp_path, spec, metadata, words):
    reason = labels_of(tmp_path, spec, metadata)
    assert isinstance(reason, str) and words in reason
    assert "\n" not in reason and len(reason) < 200


def test_class_by_index(tmp_path, spec):
    rule = LabelRule("class", "digit", index=True)
    spec = dataclasses.replace(spec, classes=("0", "1", "2"), label=rule)
    for value, index in [(2, 2), (1.0, 1), (-0.0, 0), ("1", 1), (" 2\n", 2)]:
        assert labels_of(tmp_path, spec, {"digit": value}) == (index,), value
    for value in (3, 3.0, -1, "-1", "3", "1.0", "01", "+1", "\uff11", "one", "", 1.5, True, [1]):
        reason = labels_of(tmp_path, spec, {"digit": value})
        assert isinstance(reason, str) and repr(value) in reason, value
    assert "0 to 2" in str(labels_of(tmp_path, spec, {"digit": 3}))


def test_a_number_of_each_way_of_writing_it_is_one_class(tmp_path, spec):
    """A column of whole numbers as pandas writes it, without and with a gap."""
    spec = dataclasses.replace(spec, classes=("3", "1"))
    for value in (1, 1.0, "1"):
        assert labels_of(tmp_path, spec, {"label": value}) == (1,)


def test_composed_and_decomposed_letters_are_one_class(tmp_path, spec):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for listed in (composed, decomposed):
        spec = dataclasses.replace(spec, classes=("cat", listed))
        for value in (composed, decomposed):
            assert labels_of(tmp_path, spec, {"label": value}) == (1,)
    assert isinstance(labels_of(tmp_path, spec, {"label": "cafe"}), str)
    file = tmp_path / "twice.yaml"
    file.write_text(TASK_YAML.replace("[low, high]", f"[{composed}, {decomposed}]"))
    with pytest.raises(TaskError, match="is listed more than once"):
        read_task(file)


@pytest.mark.parametrize(
    ("value", "separator", "expected"),
    [
        ("cat;dog", ";", (0, 1)),
        ("dog; cat ;dog", ";", (0, 1)),
        ("7", ";", (2,)),
        ("dog,7", ",", (1, 2)),
        (["dog", "cat"], ";", (0, 1)),
        ([7, "cat"], ";", (0, 2)),
        ([7.0, " cat"], ";", (0, 2)),
        ([7.5, "cat"], ";", "label 7.5 is not a name or a whole number"),
        ([True, "cat"], ";", "label True is not a name or a whole number"),
        ("cat;Dog", ";", "did you mean 'dog'? case counts"),
        (float("nan"), ";", "holds no labels: nan"),
        ("cat,dog", ";", "unknown label 'cat,dog'"),
        ("cat;bird", ";", "unknown label 'bird'"),
        (["cat", ["dog"]], ";", "not a name or a whole number"),
        ([], ";", "holds no labels"),
        ({"cat": 1}, ";", "holds no labels"),
        (3, ";", "holds no labels"),
    ],
)
def test_multilabel(tmp_path, spec, value, separator, expected):
    spec = dataclasses.replace(spec, label=LabelRule("multilabel", "tags", separator=separator))
    found = labels_of(tmp_path, spec, {"tags": value})
    assert found == expected if isinstance(expected, tuple) else expected in found


def test_labels_of_some_keys_only(tmp_path, spec):
    members = [m for i in range(4) for m in clip_members(f"k{i}", b"", {"label": "cat"})]
    shard = read_shard(write_tar(tmp_path / "a.tar", [*members, *clip_members("bad", b"", b"{")]))
    labels, failures = read_labels(shard, spec, {"k1", "k3"})
    assert sorted(labels) == ["k1", "k3"] and failures == []
