"""The linear probe of clips: what it chooses, what it is fitted to, what it makes of odd input."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from clip_items import FOLDS, PROTOCOL, make_items, make_spec, scored
from logistic_regression import by_scikit_learn, clouds
from scipy.special import log_softmax
from sklearn.metrics import average_precision_score

from earmark.benchmark.probe import linear
from earmark.benchmark.probe.linear import WITHOUT_VALIDATION, clip_means, fit_linear
from earmark.benchmark.probe.logistic import STRENGTHS
from earmark.benchmark.score import score_items


def parts(count: int, valid: int, test: int) -> dict[str, Any]:
    every = np.arange(count)
    first, second = count - valid - test, count - test
    return {"train": every[:first], "valid": every[first:second]}


def test_the_strength_with_the_least_validation_loss_is_taken() -> None:
    x, y = clouds(400)
    own = parts(400, 100, 100)
    model, fit = fit_linear(x, y, **own, every=None, classes=4)
    losses = {}
    for strength in STRENGTHS[:13]:
        scaler, other = by_scikit_learn(x[:200], y[:200], strength)
        probabilities = other.predict_proba(scaler.transform(x[200:300]))
        losses[strength] = -np.log(probabilities[np.arange(100), y[200:300]]).mean()
    assert fit.strength == min(losses, key=lambda strength: losses[strength])
    for strength, loss in zip(fit.strengths, fit.validation_loss, strict=True):
        assert loss == pytest.approx(losses[strength], rel=2e-3)
    scaler, other = by_scikit_learn(x[:200], y[:200], fit.strength)
    wanted = other.predict_log_proba(scaler.transform(x[300:]))
    assert model.scores(x[300:]) == pytest.approx(wanted, abs=5e-3)
    assert fit.converged and not fit.refitted and not fit.at_end


def test_it_is_fitted_again_on_all_training_items() -> None:
    x, y = clouds(300)
    own = parts(300, 60, 100)
    model, fit = fit_linear(x, y, **own, every=np.arange(200), classes=4)
    scaler, other = by_scikit_learn(x[:200], y[:200], fit.strength)
    wanted = other.predict_log_proba(scaler.transform(x[200:]))
    assert fit.refitted
    assert model.scores(x[200:]) == pytest.approx(wanted, abs=5e-3)
    # nothing of the test part reaches it
    changed = x.copy()
    changed[200:] = 1e6
    again, _ = fit_linear(changed, y, **own, every=np.arange(200), classes=4)
    assert again.weight.numpy().tobytes() == model.weight.numpy().tobytes()


def test_the_refit_at_a_weak_strength_is_led_there() -> None:
    """Begun at 1e-8 it takes thousands of passes, and does not get there."""
    x, y = clouds(200, classes=8, apart=4.0)
    model, fit = fit_linear(x, y, **parts(200, 40, 0), every=np.arange(200), classes=8)
    assert fit.strength <= 1e-7 and fit.converged
    _, alone = fit_linear(x, y, **parts(200, 40, 0), every=None, classes=8)
    assert fit.passes < 2 * alone.passes
    assert (model.scores(x).argmax(axis=1) == y).all()


def test_a_path_that_stops_early_chooses_what_the_whole_one_does(monkeypatch: Any) -> None:
    lengths = []
    for seed in range(5):
        x, y = clouds(200, apart=0.5, seed=seed)
        own = parts(200, 80, 0)
        _, short = fit_linear(x, y, **own, every=None, classes=4)
        monkeypatch.setattr(linear, "_PATIENCE", 100)
        _, whole = fit_linear(x, y, **own, every=None, classes=4)
        monkeypatch.undo()
        assert whole.strength == short.strength
        assert len(short.strengths) <= len(whole.strengths) == len(STRENGTHS)
        lengths.append(len(short.strengths))
    assert min(lengths) < len(STRENGTHS)


def test_the_grid_goes_on_where_its_end_is_the_best() -> None:
    x, y = clouds(300, apart=6.0)  # separable: the weaker the better
    _, weak = fit_linear(x, y, **parts(300, 100, 0), every=None, classes=4)
    assert len(weak.strengths) == len(STRENGTHS) + linear.BEYOND
    assert weak.at_end and weak.strength == weak.strengths[-1] == pytest.approx(1e-8)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((300, 10)).astype(np.float32)  # nothing to learn: the stronger
    _, strong = fit_linear(noise, rng.integers(0, 4, 300), **parts(300, 100, 0), every=None,
                           classes=4)  # fmt: skip
    assert strong.strengths[0] > STRENGTHS[0]
    assert strong.strength >= 1


def test_equal_losses_go_to_the_stronger() -> None:
    """Features without variance: every strength gives the same."""
    y = np.arange(40) % 2
    x = np.ones((40, 3), np.float32)
    _, fit = fit_linear(x, y, **parts(40, 10, 0), every=None, classes=2)
    assert fit.strength == max(fit.strengths)


@pytest.mark.parametrize("size", [1e4, 1e-6])
@pytest.mark.parametrize("constant", [0.0, 300.0])
def test_size_and_offset_of_embeddings_change_no_prediction(size: float, constant: float) -> None:
    x, y = clouds(400, apart=0.5)
    x = (np.round(x * 64) / 64).astype(np.float32)
    own = {**parts(400, 60, 200), "every": np.arange(200), "classes": 4}
    model, fit = fit_linear(x, y, **own)
    moved = ((x + constant) * size).astype(np.float32)
    other, its = fit_linear(moved, y, **own)
    assert its.strength == fit.strength
    before, after = model.scores(x[200:]), other.scores(moved[200:])
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()


def test_a_constant_feature_is_none() -> None:
    x, y = clouds(200)
    own = {**parts(200, 40, 60), "every": None, "classes": 4}
    model, _ = fit_linear(x, y, **own)
    with_constants = np.concatenate([x, np.full((200, 2), 0.1, np.float32)], axis=1)
    other, _ = fit_linear(with_constants, y, **own)
    assert other.scores(with_constants[140:]) == pytest.approx(model.scores(x[140:]), abs=2e-3)
    # and where it does vary, in test, it still says nothing
    with_constants[140:, 10:] = 1e6
    assert other.scores(with_constants[140:]) == pytest.approx(model.scores(x[140:]), abs=2e-3)


def test_a_class_without_training_items_is_never_predicted() -> None:
    x, y = clouds(300)
    y[:200][y[:200] == 2] = 1
    model, fit = fit_linear(x, y, **parts(300, 60, 100), every=None, classes=4)
    scores = model.scores(x[200:])
    assert np.isneginf(scores[:, 2]).all()
    assert np.isfinite(scores[:, [0, 1, 3]]).all()
    assert np.isfinite(fit.validation_loss).all()  # its validation items choose nothing


def test_where_no_validation_item_is_of_a_trained_class_a_default_is_taken() -> None:
    x, y = clouds(100, classes=2)
    y = np.where(np.arange(100) < 60, y, 2)
    _, fit = fit_linear(x, y, **parts(100, 40, 0), every=np.arange(100), classes=3)
    assert fit.strength == WITHOUT_VALIDATION
    assert fit.validation_loss == []


def test_one_class_alone_is_predicted() -> None:
    x, _ = clouds(30)
    model, _ = fit_linear(x, np.full(30, 1), **parts(30, 5, 5), every=None, classes=3)
    assert model.scores(x).argmax(axis=1).tolist() == [1] * 30


def test_labels_that_every_item_or_none_has_are_constant() -> None:
    x, y = clouds(120)
    several = np.stack([y == 0, np.ones(120, bool), np.zeros(120, bool)], axis=1)
    model, _ = fit_linear(x, several, **parts(120, 20, 0), every=None, classes=3)
    scores = model.scores(x)
    assert scores[:, 1] == pytest.approx(np.log(100.5 / 0.5), rel=1e-5)
    assert scores[:, 2] == pytest.approx(np.log(0.5 / 100.5), rel=1e-5)
    assert average_precision_score(several[:, 0], scores[:, 0]) > 0.6
    nothing, _ = fit_linear(x, several[:, 1:], **parts(120, 20, 0), every=None, classes=2)
    assert nothing.scores(x)[0] == pytest.approx([np.log(100.5 / 0.5), np.log(0.5 / 100.5)])


def test_several_labels_choose_by_the_sum_of_their_losses() -> None:
    x, y = clouds(300, apart=0.5)
    several = np.eye(4, dtype=bool)[y] | (np.random.default_rng(1).random((300, 4)) < 0.2)
    _, fit = fit_linear(x, several, **parts(300, 100, 0), every=None, classes=4)
    for strength, loss in list(zip(fit.strengths, fit.validation_loss, strict=True))[::4]:
        total = 0.0
        for c in range(4):
            scaler, other = by_scikit_learn(x[:200], several[:200, c], strength)
            logits = other.decision_function(scaler.transform(x[200:]))
            total += (np.logaddexp(0, logits) - logits * several[200:, c]).mean()
        assert loss == pytest.approx(total, rel=2e-3)


def test_clip_means_by_hand() -> None:
    scores = np.array([[1.0, 2.0], [3.0, 4.0], [10.0, 0.0], [0.0, -np.inf], [2.0, 2.0]])
    means = clip_means(scores, np.array([0, 0, 1, 2, 2]))
    assert means.tolist() == [[2.0, 3.0], [10.0, 0.0], [1.0, -np.inf]]


def cut_items() -> Any:
    """Items of `make_items`, of which each clip has one to three."""
    items = make_items("class", FOLDS)
    sizes = np.random.default_rng(5).integers(1, 4, 400)
    clip = np.repeat(np.arange(400), sizes)[: len(items)]
    # a clip lies within one fold
    starts = np.flatnonzero(np.append(True, items.splits[1:] != items.splits[:-1]))
    clip += np.searchsorted(starts, np.arange(len(items)), side="right") * 1000
    first = np.flatnonzero(np.append(True, clip[1:] != clip[:-1]))
    place = np.arange(len(items)) - np.repeat(first, np.diff(np.append(first, len(items))))
    labels = np.repeat(items.labels[first], np.diff(np.append(first, len(items))))
    keys = np.array([f"c{number:05d}" for number in clip])
    return dataclasses.replace(items, keys=keys, crops=place, labels=labels), first


def test_clips_are_judged_by_the_mean_of_their_crops() -> None:
    items, first = cut_items()
    spec = make_spec("class", {name: f"{name}.tar" for name in FOLDS}, folds=True)
    result = score_items(items, spec, PROTOCOL)
    predictions, score = result.predictions, result.scores["linear"]
    assert predictions.keys.tolist() == items.keys[first].tolist()
    assert predictions.crops.tolist() == [0] * len(first)
    assert score.items == len(first) < len(items)
    by_crop = score_items(items, spec, dataclasses.replace(PROTOCOL, tested="crops"))
    assert by_crop.scores["linear"].items == len(items)
    # by hand, for the first fold: crops train, the mean of log-probabilities is tested
    fits = score.fits
    assert fits is not None
    train, test = np.flatnonzero(items.splits != "1"), np.flatnonzero(items.splits == "1")
    strength = fits["1"].strength
    scaler, other = by_scikit_learn(items.embeddings[train], items.labels[train], strength)
    each = log_softmax(other.decision_function(scaler.transform(items.embeddings[test])), axis=1)
    wanted = [
        each[items.keys[test] == key].mean(axis=0).argmax()
        for key in dict.fromkeys(items.keys[test])
    ]
    assert predictions.linear[predictions.splits == "1", 0].tolist() == wanted
    # kNN: the mean of the crops' votes
    assert predictions.knn is not None and len(predictions.knn) == len(first)


def test_there_are_no_seeds() -> None:
    _, result = scored("class", FOLDS, folds=True)
    score = result.scores["linear"]
    assert score.per_seed == [score.value] and score.spread is None
    assert score.best_epochs is None and score.training_loss is None
    assert score.fits is not None and list(score.fits) == list(FOLDS)
    assert all(fit.refitted and fit.converged for fit in score.fits.values())
    _, other = scored("class", FOLDS, folds=True, protocol=dataclasses.replace(PROTOCOL, seeds=1))
    assert other.scores["linear"] == score
