"""From items to scores: every number of a Score, worked out again from the predictions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from clip_items import FOLDS, PROTOCOL, make_items, make_spec, scored
from sklearn.metrics import average_precision_score

from earmark.benchmark.score import score_items

ADAM = dataclasses.replace(PROTOCOL, linear_probe="adam")


def test_accuracy_is_over_the_items_of_all_folds_together() -> None:
    items, result = scored("class", FOLDS, folds=True, protocol=ADAM)
    predictions, score = result.predictions, result.scores["linear"]
    assert predictions.linear.shape == (200, 3)
    per_seed = [
        sum(int(p == t) for p, t in zip(column, predictions.labels, strict=True)) / 200
        for column in predictions.linear.T
    ]
    assert score.per_seed == pytest.approx(per_seed)
    assert score.value == pytest.approx(sum(per_seed) / 3)
    deviations = [(value - sum(per_seed) / 3) ** 2 for value in per_seed]
    assert score.spread == pytest.approx((sum(deviations) / 2) ** 0.5)
    # not the mean over folds, which are of unequal size
    assert score.value == pytest.approx(
        sum(FOLDS[fold] * value for fold, value in score.per_split.items()) / 200
    )
    assert score.interval is not None
    assert score.interval[0] < score.value < score.interval[1]
    assert (score.metric, score.items, score.not_computed) == ("accuracy", 200, 0)
    assert score.sources == len(set(items.sources.tolist()))
    assert 0.5 < score.value < 0.95  # something is learned, not everything: chance is 0.33


def test_predictions_name_their_items() -> None:
    items, result = scored("class", FOLDS, folds=True)
    predictions = result.predictions
    assert predictions.keys.tolist() == items.keys.tolist()  # folds in order, items in theirs
    assert predictions.splits.tolist() == items.splits.tolist()
    assert predictions.labels.tolist() == items.labels.tolist()
    assert predictions.sources.tolist() == [items.source_names[s] for s in items.sources]


def test_best_epochs_are_counted_from_one() -> None:
    _, result = scored("class", FOLDS, folds=True, protocol=ADAM)
    best = result.scores["linear"].best_epochs
    assert best is not None
    assert list(best) == list(FOLDS)
    assert all(len(epochs) == 3 and set(epochs) <= {1, 2, 3, 4} for epochs in best.values())
    assert result.scores["knn"].best_epochs is None


def test_curves_are_kept_epoch_by_epoch() -> None:
    _, result = scored("class", FOLDS, folds=True, protocol=ADAM)
    linear, knn = result.scores["linear"], result.scores["knn"]
    assert linear.training_loss is not None
    assert linear.validation is not None
    assert len(linear.training_loss) == len(linear.validation) == 4
    assert linear.training_loss[-1] < linear.training_loss[0]
    assert all(0 <= value <= 1 for value in linear.validation)
    assert knn.training_loss is None
    assert knn.validation is None


def test_the_size_of_each_part_is_told() -> None:
    _, result = scored("class", FOLDS, folds=True)
    assert list(result.parts) == list(FOLDS)
    for fold, parts in result.parts.items():
        assert parts["test"] == FOLDS[fold]
        assert sum(parts.values()) == sum(FOLDS.values())
        # a tenth of the rest, in whole sources of three clips
        assert 0 <= parts["valid"] - (200 - FOLDS[fold]) / 10 <= 3


def test_knn_looks_in_all_of_train_and_knows_no_seeds() -> None:
    """Also in what the linear probe holds out: every test item has its double somewhere there."""
    items = make_items("class", {"train": 60, "test": 30})
    spec = make_spec("class", {"train": "a.tar", "test": "b.tar"}, folds=False)
    items.embeddings[60:] = items.embeddings[:30]
    items.labels[60:] = items.labels[:30]
    one = dataclasses.replace(PROTOCOL, knn_neighbours=1)
    result = score_items(items, spec, one)
    assert result.scores["knn"].value == 1.0
    assert result.scores["knn"].spread is None
    assert len(result.scores["knn"].per_seed) == 1
    assert result.predictions.knn is not None
    assert result.predictions.knn.tolist() == items.labels[60:].tolist()


def test_map_is_the_mean_over_folds() -> None:
    items, result = scored("multilabel", FOLDS, folds=True, protocol=ADAM)
    score, logits = result.scores["linear"], result.predictions.linear
    assert logits.shape == (3, 200, 3)
    assert logits.dtype == np.float32
    by_fold = {
        fold: [
            average_precision_score(items.labels[items.splits == fold], one[items.splits == fold])
            for one in logits
        ]
        for fold in FOLDS
    }
    assert score.per_seed == pytest.approx(np.mean(list(by_fold.values()), axis=0))
    assert score.per_split == pytest.approx({f: np.mean(v) for f, v in by_fold.items()})
    assert score.value == pytest.approx(np.mean(list(by_fold.values())))
    assert list(result.scores) == ["linear"]
    assert result.predictions.knn is None
    assert score.interval is not None
    assert score.interval[0] < score.value < score.interval[1]


def test_class_without_positive_test_items_is_counted() -> None:
    items = make_items("multilabel", {"train": 60, "test": 30})
    items.labels[60:, 1] = False
    spec = make_spec("multilabel", {"train": "a.tar", "test": "b.tar"}, folds=False)
    score = score_items(items, spec, PROTOCOL).scores["linear"]
    assert score.not_computed == 1
    assert np.isfinite(score.value)


def test_one_seed_has_no_spread_and_is_the_first_of_many() -> None:
    one = dataclasses.replace(ADAM, seeds=1)
    _, alone = scored("class", FOLDS, folds=True, protocol=one)
    _, many = scored("class", FOLDS, folds=True, protocol=ADAM)
    assert alone.scores["linear"].spread is None
    assert alone.scores["linear"].per_seed == pytest.approx(many.scores["linear"].per_seed[:1])
    assert alone.scores["knn"] == many.scores["knn"]


def test_test_labels_change_scores_and_no_prediction() -> None:
    items = make_items("class", {"train": 60, "test": 30})
    spec = make_spec("class", {"train": "a.tar", "test": "b.tar"}, folds=False)
    before = score_items(items, spec, PROTOCOL)
    items.labels[60:] = (items.labels[60:] + 1) % 3
    after = score_items(items, spec, PROTOCOL)
    assert before.predictions.linear.tobytes() == after.predictions.linear.tobytes()
    assert before.predictions.knn is not None
    assert after.predictions.knn is not None
    assert before.predictions.knn.tolist() == after.predictions.knn.tolist()
    assert before.scores["linear"].value > after.scores["linear"].value
