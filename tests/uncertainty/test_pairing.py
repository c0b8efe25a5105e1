"""Items of two encoders paired by fold, key and crop; what cannot be paired is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paired_cells import METRICS, class_predictions, random_predictions, write_cell

from earmark.benchmark.result.schema import Predictions
from earmark.benchmark.uncertainty.cache import Values
from earmark.benchmark.uncertainty.pairing import UnpairedError, fingerprint, pair
from earmark.benchmark.uncertainty.values import common_values, values_of

names = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.integers(0, 2)), unique=True, min_size=1
)


@settings(max_examples=100, deadline=None)
@given(names, names)
def test_items_are_paired_by_fold_key_and_crop(mine: Any, theirs: Any) -> None:
    def made(items: Any) -> Predictions:
        labels = np.array([hash(item) % 5 for item in items])
        return Predictions(
            keys=np.array([f"{key}" for _, key, _ in items]),
            crops=np.array([crop for *_, crop in items]),
            sources=np.array([f"{key}" for _, key, _ in items]),
            splits=np.array([fold for fold, *_ in items]),
            labels=labels, linear=labels[:, None],
        )  # fmt: skip

    common = set(mine) & set(theirs)
    if not common:
        with pytest.raises(UnpairedError, match="no item in common"):
            pair(made(mine), made(theirs))
        return
    found = pair(made(mine), made(theirs))
    assert [mine[i] for i in found.first] == [theirs[i] for i in found.second]
    assert [mine[i] for i in found.first] == [item for item in mine if item in common]
    assert (found.only_first, found.only_second) == (
        len(mine) - len(common), len(theirs) - len(common),
    )  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_other_labels_or_sources_are_refused(metric: str) -> None:
    one, other = (random_predictions(metric, seed) for seed in (0, 1))
    assert fingerprint(one) == fingerprint(other)
    assert len(pair(one, other).first) == 24
    moved = dataclasses.replace(other, sources=np.roll(other.sources, 1))
    labels = other.labels.copy()
    labels[3] = "other" if metric == "WER_inv" else 1 - np.minimum(labels[3], 1)
    relabelled = dataclasses.replace(other, labels=labels)
    for changed, said in ((moved, "other sources"), (relabelled, "other labels")):
        assert fingerprint(changed) != fingerprint(one)
        with pytest.raises(UnpairedError, match=said):
            pair(one, changed)


def test_captions_ranked_among_other_clips_are_refused() -> None:
    one = random_predictions("recall@1", 0)
    fewer = dataclasses.replace(
        one, keys=one.keys[1:], crops=one.crops[1:], sources=one.sources[1:],
        splits=one.splits[1:], labels=one.labels[one.labels > 0] - 1, linear=one.linear[1:],
    )  # fmt: skip
    with pytest.raises(UnpairedError, match="captions were ranked among other clips"):
        pair(one, fewer)


def test_keys_of_two_shards_are_told_apart() -> None:
    twice = class_predictions([[1], [0]], ["x/k", "y/k"])
    twice.keys[:] = "k"
    assert pair(twice, twice).first.tolist() == [0, 1]


@pytest.mark.parametrize("metric", ["accuracy", "mAP", "segment_f1_macro", "WER_inv"])
def test_common_items_are_those_of_both(metric: str, tmp_path: Path) -> None:
    """As if both had never had the others."""
    whole = [random_predictions(metric, seed) for seed in range(2)]
    cells = []
    for predictions, lost, name in zip(whole, ([4, 9], [20]), "AB", strict=True):
        rows = np.delete(np.arange(24), lost)
        cells.append(write_cell(tmp_path, _only(predictions, rows), name, metric=metric))
    one, other, only_first, only_second = common_values(cells[0], cells[1], tmp_path / "c")
    assert (only_first, only_second) == (1, 2)
    assert (one.count, other.count) == (21, 21)
    rows = np.delete(np.arange(24), [4, 9, 20])
    kept_ones = [
        write_cell(tmp_path, _only(predictions, rows), name, "kept", metric)
        for predictions, name in zip(whole, "AB", strict=True)
    ]
    for found, alone in zip((one, other), values_of(kept_ones, tmp_path / "c"), strict=True):
        assert isinstance(alone, Values)
        np.testing.assert_allclose(found.by_probe["linear"], alone.by_probe["linear"])
    again = common_values(cells[0], cells[1], tmp_path / "c")
    np.testing.assert_array_equal(again[0].by_probe["linear"], one.by_probe["linear"])
    turned = common_values(cells[1], cells[0], tmp_path / "c")
    np.testing.assert_array_equal(turned[1].by_probe["linear"], one.by_probe["linear"])


def _only(whole: Predictions, rows: Any) -> Predictions:
    """Predictions of some items."""
    facts: dict[str, Any] = {
        name: getattr(whole, name)[rows] for name in ("keys", "crops", "sources", "splits")
    }
    if whole.segments is not None:
        ends = np.cumsum(whole.segments)
        parts = np.concatenate([np.arange(ends[i] - whole.segments[i], ends[i]) for i in rows])
        facts |= {"labels": whole.labels[parts], "linear": whole.linear[:, parts]}
        return Predictions(**facts, segments=whole.segments[rows])
    linear = whole.linear[:, rows] if whole.linear.ndim == 3 else whole.linear[rows]
    knn = None if whole.knn is None else whole.knn[rows]
    return Predictions(**facts, labels=whole.labels[rows], linear=linear, knn=knn)
