"""The choice of learning rate and epoch, on curves written by hand and against plain torch."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from frame_items import RATE, SPLITS, make_spec, timed_items
from frame_probe import (
    CLASSES,
    DIMENSION,
    EVENTS,
    FRAMES,
    SPLIT,
    brute_f1,
    inside,
    make_objective,
)
from tower_probe import Plain, attributes, made, mine, plain_recall

from earmark.benchmark.leaderboard.training_notes import training_notes
from earmark.benchmark.probe import HeadKey, Training, initial_parameters
from earmark.benchmark.probe.frames import train_on_frames
from earmark.benchmark.probe.search import Search
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.probe.towers import Towers
from earmark.benchmark.probe.two_towers import train_towers
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.result.schema import Score
from earmark.benchmark.score import score_items
from earmark.tasks import ProbeSettings

RATES = (1e-3, 1e-2, 1e-1)


def training(**changes: Any) -> Training:
    facts: dict[str, Any] = {
        "epochs": 10, "batch_size": 4, "learning_rate": 0.05, "learning_rate_floor": 0.1,
        "standardised": True,
    }  # fmt: skip
    return Training(**facts | changes)


def play(search: Search, curves: dict[tuple[int, int], list[Any]]) -> tuple[Any, list[list[int]]]:
    """Let heads have these qualities; (seed, rate's number) -> one a checkpoint.

    What is chosen, and which heads trained in each epoch.
    """
    trained = []
    for epoch in range(search.epochs):
        trained.append(list(search.alive))
        if not search.is_checkpoint(epoch):
            continue
        k = search.checkpoints.index(epoch)
        quality = [curves[divmod(head, len(search.rates))][k] for head in search.alive]
        search.judge(epoch, quality, np.array(search.alive, float))
        if not search.alive:
            break
    return search.chosen(), trained


def test_the_best_rate_and_epoch_are_each_seeds_own() -> None:
    search = Search(2, training(epochs=4, rates=RATES[:2]), 1)
    curves = {
        (0, 0): [0.1, 0.2, 0.3, 0.3], (0, 1): [0.3, 0.4, 0.6, 0.5],
        (1, 0): [0.5, 0.2, 0.3, 0.7], (1, 1): [0.4, 0.1, 0.6, 0.5],
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earmark.benchmark.probe.search.HALVINGS", ())
        chosen, _ = play(search, curves)
    assert chosen.learning_rates.tolist() == [1e-2, 1e-3]
    assert chosen.best_epochs.tolist() == [2, 3]
    np.testing.assert_array_equal(chosen.validation, np.array([curves[0, 1], curves[1, 0]]).T)
    np.testing.assert_array_equal(chosen.losses, [[1, 2]] * 4)  # `play` takes the head's number


@pytest.mark.parametrize(
    ("curves", "rate", "epoch"),
    [
        # equal ones: the earlier epoch, whatever the rate
        ({(0, 0): [0.1, 0.5, 0.1], (0, 1): [0.5, 0.2, 0.1]}, 1e-2, 0),
        ({(0, 0): [0.5, 0.5, 0.1], (0, 1): [0.5, 0.5, 0.5]}, 1e-3, 0),  # and the smaller rate
        # equal first numbers of a tuple: the second one
        ({(0, 0): [(0.0, -0.9), (0.0, -0.8), (0.0, -0.8)],
          (0, 1): [(0.0, -0.7), (0.0, -0.9), (0.0, -0.6)]}, 1e-2, 2),
    ],
)  # fmt: skip
def test_ties(
    curves: dict[tuple[int, int], list[Any]],
    rate: float,
    epoch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("earmark.benchmark.probe.search.HALVINGS", ())
    chosen, _ = play(Search(1, training(epochs=3, rates=RATES[:2]), 1), curves)
    assert (chosen.learning_rates[0], chosen.best_epochs[0]) == (rate, epoch)


def test_rates_are_dropped_by_the_best_so_far() -> None:
    """Two of three go on after a tenth, one after a fifth; what was dropped may still win."""
    search = Search(2, training(epochs=20, rates=RATES), 1)
    curves = {
        (0, 0): [0.1, 0.2, 0.3] + [0.5] * 17, (0, 1): [0.4, 0.1, 0.1, 0.1] + [0.1] * 16,
        (0, 2): [0.1, 0.3, 0.2, 0.2] + [0.9] * 16,
        # a tie after a tenth: the smaller rates
        (1, 0): [0.2] * 20, (1, 1): [0.2, 0.2, 0.3] + [0.4] * 17, (1, 2): [0.2] * 20,
    }  # fmt: skip
    chosen, trained = play(search, curves)
    assert trained[1] == [0, 1, 2, 3, 4, 5]
    # of seed 0 the rates 1 (0.4) and 2 (0.3) are ahead after two epochs of 20
    assert trained[2] == trained[3] == [1, 2, 3, 4]
    assert trained[4] == trained[19] == [1, 4]
    assert chosen.learning_rates.tolist() == [1e-2, 1e-2]
    assert chosen.best_epochs.tolist() == [0, 3]
    assert np.isfinite(chosen.validation).all()


def test_a_seed_ends_when_nothing_got_better_for_a_while() -> None:
    search = Search(2, training(epochs=12, patience=0.25), 1)
    curves = {(0, 0): [0.1, 0.3, 0.2, 0.3, 0.2, 0.9] + [0.0] * 6,
              (1, 0): [0.1, 0.3, 0.2, 0.2, 0.4] + [0.4] * 7}  # fmt: skip
    chosen, trained = play(search, curves)
    # a quarter of 12 epochs: the first seed ends after its fifth, the second after its eighth
    assert [len(heads) for heads in trained] == [2] * 5 + [1] * 3
    assert chosen.best_epochs.tolist() == [1, 4]
    assert np.isnan(chosen.validation[5:, 0]).all() and np.isnan(chosen.validation[8:, 1]).all()
    assert not chosen.still_learning.any()


@pytest.mark.parametrize(
    ("curve", "learning"),
    [
        ([0.1] * 8 + [0.1, 0.2], True),
        ([0.1, 0.2] + [0.1] * 6 + [0.15, 0.204], False),  # better, but by less than 0.005
        ([0.1, 0.2] + [0.1] * 6 + [0.15, 0.206], True),
        ([0.1] * 7 + [0.3, 0.2, 0.3], False),  # the best is before the last fifth
        ([(0.0, -0.9)] * 8 + [(0.0, -0.8)] * 2, True),  # letters, while all words are wrong
        ([(0.0, -0.9)] * 8 + [(0.0, -0.896)] * 2, False),
    ],
)
def test_still_learning(curve: list[Any], learning: bool) -> None:
    chosen, _ = play(Search(1, training(), 1), {(0, 0): curve})
    assert chosen.still_learning.tolist() == [learning]


def test_a_dropped_head_is_not_still_learning() -> None:
    """It was best of all when the others went on, and what they reached later was less."""
    curves = {(0, 0): [0.2, 0.3] + [0.1] * 18, (0, 1): [0.9, 0.1] + [0.1] * 18,
              (0, 2): [0.5] * 20}  # fmt: skip
    chosen, _ = play(Search(1, training(epochs=20, rates=RATES), 1), curves)
    assert chosen.still_learning.tolist() == [False]


@pytest.mark.whole_training
@pytest.mark.parametrize(
    ("epochs", "least", "batches", "wanted"),
    [(10, 3000, 11, 273), (10, 3000, 3000, 10), (10, 3000, 299, 11), (50, 3000, 1, 3000),
     (7, 0, 2, 7)],
)  # fmt: skip
def test_a_floor_under_the_updates(epochs: int, least: int, batches: int, wanted: int) -> None:
    search = Search(1, training(epochs=epochs, least_updates=least, checkpoints=40), batches)
    assert search.epochs == wanted
    assert search.epochs * batches >= least
    marks = search.checkpoints
    assert len(marks) == min(40, wanted)
    assert marks[-1] == wanted - 1  # the last epoch is among them
    assert np.ptp(np.diff([-1, *marks])) <= 1


def test_updates_are_counted_in_a_training() -> None:
    steps: list[tuple[int, int]] = []
    result = train_on_frames(
        FRAMES, SPLIT, [0], training(rates=RATES, least_updates=50, checkpoints=5, epochs=2),
        make_objective(FRAMES, EVENTS), lambda *step: steps.append(step),
    )  # fmt: skip
    # nine clips by four: three updates an epoch, 17 epochs
    assert steps == [(i, 51) for i in range(1, 52)]
    assert result.checkpoints.tolist() == [3, 6, 10, 13, 16]
    assert result.validation.shape == result.losses.shape == (5, 1)


def test_rates_follow_a_cosine_over_all_epochs() -> None:
    search = Search(1, training(rates=RATES, least_updates=40), 2)
    for epoch in (0, 7, 19):
        share = 0.1 + 0.9 * (1 + math.cos(math.pi * epoch / 20)) / 2
        assert search.learning_rates(epoch) == pytest.approx([rate * share for rate in RATES])


def standardised(frames: list[Any]) -> list[torch.Tensor]:
    rows = np.concatenate([frames[i] for i in SPLIT.train]).astype(np.float64)
    return [torch.from_numpy((f - rows.mean(axis=0)) / rows.std(axis=0)) for f in frames]


def linear_reference(seed: int, rate: float, epochs: int) -> tuple[Any, Any, Any]:
    """One seed and rate in float64: by epoch loss, validation F1 and test logits."""
    row = torch.from_numpy(initial_parameters(HeadKey(0, seed), DIMENSION, CLASSES)).double()
    model = torch.nn.Linear(DIMENSION, CLASSES).double()
    weights = CLASSES * DIMENSION
    model.weight.data = row[:weights].view(CLASSES, DIMENSION).clone()
    model.bias.data = row[weights : weights + CLASSES].clone()
    optimiser, order = torch.optim.Adam(model.parameters()), np.random.default_rng([1])
    features, losses, found, tested = standardised(FRAMES), [], [], []
    for epoch in range(epochs):
        cosine = (1 + math.cos(math.pi * epoch / epochs)) / 2
        optimiser.param_groups[0]["lr"] = rate * (0.1 + 0.9 * cosine)
        clips, steps = order.permutation(SPLIT.train), []
        for batch in [clips[i : i + 4] for i in range(0, len(clips), 4)]:
            target = [
                [[any(e.label == c and inside(e, j, RATE) for e in EVENTS[i])
                  for c in range(CLASSES)] for j in range(len(FRAMES[i]))]
                for i in batch
            ]  # fmt: skip
            wanted = torch.tensor([row for own in target for row in own], dtype=torch.float64)
            optimiser.zero_grad()
            logits = model(torch.cat([features[i] for i in batch]))
            loss = torch.nn.BCEWithLogitsLoss()(logits, wanted)
            loss.backward()
            optimiser.step()
            steps.append(loss.item())
        with torch.no_grad():
            valid = [model(features[i]).numpy() for i in SPLIT.valid]
            tested.append([model(features[i]).numpy() for i in SPLIT.test])
        losses.append(np.mean(steps))
        found.append(brute_f1(valid, SPLIT.valid, FRAMES, EVENTS)["macro"])
    return losses, found, tested


def test_heads_of_all_rates_equal_plain_modules_and_adam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earmark.benchmark.probe.search.HALVINGS", ())
    result = train_on_frames(
        FRAMES, SPLIT, [3, 0], training(epochs=5, rates=RATES), make_objective(FRAMES, EVENTS)
    )
    for s, seed in enumerate((3, 0)):
        alone = [linear_reference(seed, rate, 5) for rate in RATES]
        best = [(max(found), -found.index(max(found)), -r) for r, (_, found, _) in enumerate(alone)]
        _, epoch, number = max(best)
        losses, found, tested = alone[-number]
        assert result.learning_rates[s] == RATES[-number]
        assert result.best_epochs[s] == -epoch
        np.testing.assert_allclose(result.validation[:, s], found, atol=1e-9)
        np.testing.assert_allclose(result.losses[:, s], losses, rtol=1e-5)
        for one, wanted in zip(result.predicted, tested[-epoch], strict=True):
            np.testing.assert_allclose(one[s], wanted, atol=2e-4)


def test_heads_that_go_on_are_what_they_would_be_alone() -> None:
    """Dropping the others in the middle leaves Adam's state with its head."""
    long = training(epochs=20, rates=RATES)
    result = train_on_frames(FRAMES, SPLIT, [0, 1], long, make_objective(FRAMES, EVENTS))
    assert (result.learning_rates > RATES[0]).all()  # so rows were dropped before them
    for s, rate in enumerate(result.learning_rates):
        losses, found, tested = linear_reference(s, rate, 20)
        assert result.best_epochs[s] == found.index(max(found)) > 4
        np.testing.assert_allclose(result.validation[:, s], found, atol=1e-9)
        np.testing.assert_allclose(result.losses[:, s], losses, rtol=1e-4)
        for one, wanted in zip(result.predicted, tested[result.best_epochs[s]], strict=True):
            np.testing.assert_allclose(one[s], wanted, atol=1e-3)


def towers_reference(seed: int, rate: float, epochs: int, split: Split) -> tuple[Any, Any, Any]:
    """One seed and rate in float64: by epoch loss, validation recall and test similarities."""
    embeddings, captions = made(20)
    clips = embeddings[split.train].astype(np.float64)
    scaled = (embeddings - clips.mean(axis=0)) / clips.std(axis=0)
    plain = Plain(Towers(5, 9, seed, 12))
    plain.clip[0] = torch.nn.Identity()
    optimiser, order = torch.optim.Adam(plain.parameters()), np.random.default_rng([1])
    losses, recalls, tested = [], [], []
    for epoch in range(epochs):
        cosine = (1 + math.cos(math.pi * epoch / epochs)) / 2
        optimiser.param_groups[0]["lr"] = rate * (0.1 + 0.9 * cosine)
        pairs, steps = order.permutation(np.array(mine(captions, split.train))), []
        for batch in [pairs[i : i + 6] for i in range(0, len(pairs), 6)]:
            optimiser.zero_grad()
            loss = plain.loss(scaled, captions, batch)
            loss.backward()
            optimiser.step()
            steps.append(loss.item())
        losses.append(np.mean(steps))
        valid = plain.similarity(scaled, captions, split.valid)
        recalls.append(plain_recall(valid, captions, split.valid))
        tested.append(plain.similarity(scaled, captions, split.test))
    return losses, recalls, tested


def test_stacked_towers_equal_plain_towers_and_adam(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clip side is standardised by the training clips; all heads learn in one order."""
    monkeypatch.setattr("earmark.benchmark.probe.search.HALVINGS", ())
    rates = (0.003, 0.02)
    parts = [np.arange(10), np.arange(10, 15), np.arange(15, 20)]
    split = Split("test", *parts, given_train=np.concatenate(parts[:2]))
    result = train_towers(
        *made(20), split, [2, 0, 5], training(epochs=4, batch_size=6, rates=rates), width=12
    )
    later = 0
    for s, seed in enumerate((2, 0, 5)):
        alone = [towers_reference(seed, rate, 4, split) for rate in rates]
        best = [(max(found), -found.index(max(found)), -r) for r, (_, found, _) in enumerate(alone)]
        _, epoch, number = max(best)
        losses, recalls, tested = alone[-number]
        assert (result.learning_rates[s], result.best_epochs[s]) == (rates[-number], -epoch)
        np.testing.assert_allclose(result.losses[:, s], losses, rtol=1e-3)
        np.testing.assert_allclose(result.validation[:, s], recalls, atol=1e-9)
        np.testing.assert_allclose(result.similarities[s], tested[-epoch], atol=2e-3)
        later += epoch < 0
    assert later


@pytest.mark.parametrize("unit_length", [True, False])
def test_stacked_towers_learn_either_way_and_repeat(unit_length: bool) -> None:
    embeddings, captions, split = attributes()
    found = [
        train_towers(
            embeddings, captions, split, [0, 1],
            training(epochs=25, batch_size=16, rates=(1e-4, 1e-2)),
            unit_length=unit_length, width=24,
        )
        for _ in range(2)
    ]  # fmt: skip
    assert found[0].learning_rates.tolist() == [1e-2, 1e-2]
    for one, two in zip(*(result.similarities for result in found), strict=True):
        assert one.tobytes() == two.tobytes()
        assert plain_recall(one, captions, split.test) > 0.6  # chance is 1 of 14


def test_a_score_tells_what_was_chosen() -> None:
    protocol = dataclasses.replace(STRICT, seeds=2, bootstrap_resamples=50, least_updates=100)
    spec = make_spec("events", "segment_f1_macro", SPLITS, ProbeSettings(5, 4))
    score = score_items(timed_items(SPLITS), spec, protocol, frame_rate=RATE).scores["linear"]
    # five updates an epoch: 20 epochs, each of them judged
    assert score.learning_rates is not None and score.still_learning is not None
    assert len(score.learning_rates["test"]) == len(score.still_learning["test"]) == 2
    assert set(score.learning_rates["test"]) <= set(STRICT.learning_rates)
    assert all(isinstance(one, bool) for one in score.still_learning["test"])
    assert score.validation is not None and score.best_epochs is not None
    assert len(score.validation) <= 20
    assert score.checkpoints is None
    few = dataclasses.replace(protocol, checkpoints=4, patience=0.0)
    score = score_items(timed_items(SPLITS), spec, few, frame_rate=RATE).scores["linear"]
    assert score.checkpoints == {"test": [5, 10, 15, 20]}
    assert score.validation is not None and len(score.validation) == 4


def test_notes_name_what_was_still_learning_and_rates_at_an_end() -> None:
    score = Score("WER_inv", 0.5, [0.5], None, None, 0.95, 1, 1, {"test": 0.5})
    grid = {"learning_rates": [1e-4, 1e-3, 1e-2]}
    assert training_notes(score, grid) == []  # of a training without a grid, and of old files
    score.still_learning = {"1": [True, False], "2": [False, True]}
    score.learning_rates = {"1": [1e-2, 1e-2], "2": [1e-3, 1e-4]}
    assert training_notes(score, grid) == [
        "still learning (2 of 4 heads): the validation metric rose in the last fifth of the "
        "training",
        "the learning rate chosen is the least of the grid, 0.0001 (1 of 4 heads)",
        "the learning rate chosen is the largest of the grid, 0.01 (2 of 4 heads)",
    ]
    score.still_learning = {"1": [True, True]}
    assert "still learning (all 2 heads)" in training_notes(score, grid)[0]
    assert [note[:5] for note in training_notes(score, {"learning_rates": []})] == ["still"]
