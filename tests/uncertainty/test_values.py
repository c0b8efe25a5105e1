"""Scores without each source: metrics by the book, pairing, the cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frame_tasks import make_task
from hypothesis import given, settings
from hypothesis import strategies as st
from paired_cells import by_the_book, class_predictions, random_predictions, write_cell

import earmark.benchmark.uncertainty.values as module
from earmark import evaluate
from earmark.benchmark.result.schema import Predictions, RunResult
from earmark.benchmark.uncertainty.cache import Values, key_of, load_values
from earmark.benchmark.uncertainty.pairing import UnpairedError, fingerprint, pair
from earmark.benchmark.uncertainty.statistic import without_each_source
from earmark.benchmark.uncertainty.values import common_values, drawn_from, values_of

Toy = Callable[..., tuple[Path, Path]]
METRICS = ("accuracy", "mAP", "segment_f1_macro", "segment_f1_micro", "recall@1", "WER_inv")


# ------------------------------------------------------------------------------ the statistics


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("some", [False, True])
def test_without_a_source_is_without_its_items(metric: str, some: bool, tmp_path: Path) -> None:
    predictions = random_predictions(metric, 0)
    result = write_cell(tmp_path, predictions, metric=metric)
    rows = np.arange(24)
    if some and metric != "recall@1":
        rows = np.flatnonzero(np.arange(24) % 5)
    sources = predictions.sources[rows]
    for probe in result.scores:
        found = without_each_source(result, probe, predictions, rows if some else None)
        wanted = [
            by_the_book(predictions, probe, metric, rows[sources != left])
            for left in ["none", *sorted(set(sources.tolist()))]
        ]
        np.testing.assert_allclose(found, wanted, atol=1e-9)
        assert len(set(np.round(found, 6))) > 4


def test_a_fold_without_an_item_is_left_out_of_the_mean(tmp_path: Path) -> None:
    """One source is all of fold f0, so without it only f1 is there."""
    predictions = random_predictions("accuracy", 0)
    predictions.splits = np.where(predictions.sources == predictions.sources[0], "f0", "f1")
    result = write_cell(tmp_path, predictions)
    result.protocol["fold_score"] = "folds"
    rest = np.flatnonzero(predictions.splits == "f1")
    place = sorted(set(predictions.sources.tolist())).index(predictions.sources[0])
    found = without_each_source(result, "linear", predictions)
    assert found[1 + place] == pytest.approx(by_the_book(predictions, "linear", "accuracy", rest))
    assert np.isfinite(found).all()


def test_mean_over_folds_and_absent_classes_as_the_protocol_has_them(tmp_path: Path) -> None:
    predictions = random_predictions("accuracy", 0)
    predictions.splits = np.array(["f0"] * 5 + ["f1"] * 19)
    result = write_cell(tmp_path, predictions)
    result.protocol["fold_score"] = "folds"
    parts = [by_the_book(predictions, "linear", "accuracy", i) for i in (range(5), range(5, 24))]
    value = without_each_source(result, "linear", predictions)[0]
    assert value == pytest.approx(np.mean(parts))
    assert value != pytest.approx(result.scores["linear"].value)

    predictions = random_predictions("segment_f1_macro", 0)
    result = write_cell(tmp_path, predictions, metric="segment_f1_macro")
    result.protocol["absent_classes"] = "zero"
    value = without_each_source(result, "linear", predictions)[0]
    assert value == pytest.approx(result.scores["linear"].value * 9 / 10)  # class 4 never occurs


def test_a_metric_of_the_future_is_refused(tmp_path: Path) -> None:
    predictions = random_predictions("accuracy", 0)
    result = write_cell(tmp_path, predictions)
    result.scores["linear"].metric = "d_prime"
    with pytest.raises(UnpairedError, match="does not know the metric 'd_prime'"):
        without_each_source(result, "linear", predictions)
    result.scores["linear"].metric = "recall@1"
    with pytest.raises(UnpairedError, match="its predictions are not those of recall@1"):
        without_each_source(result, "linear", predictions)


@pytest.mark.parametrize("kind", ["events", "notes", "captions", "transcript"])
def test_predictions_of_a_run_give_its_score(kind: str, tmp_path: Path) -> None:
    """`values_of` says so where they do not."""
    task = make_task(tmp_path, kind)
    folders = {"data": tmp_path / "data", "results": tmp_path / "r", "cache": tmp_path / "c"}
    (result,) = evaluate("logmel", str(task), seeds=2, **folders)
    (values,) = values_of([result], tmp_path / "c")
    assert isinstance(values, Values)
    assert values.by_probe["linear"][0] == pytest.approx(result.scores["linear"].value)
    assert values.by_probe["linear"].shape == (1 + values.sources,)


def test_predictions_of_a_run_with_classes_give_its_scores(toy: Toy, tmp_path: Path) -> None:
    task, data = toy()
    (result,) = evaluate("logmel", str(task), data=data, results=tmp_path / "r", seeds=2)
    (values,) = values_of([result], tmp_path / "c")
    assert isinstance(values, Values)
    assert list(values.by_probe) == ["linear", "knn"]
    assert (values.count, values.sources) == (20, 10)


def test_a_score_that_predictions_do_not_give_is_told(tmp_path: Path) -> None:
    def better(result: RunResult) -> None:
        result.scores["linear"].value += 0.01

    result = write_cell(tmp_path, random_predictions("accuracy", 0), change=better)
    (why,) = values_of([result], tmp_path / "c")
    assert isinstance(why, str)
    assert "but its predictions give" in why


# ------------------------------------------------------------------------------ drawn together


def test_the_same_sources_of_the_same_data_only_are_drawn_together() -> None:
    one = drawn_from(["b", "a", "b"], ["x", "y"])
    assert one == drawn_from(["a", "b"], ["y", "x"])
    assert one != drawn_from(["a", "c"], ["x", "y"])
    assert one != drawn_from(["a", "b"], ["x"])


# ------------------------------------------------------------------------------ pairing


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


# ------------------------------------------------------------------------------ values, kept


@pytest.mark.parametrize("metric", METRICS)
def test_cells_alone_and_together_have_the_same_values(metric: str, tmp_path: Path) -> None:
    cells = [
        write_cell(tmp_path, random_predictions(metric, seed), f"E{seed}", metric=metric)
        for seed in range(2)
    ]
    together = values_of(cells, tmp_path / "one")
    alone = [values_of([cell], tmp_path / "two")[0] for cell in cells]
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Values)
        assert isinstance(other, Values)
        assert one.items == other.items
        for probe in one.by_probe:
            np.testing.assert_array_equal(one.by_probe[probe], other.by_probe[probe])


def test_what_is_kept_is_used_and_is_that_of_these_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = write_cell(tmp_path, random_predictions("accuracy", 0))
    (first,) = values_of([cell], tmp_path / "c")
    assert isinstance(first, Values)
    with monkeypatch.context() as patch:
        patch.setattr(module, "read_predictions", lambda _: pytest.fail("read again"))
        (again,) = values_of([cell], tmp_path / "c")
    assert isinstance(again, Values)
    np.testing.assert_array_equal(again.by_probe["knn"], first.by_probe["knn"])
    assert (again.items, again.count, again.sources) == (first.items, 24, 9)

    other = write_cell(tmp_path, random_predictions("accuracy", 5))  # over the first
    (values,) = values_of([other], tmp_path / "c")
    assert isinstance(values, Values)
    assert values.by_probe["linear"][0] == pytest.approx(other.scores["linear"].value)
    assert key_of([other]) != key_of([cell])


def test_a_damaged_or_unwritable_cache_makes_no_difference(tmp_path: Path) -> None:
    cell = write_cell(tmp_path, random_predictions("accuracy", 0))
    (first,) = values_of([cell], tmp_path / "c")
    (file,) = (tmp_path / "c").rglob("*.values")
    file.write_bytes(file.read_bytes()[:100])
    assert load_values(tmp_path / "c", file.stem) is None
    (tmp_path / "file").write_text("")
    for cache in (tmp_path / "c", tmp_path / "file"):
        (again,) = values_of([cell], cache)
        assert isinstance(first, Values)
        assert isinstance(again, Values)
        np.testing.assert_array_equal(first.by_probe["linear"], again.by_probe["linear"])


def test_missing_and_damaged_predictions_are_told_in_a_line(tmp_path: Path) -> None:
    cells = [write_cell(tmp_path, random_predictions("accuracy", i), f"E{i}") for i in range(4)]
    paths = [cell.path.with_suffix(".predictions.npz") for cell in cells if cell.path is not None]
    paths[0].unlink()
    paths[1].write_bytes(b"PK")
    cells[2].path = None
    found = values_of(cells, tmp_path / "c")
    assert isinstance(found[3], Values)
    assert str(paths[0]) in str(found[0])
    assert found[1] == f"{paths[1]}: not what its result file names; run the task again"
    assert found[2] == "a result in memory: names no file of predictions"
    values_of(cells, tmp_path / "c")
    data = bytearray(paths[3].read_bytes())
    data[len(data) // 2] ^= 1  # what is kept does not stand for predictions that were changed
    paths[3].write_bytes(data)
    again = values_of(cells, tmp_path / "c")[3]
    assert again == f"{paths[3]}: not what its result file names; run the task again"
    paths[3].unlink()  # nor for those that are gone
    assert isinstance(values_of(cells, tmp_path / "c")[3], str)


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
