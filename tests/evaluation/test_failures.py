"""Failures of the clips that were asked for, each once."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
from clips import clip_members, write_tar
from dataset_files import make_shards, three_classes

from earmark.benchmark.evaluation.failures import clip_failures
from earmark.benchmark.shards.dataset import open_dataset
from earmark.benchmark.shards.shard import Failure
from earmark.benchmark.store import ShardEmbeddings


def test_failures_of_clips_asked_for_each_once(tmp_path):
    spec = three_classes(tmp_path)
    make_shards(tmp_path / "toy", ["valid-0.tar", "test-0.tar"])
    members = [m for i in range(6) for m in clip_members(f"k{i}", b"", {"label": "cat"})]
    write_tar(tmp_path / "toy" / "train-0.tar", [*members, ("lone.wav", b""), ("b.txt", b"")])
    dataset = open_dataset(spec, tmp_path, limit=2)
    part = dataset.shards[0]
    assert part.keys is not None and len(part.keys) == 2
    inside, outside = (
        sorted(part.keys)[0],
        next(k for k in ("k0", "k1", "k2") if k not in part.keys),
    )
    blank = ShardEmbeddings(np.zeros((0, 2), np.float32), [], [], [], 0.0)
    audio = [Failure("train-0.tar", key, "cut") for key in (inside, outside)]
    encoded = dataclasses.replace(blank, failures=[*part.shard.failures, *audio])
    label = [Failure("train-0.tar", inside, "no label")]
    failures = clip_failures(dataset, [encoded, blank, blank], [label, [], []])
    # what could not be paired is ranked among the clips, and counts where it is asked for
    assert [failure.key for failure in failures] == sorted({inside, "lone", "b.txt"} & part.keys)
    whole = open_dataset(spec, tmp_path)
    both = clip_failures(whole, [encoded, blank, blank], [label, [], []])
    assert {failure.key for failure in both} == {inside, outside, "lone", "b.txt"}
    assert whole.clips == 8 + sum(len(other.shard.entries) for other in whole.shards[1:])
    assert json.dumps([f._asdict() for f in failures])
