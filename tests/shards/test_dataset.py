"""Datasets: sources, shards on disk, and the limit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from clips import clip_members, write_tar
from dataset_files import make_shards
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.benchmark.shards.dataset import DataError, Dataset, locate_shards, open_dataset
from earmark.benchmark.shards.labels import Labelled, read_all, read_labels
from earmark.benchmark.shards.shard import Failure, read_shard
from earmark.tasks import SourceRule

# ---- labels


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (SourceRule("file"), None),
        (SourceRule("recording", key="(?P<source>[a-z]+)-"), "rec"),
        (SourceRule("recording", key="(?P<source>[0-9]+)"), None),
        (SourceRule("recording", key=".*-(?P<source>[0-9]*)x?$"), "12"),
        (SourceRule("speaker", field="who"), "ann"),
        (SourceRule("speaker", field="id"), "5"),
        (SourceRule("speaker", field="missing"), None),
    ],
)
def test_sources(tmp_path, spec, rule, source):
    metadata = {"label": "cat", "who": "ann", "id": 5}
    shard = read_shard(write_tar(tmp_path / "a.tar", clip_members("rec-12", b"", metadata)))
    labels, _ = read_labels(shard, dataclasses.replace(spec, source=rule))
    assert labels["rec-12"] == Labelled((0,), source)


@pytest.mark.parametrize(
    ("value", "source"),
    [
        ("ann", "ann"), (" ann\n", "ann"), ("Ann", "Ann"), (5, "5"), ("5", "5"), (5.0, "5"),
        (-0.0, "0"), (0, "0"), ("5.0", "5.0"), ("Zoe\u0308", "Zo\u00eb"), (2**70, str(2**70)),
        # no source
        (None, None), (False, None), (True, None), (1.5, None), (float("nan"), None),
        (float("inf"), None), (float("-inf"), None), (2.0**53, None), ("", None), (" ", None),
        ([5], None), ({"id": 5}, None),
    ],
)  # fmt: skip
def test_a_source_field_holds_a_source_or_the_clip_has_failed(tmp_path, spec, value, source):
    spec = dataclasses.replace(spec, source=SourceRule("speaker", field="who"))
    clips = {"a": {"label": "cat", "who": "bob"}, "b": {"label": "cat", "who": value}}
    members = [m for key, metadata in clips.items() for m in clip_members(key, b"", metadata)]
    labels, failures = read_labels(read_shard(write_tar(tmp_path / "a.tar", members)), spec)
    assert labels["a"].source == "bob"
    if source is not None:
        assert (labels["b"].source, failures) == (source, [])
        return
    assert "b" not in labels  # not a source of its own
    assert failures == [Failure("a.tar", "b", f"its source field 'who' holds no source: {value!r}")]


def test_a_clip_without_the_source_field_has_failed_where_any_other_has_it(tmp_path, spec):
    spec = dataclasses.replace(spec, source=SourceRule("speaker", field="who"))
    named = {"label": "cat", "who": "ann"}
    one = read_shard(write_tar(tmp_path / "1.tar", clip_members("a", b"", {"label": "cat"})))
    two = read_shard(write_tar(tmp_path / "2.tar", clip_members("b", b"", named)))
    missing = Failure("1.tar", "a", "its JSON has no source field 'who'")
    (first, lost), (second, none) = read_all([(one, None), (two, None)], spec)
    assert (first, lost) == ({}, [missing])
    assert (second, none) == ({"b": Labelled((0,), "ann")}, [])
    # the field is in no clip: the rule does not fit these shards, and the result counts its clips
    assert read_all([(one, None)], spec) == [({"a": Labelled((0,), None)}, [])]


# ---- shards on disk


def test_locate_shards(tmp_path, spec):
    data = tmp_path / "data"
    names = ["train-1.tar", "train-0.tar", "valid-0.tar", "test-0.tar", "train-2.tar.part", "x.tar"]
    make_shards(data / "toy", names)
    (data / "toy" / "train-9.tar").mkdir()
    found = locate_shards(spec, data)
    assert {split: [path.name for path in paths] for split, paths in found.items()} == {
        "train": ["train-0.tar", "train-1.tar"], "valid": ["valid-0.tar"], "test": ["test-0.tar"],
    }  # fmt: skip


def test_locate_shards_says_what_is_missing(tmp_path, spec):
    data = tmp_path / "data"
    with pytest.raises(DataError, match=r"no shards for split train.*no such folder"):
        locate_shards(spec, data)
    make_shards(data / "toy", ["train-0.tar", "valid-0.tar"])
    with pytest.raises(DataError) as caught:
        locate_shards(spec, data)
    assert str(data / "toy" / "test-*.tar") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_folder_with_the_same_shards(tmp_path, spec):
    spec = dataclasses.replace(spec, also_in="shared")
    make_shards(tmp_path / "shared", ["train-0.tar", "valid-0.tar", "test-0.tar"])
    assert locate_shards(spec, tmp_path)["test"] == [tmp_path / "shared" / "test-0.tar"]
    make_shards(tmp_path / "toy", ["train-0.tar", "valid-0.tar", "test-0.tar"])
    assert locate_shards(spec, tmp_path)["test"] == [tmp_path / "toy" / "test-0.tar"]


def test_a_shard_of_two_splits_is_refused(tmp_path, spec):
    make_shards(tmp_path / "toy", ["train-0.tar", "train-valid.tar", "test-0.tar"])
    spec = dataclasses.replace(
        spec, splits={"train": "train-*.tar", "valid": "*valid.tar", "test": "test-*"}
    )
    with pytest.raises(DataError, match=r"train-valid.tar belongs to both train and valid"):
        locate_shards(spec, tmp_path)


# ---- limit


def keys_of(dataset: Dataset, split: str) -> set[str]:
    return {
        entry.key
        for part in dataset.shards
        if part.split == split
        for entry in part.shard.entries
        if part.keys is None or entry.key in part.keys
    }


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    spread=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    limit=st.integers(1, 20),
    seed=st.integers(0, 9),
)
def test_limit_is_a_fixed_choice_however_clips_are_spread(tmp_path, spec, spread, limit, seed):
    def opened(places: list[int]) -> Dataset:
        folder = tmp_path / "data" / "toy"
        for path in folder.glob("*.tar"):
            path.unlink()
        for split in ("train", "valid", "test"):
            order = np.random.default_rng(seed).permutation(12)
            for shard in set(places):
                mine = [i for i in order if places[i] == shard]
                members = [m for i in mine for m in clip_members(f"{split}{i}", b"", {})]
                write_tar(folder / f"{split}-{shard}.tar", members)
        return open_dataset(spec, tmp_path / "data", limit=limit)

    one, several = opened([0] * 12), opened(spread)
    for split in ("train", "valid", "test"):
        chosen = keys_of(one, split)
        assert len(chosen) == min(limit, 12)
        assert keys_of(several, split) == chosen
    assert one.clips == several.clips == 3 * min(limit, 12)


def test_a_smaller_limit_takes_some_of_a_larger_ones_clips(tmp_path, spec):
    make_shards(tmp_path / "toy", ["train-0.tar", "train-1.tar", "valid-0.tar", "test-0.tar"], 9)
    chosen = [keys_of(open_dataset(spec, tmp_path, limit=n), "train") for n in (2, 5, 11, 18)]
    assert [len(keys) for keys in chosen] == [2, 5, 11, 18]
    assert chosen[0] < chosen[1] < chosen[2] < chosen[3]
    # a choice by name would take the first of the names
    assert chosen[1] != set(sorted(chosen[3])[:5])


def test_progress_is_reported_for_every_shard(tmp_path, spec):
    make_shards(tmp_path / "toy", ["train-0.tar", "train-1.tar", "valid-0.tar", "test-0.tar"])
    steps: list[tuple[int, int]] = []
    for limit in (None, 1):
        open_dataset(spec, tmp_path, limit=limit, on_progress=lambda *step: steps.append(step))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)] * 2
