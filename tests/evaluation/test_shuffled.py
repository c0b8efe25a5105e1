"""The control of labels: what goes together stays together, the true labels are tested."""

from __future__ import annotations

import dataclasses

import numpy as np
from clip_items import FOLDS, make_items, make_spec

from earmark.benchmark.evaluation.shuffled import shuffle_labels
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.score import score_items


def test_labels_change_places_within_each_fold() -> None:
    items = make_items("class", FOLDS)
    taught = shuffle_labels(items, "toy").taught_labels
    assert not np.array_equal(taught, items.labels)
    for fold in FOLDS:
        own = items.splits == fold
        assert sorted(taught[own]) == sorted(items.labels[own])
    again, other = (shuffle_labels(items, name).taught_labels for name in ("toy", "another"))
    assert np.array_equal(taught, again)
    assert not np.array_equal(taught, other)
    assert items.taught is None


def test_where_sources_carry_one_label_whole_sources_exchange_theirs() -> None:
    items = make_items("class", FOLDS)
    of_source = np.random.default_rng(0).integers(0, 3, items.sources.max() + 1)
    items = dataclasses.replace(items, labels=of_source[items.sources])
    taught = shuffle_labels(items, "toy").taught_labels
    for source in np.unique(items.sources):
        assert len(np.unique(taught[items.sources == source])) == 1
    assert not np.array_equal(taught, items.labels)


def test_crops_of_a_clip_keep_one_label() -> None:
    items = make_items("class", FOLDS)
    keys = np.repeat(items.keys[::2], 2)[: len(items)]
    crops = np.arange(len(items)) % 2
    labels = np.repeat(items.labels[::2], 2)[: len(items)]
    items = dataclasses.replace(items, keys=keys, crops=crops, labels=labels)
    taught = shuffle_labels(items, "toy").taught_labels
    assert np.array_equal(taught[::2], taught[1::2])


def test_probes_that_were_taught_so_are_at_chance_on_the_true_labels() -> None:
    sizes = {"train": 1200, "valid": 300, "test": 1500}
    items = make_items("class", sizes)
    spec = make_spec("class", {name: f"{name}.tar" for name in sizes}, folds=False)
    true = score_items(items, spec, STRICT)
    scored = score_items(shuffle_labels(items, "toy"), spec, STRICT)
    assert true.scores["linear"].value > 0.6
    for probe in ("linear", "knn"):
        assert abs(scored.scores[probe].value - 1 / 3) < 0.05
    assert np.array_equal(scored.predictions.labels, true.predictions.labels)
