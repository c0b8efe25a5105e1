"""The best of layers and readouts: chosen by validation alone, and scored as what was chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest
from clip_items import FOLDS, make_items, make_spec

from earmark.benchmark.probe import linear
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.linear import fit_linear
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.readouts import BEST, MEAN, ReadoutScore
from earmark.benchmark.result.scores import Score
from earmark.benchmark.score import score_items
from earmark.benchmark.score.grid import Candidate, chosen_by_fold, score_grid
from earmark.benchmark.score.readouts import add_readouts
from earmark.benchmark.shards.dataset import DataError
from earmark.tasks import TaskSpec

ASKED = ("mean", "max", "mean+std")
PARTS = {"train": 90, "valid": 30, "test": 60}


def spec_of(sizes: Mapping[str, int], kind: str = "class", folds: bool = False) -> TaskSpec:
    made = make_spec(kind, {name: f"{name}.tar" for name in sizes}, folds=folds)
    return dataclasses.replace(made, knn=False)


def layers_of(items: Items, told: Mapping[str, tuple[float, float, float]]) -> dict[str, Items]:
    """Layers whose mean, deviation and maximum tell so much of the labels, the rest noise."""
    rng = np.random.default_rng(0)
    layers = {}
    for layer, shares in told.items():
        noise = rng.standard_normal((3, *items.embeddings.shape))
        made = [s * items.embeddings + n for s, n in zip(shares, noise, strict=True)]
        layers[layer] = dataclasses.replace(
            items, embeddings=made[0].astype(np.float32),
            spread=np.stack(made[1:], axis=1).astype(np.float32),
        )  # fmt: skip
    return layers


def probed(layers: Mapping[str, Items], spec: TaskSpec) -> dict[str, Score]:
    scores = {}
    for layer, items in layers.items():
        scores[layer] = score_items(items, spec, STRICT).scores["linear"]
        add_readouts(scores[layer], items, spec, STRICT, ASKED)
    return scores


def score_with(losses: Mapping[str, Mapping[str, float]], folds: tuple[str, ...]) -> Score:
    readouts = [ReadoutScore(name, 0.5, losses=dict(own)) for name, own in losses.items()]
    per_split = dict.fromkeys(folds, 0.5)
    return Score(
        "accuracy", 0.5, [0.5], None, None, 0.95, 0, 0, per_split, readouts=readouts
    )  # fmt: skip


def test_the_least_loss_of_each_fold_is_taken() -> None:
    scores = {
        "layer-0": score_with(
            {"mean": {"a": 0.5, "b": 0.9}, "max": {"a": 0.7, "b": 0.3}}, ("a", "b")
        ),
        "layer-1": score_with(
            {"mean": {"a": 0.6, "b": 0.4}, "max": {"a": 0.1, "b": 0.3}, BEST: {"a": 0, "b": 0}},
            ("a", "b"),
        ),
    }  # fmt: skip
    assert chosen_by_fold(scores) == {
        "a": Candidate("layer-1", "max"), "b": Candidate("layer-0", "max")
    }  # fmt: skip
    assert chosen_by_fold(scores, mean_alone=True) == {
        "a": Candidate("layer-0", MEAN), "b": Candidate("layer-1", MEAN)
    }  # fmt: skip
    nothing = {layer: score_with({"mean": {}}, ("a",)) for layer in ("layer-0", "layer-1")}
    assert chosen_by_fold(nothing) == {"a": Candidate("layer-1", MEAN)}


@pytest.mark.parametrize("kind", ["class", "multilabel"])
@pytest.mark.parametrize("folds", [False, True])
def test_it_scores_what_the_layers_own_probes_score(kind: str, folds: bool) -> None:
    sizes = FOLDS if folds else PARTS
    spec = spec_of(sizes, kind, folds)
    told = {"layer-0": (0, 0, 0), "layer-1": (0.2, 0, 0), "layer-2": (0.05, 2.0, 0)}
    layers = layers_of(make_items(kind, sizes), told)
    scores = probed(layers, spec)
    asked: list[str] = []

    def items_of(layer: str) -> Items:
        asked.append(layer)
        return layers[layer]

    scored = score_grid(scores, items_of, spec, STRICT)
    found = scored.scores["linear"]
    assert found.readouts is not None
    mean, best = found.readouts
    assert set(best.chosen.values()) == {"layer-2 mean+std"}
    assert sorted(set(asked)) == sorted(asked)  # each layer is read once, and none in vain
    for result, readouts in ((mean, (MEAN,)), (best, ASKED)):
        for fold, chosen in result.chosen.items():
            layer, readout = chosen.split()
            own = {one.readout: one for one in scores[layer].readouts or ()}
            every = [
                one.losses[fold]
                for score in scores.values()
                for one in score.readouts or ()
                if one.readout in readouts
            ]
            assert own[readout].losses[fold] == min(every)
            assert result.losses[fold] == own[readout].losses[fold]
            assert result.per_split[fold] == own[readout].per_split[fold]
    assert (found.value, found.interval, found.per_split) == (
        mean.value, mean.interval, mean.per_split
    )  # fmt: skip
    assert best.value > found.value + 0.05
    if kind == "class":
        right = scored.predictions.linear[:, 0] == scored.predictions.labels
        assert found.value == pytest.approx(right.mean())


def test_layers_that_lost_different_clips_are_not_mixed() -> None:
    spec = spec_of(FOLDS, folds=True)
    layers = layers_of(make_items("class", FOLDS), {"layer-0": (1, 0, 0), "layer-1": (0, 1, 0)})
    scores = probed(layers, spec)
    keys = layers["layer-1"].keys.copy()
    keys[0] = "another"
    layers["layer-1"] = dataclasses.replace(layers["layer-1"], keys=keys)
    with pytest.raises(DataError, match="have lost different clips"):
        score_grid(scores, layers.__getitem__, spec, STRICT)


def test_choosing_does_not_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """On shuffled labels the best of six is as good as guessing: 200 data sets, below 0.005."""
    monkeypatch.setitem(fit_linear.__kwdefaults__, "strengths", (0.1,))
    monkeypatch.setattr(linear, "BEYOND", 0)
    sizes = {"train": 30, "valid": 20, "test": 400}
    spec = spec_of(sizes)
    items, rng = make_items("class", sizes), np.random.default_rng(5)
    gains, by_test = [], []
    for _ in range(200):
        labels = rng.integers(0, 3, len(items))
        layers = {
            f"layer-{number}": dataclasses.replace(
                items, labels=labels,
                embeddings=rng.standard_normal((len(items), 2)).astype(np.float32),
                spread=rng.standard_normal((len(items), 2, 2)).astype(np.float32),
            )
            for number in range(2)
        }  # fmt: skip
        scores = probed(layers, spec)
        readouts = score_grid(scores, layers.__getitem__, spec, STRICT).scores["linear"].readouts
        assert readouts is not None
        gains.append([one.value - 1 / 3 for one in readouts])
        by_test.append(
            max(one.value for score in scores.values() for one in score.readouts or ()) - 1 / 3
        )
    assert np.abs(np.mean(gains, axis=0)).max() < 0.005
    assert np.mean(by_test) > 0.01  # what a choice that looks at the test would gain
