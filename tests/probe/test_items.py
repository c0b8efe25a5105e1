"""Items: in an order that files do not decide, with their labels and sources."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from clips import clip_members, write_tar
from dataset_files import three_classes

from earmark.benchmark.probe.items import Items, join_items
from earmark.benchmark.shards.dataset import DataError, open_dataset
from earmark.benchmark.shards.labels import read_labels
from earmark.benchmark.store import ShardEmbeddings
from earmark.tasks import LabelRule, SourceRule, TaskSpec


@pytest.fixture
def spec(tmp_path: Path) -> TaskSpec:
    return three_classes(tmp_path)


CLIPS = {  # key -> crops, label, source
    "r1-a": (1, "cat"), "r1-b": (3, "dog"), "r2-c": (2, "7"), "zz": (1, "cat"), "r3-d": (2, "dog"),
}  # fmt: skip
SPLIT_OF = {"r1-a": "train", "r1-b": "test", "r2-c": "train", "zz": "valid", "r3-d": "test"}


def joined(folder: Path, spec: TaskSpec, seed: int, keys: list[str] | None = None) -> Items:
    rng = np.random.default_rng(seed)
    for split in ("train", "valid", "test"):
        mine = [key for key in rng.permutation(sorted(CLIPS)) if SPLIT_OF[key] == split]
        members = [m for k in mine for m in clip_members(k, b"", {"label": CLIPS[k][1]})]
        write_tar(folder / "toy" / f"{split}-0.tar", members)
    dataset = open_dataset(spec, folder)
    embeddings, labels = [], []
    for part in dataset.shards:
        had = [e.key for e in part.shard.entries if keys is None or e.key in keys]
        rows = [[sum(map(ord, key)), crop] for key in had for crop in range(CLIPS[key][0])]
        matrix = np.array(rows, np.float32).reshape(-1, 2)
        crops = [CLIPS[key][0] for key in had]
        embeddings.append(ShardEmbeddings(matrix, had, crops, [], [1.0] * len(had)))
        labels.append(read_labels(part.shard, spec)[0])
    return join_items(dataset, embeddings, labels)


@pytest.mark.parametrize("seed", range(5))
def test_items_are_in_order_of_split_key_and_crop(tmp_path, spec, seed):
    items = joined(tmp_path, spec, seed)
    expected = [
        (split, key, crop)
        for split in ("train", "valid", "test")
        for key in sorted(CLIPS)
        if SPLIT_OF[key] == split
        for crop in range(CLIPS[key][0])
    ]
    splits, keys, crops = items.splits.tolist(), items.keys.tolist(), items.crops.tolist()
    assert list(zip(splits, keys, crops, strict=True)) == expected
    assert items.embeddings.tolist() == [[sum(map(ord, key)), crop] for _, key, crop in expected]
    assert items.labels.tolist() == [spec.classes.index(CLIPS[key][1]) for _, key, _ in expected]


def test_sources_that_straddle_and_sources_that_are_guessed(tmp_path, spec):
    items = joined(tmp_path, spec, 0)
    names = [items.source_names[number] for number in items.sources]
    assert dict(zip(items.keys.tolist(), names, strict=True)) == {
        "r1-a": "r1", "r1-b": "r1", "r2-c": "r2", "r3-d": "r3", "zz": "zz",
    }  # fmt: skip
    assert items.guessed_sources == 1
    assert items.straddling_sources() == 1
    by_file = joined(tmp_path, dataclasses.replace(spec, source=SourceRule("file")), 0)
    assert len(by_file.source_names) == 5
    assert by_file.guessed_sources == by_file.straddling_sources() == 0


def test_clips_without_an_embedding_are_left_out(tmp_path, spec):
    items = joined(tmp_path, spec, 0, keys=["r1-b", "r2-c"])
    assert items.keys.tolist() == ["r2-c"] * 2 + ["r1-b"] * 3
    with pytest.raises(DataError, match="no clip is left"):
        joined(tmp_path, spec, 0, keys=[])


def test_multilabel_items_are_a_matrix(tmp_path, spec):
    spec = dataclasses.replace(spec, label=LabelRule("multilabel", "label"))
    items = joined(tmp_path, spec, 0, keys=["r1-b", "r2-c"])
    assert items.labels.dtype == np.bool_
    assert items.labels.tolist() == [[False, False, True]] * 2 + [[False, True, False]] * 3
