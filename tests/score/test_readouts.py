"""Readouts: what each shows a probe, and `best` chosen by validation without a look at the test."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from clip_items import FOLDS, make_items, make_spec
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from earmark.benchmark.probe import linear
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.linear import fit_linear
from earmark.benchmark.probe.splits import make_splits
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.readouts import BEST, READOUTS, checked_readouts, has_all
from earmark.benchmark.result.scores import Score
from earmark.benchmark.score import score_items
from earmark.benchmark.score.readouts import add_readouts, features_of

PARTS = {"train": 90, "valid": 30, "test": 60}


def items_of(sizes: dict[str, int], *, kind: str = "class", seed: int = 0) -> Items:
    """Items whose mean tells nothing of their labels, deviation a lot and maximum a little."""
    items = make_items(kind, sizes)
    rng = np.random.default_rng(seed)
    count, dimension = items.embeddings.shape
    noise = rng.standard_normal((3, count, dimension)).astype(np.float32)
    told = items.embeddings
    spread = np.stack([told + 0.1 * noise[1], 0.3 * told + noise[2]], axis=1)
    return dataclasses.replace(items, embeddings=noise[0], spread=spread.astype(np.float32))


def probed(items: Items, sizes: dict[str, int], *, kind: str = "class", folds: bool) -> Score:
    spec = make_spec(kind, {name: f"{name}.tar" for name in sizes}, folds=folds)
    score = score_items(items, spec, STRICT).scores["linear"]
    add_readouts(score, items, spec, STRICT, READOUTS)
    return score


def test_features_are_the_statistics_side_by_side() -> None:
    items = items_of(PARTS)
    assert items.spread is not None
    mean, std, most = items.embeddings, items.spread[:, 0], items.spread[:, 1]
    assert np.array_equal(features_of(items, "mean"), mean)
    assert np.array_equal(features_of(items, "max"), most)
    assert np.array_equal(features_of(items, "mean+std"), np.hstack([mean, std]))
    assert np.array_equal(features_of(items, "mean+max"), np.hstack([mean, most]))
    assert np.array_equal(features_of(items, "mean+std+max"), np.hstack([mean, std, most]))
    without = dataclasses.replace(items, spread=None)
    with pytest.raises(ValueError, match="the items have means alone"):
        features_of(without, "max")


@pytest.mark.parametrize("kind", ["class", "multilabel"])
@pytest.mark.parametrize("folds", [False, True])
def test_each_is_scored_as_the_mean_is_and_best_takes_what_tells(kind: str, folds: bool) -> None:
    sizes = FOLDS if folds else PARTS
    score = probed(items_of(sizes, kind=kind), sizes, kind=kind, folds=folds)
    assert score.readouts is not None
    by_name = {one.readout: one for one in score.readouts}
    assert list(by_name) == [*READOUTS, BEST]
    mean, best = by_name["mean"], by_name[BEST]
    assert (mean.value, mean.interval, mean.per_split) == (
        score.value, score.interval, score.per_split
    )  # fmt: skip
    assert score.fits is not None
    assert mean.losses == {name: min(fit.validation_loss) for name, fit in score.fits.items()}
    assert by_name["mean+std"].value > mean.value + 0.2
    for split, readout in best.chosen.items():
        losses = {name: by_name[name].losses[split] for name in READOUTS}
        assert readout == min(losses, key=lambda name: losses[name])
        assert "std" in readout
        assert best.per_split[split] == by_name[readout].per_split[split]
        assert best.losses[split] == losses[readout]
    if len(set(best.chosen.values())) == 1:
        assert best.value == by_name[next(iter(best.chosen.values()))].value


def test_against_scikit_learn() -> None:
    """The readout's own features, standardised, at the strength that was chosen, in float64."""
    items = items_of(PARTS)
    score = probed(items, PARTS, folds=False)
    spec = make_spec("class", {name: f"{name}.tar" for name in PARTS}, folds=False)
    (split,) = make_splits(items, spec, STRICT)
    assert items.spread is not None and score.readouts is not None
    features = np.hstack([items.embeddings, items.spread[:, 0]]).astype(np.float64)
    found = next(one for one in score.readouts if one.readout == "mean+std")
    losses = {}
    for strength in 10.0 ** np.arange(1, -4.5, -0.5):
        scaler = StandardScaler().fit(features[split.train])
        model = LogisticRegression(
            C=1 / (strength * len(split.train)), tol=1e-8, max_iter=10_000
        ).fit(scaler.transform(features[split.train]), items.labels[split.train])
        logged = model.predict_log_proba(scaler.transform(features[split.valid]))
        losses[strength] = -logged[np.arange(len(split.valid)), items.labels[split.valid]].mean()
    assert found.losses["test"] == pytest.approx(min(losses.values()), rel=0.02)


def test_choosing_does_not_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """On shuffled labels `best` is as good as guessing: 200 data sets, a false gain below 0.005."""
    monkeypatch.setitem(fit_linear.__kwdefaults__, "strengths", (1.0, 0.1))
    monkeypatch.setattr(linear, "BEYOND", 0)
    spec = make_spec("class", {"train": "a.tar", "valid": "b.tar", "test": "c.tar"}, folds=False)
    spec = dataclasses.replace(spec, knn=False)
    gains = []
    rng = np.random.default_rng(5)
    sizes = {"train": 40, "valid": 20, "test": 400}
    items = make_items("class", sizes)
    for _ in range(200):
        shuffled = dataclasses.replace(
            items,
            labels=rng.integers(0, 3, len(items)),
            embeddings=rng.standard_normal((len(items), 3)).astype(np.float32),
            spread=rng.standard_normal((len(items), 2, 3)).astype(np.float32),
        )
        score = score_items(shuffled, spec, STRICT).scores["linear"]
        add_readouts(score, shuffled, spec, STRICT, ("mean", "max", "mean+std"))
        assert score.readouts is not None
        gains.append(score.readouts[-1].value - 1 / 3)
    assert abs(np.mean(gains)) < 0.005
    assert np.std(gains) > 0.005  # they are scores of chance, not all the same


def test_what_may_be_asked_for() -> None:
    assert checked_readouts([]) == ()
    assert checked_readouts(["mean"]) == ("mean",)
    assert checked_readouts(["mean+std+max", "max"]) == ("mean", "max", "mean+std+max")
    assert checked_readouts(["all"]) == READOUTS
    with pytest.raises(ValueError, match="unknown readout 'std'; known are mean, max"):
        checked_readouts(["std"])
    with pytest.raises(ValueError, match="must be a list"):
        checked_readouts("max")
    assert has_all(None, ("mean",))
    assert not has_all(None, ("mean", "max"))
