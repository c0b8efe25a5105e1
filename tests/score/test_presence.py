"""Which classes a data set at hand has, and which of them a training part lacks: by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_items import PROTOCOL, make_items, make_spec
from clips import SHARED_DATA

from earmark import Leaderboard, evaluate
from earmark.benchmark.probe.splits import make_splits
from earmark.benchmark.score import score_items
from earmark.benchmark.score.presence import class_presence
from earmark.tasks import LabelRule
from earmark.tasks.spec import Event

FOLDS = {"1": 60, "2": 100, "3": 40}


def test_a_class_in_one_fold_alone_is_missing_from_its_training() -> None:
    items = make_items("class", FOLDS)
    items.labels[:] = np.arange(200) % 2
    items.labels[np.flatnonzero(items.splits == "2")[:3]] = 2
    spec = make_spec("class", {name: f"{name}.tar" for name in FOLDS}, folds=True)
    spec = dataclasses.replace(spec, classes=("a", "b", "c", "d", "e"))
    assert score_items(items, spec, PROTOCOL).classes == {
        "classes_present": 3, "classes_missing_from_training": ["c"],
    }  # fmt: skip


def test_several_classes_go_by_their_positives() -> None:
    items = make_items("multilabel", {"train": 60, "test": 30})
    items.labels[:, 2] = False
    items.labels[items.splits == "train", 0] = False
    spec = make_spec("multilabel", {"train": "a.tar", "test": "b.tar"}, folds=False)
    assert class_presence(items, make_splits(items, spec, PROTOCOL), spec) == {
        "classes_present": 2, "classes_missing_from_training": ["a"],
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "there"), [("events", {"classes_present": 2}), ("notes", {})])
def test_events_and_notes(kind: str, there: dict[str, Any]) -> None:
    """A pitch that nobody plays makes no part of a data set."""
    items = make_items("class", {"train": 60, "test": 30})
    events = [(Event(0.0, 1.0, 0),)] * 60 + [(Event(0.0, 1.0, 0), Event(1.0, 2.0, 2))] * 30
    items = dataclasses.replace(items, annotations=events)
    spec = make_spec("class", {"train": "a.tar", "test": "b.tar"}, folds=False)
    spec = dataclasses.replace(spec, label=LabelRule(kind, "events"))
    assert class_presence(items, make_splits(items, spec, PROTOCOL), spec) == {
        **there, "classes_missing_from_training": ["c"],
    }  # fmt: skip


def test_captions_and_transcripts_have_no_classes() -> None:
    items = make_items("class", {"train": 60, "test": 30})
    spec = make_spec("class", {"train": "a.tar", "test": "b.tar"}, folds=False)
    spec = dataclasses.replace(spec, label=LabelRule("captions", "text"))
    assert class_presence(items, make_splits(items, spec, PROTOCOL), spec) == {}


@pytest.mark.skipif(not (SHARED_DATA / "esc50").is_dir(), reason="no ESC-10 at hand")
def test_esc_10_through_the_task_of_esc_50(tmp_path: Path) -> None:
    (result,) = evaluate(
        "logmel", "esc50", data=SHARED_DATA, results=tmp_path / "r", cache=tmp_path / "c",
        limit=20, seeds=1,
    )  # fmt: skip
    assert result.data.classes_present == 10
    assert Leaderboard([result]).tables[0].rows[0].title == "ESC-50 (10 of 50 classes)"
