"""The linear probe, against torch.nn modules, autograd and torch.optim.Adam in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import average_precision_score

from earmark.benchmark.probe import (
    HeadKey,
    ProbeTraining,
    initial_parameters,
    split_parameters,
    train_heads,
)
from earmark.benchmark.probe.splits import Split


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Products of this size take longer with two threads than with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_split(name: str, train: Any, valid: Any, test: Any) -> Split:
    parts = [np.asarray(list(part), np.int64) for part in (train, valid, test)]
    return Split(name, *parts, given_train=np.concatenate(parts[:2]))


def make_training(loss: str, classes: int, **changes: Any) -> ProbeTraining:
    settings = {"epochs": 4, "batch_size": 8, "learning_rate": 0.02, "learning_rate_floor": 0.1}
    return ProbeTraining(**(settings | changes), loss=loss, num_classes=classes)


def make_data(loss: str, count: int = 120, dimension: int = 7, classes: int = 4) -> tuple[Any, Any]:
    """Embeddings that tell something, not everything, about the labels; uneven scale and mean."""
    rng = np.random.default_rng(3)
    embeddings = rng.standard_normal((count, dimension)) * rng.uniform(0.2, 5, dimension) + 2
    scores = embeddings @ rng.standard_normal((dimension, classes))
    scores += 4 * rng.standard_normal(scores.shape)
    if loss == "bce":
        return embeddings.astype(np.float32), scores > np.median(scores, axis=0)
    return embeddings.astype(np.float32), scores.argmax(axis=1)


# three folds of unequal size; with batches of 8 each has a last batch of another length (7, 3, 8)
FOLDS = [
    make_split("1", range(71), range(71, 90), range(90, 120)),
    make_split("2", range(60, 95), range(95, 120), range(60)),
    make_split("3", range(0, 120, 5), range(1, 120, 5), [2, 3, 4, 7, 8, 9, 12, 13]),
]


class ReferenceHead:
    """One head, trained the way a textbook would: modules, autograd and an optimiser, float64.

    The order of the items is a rule of the probe: the generator seeded with [seed, split, 1]
    permutes the training items once an epoch, and batches are cut from that.
    """

    def __init__(self, embeddings: Any, labels: Any, training: ProbeTraining) -> None:
        self.x = torch.from_numpy(embeddings).double()
        self.y = torch.from_numpy(labels)
        self.training = training

    def run(self, split: Split, key: HeadKey) -> tuple[list[float], list[Any], list[float]]:
        """Validation metric and test logits after each epoch, mean loss of its batches."""
        training, dimension = self.training, self.x.shape[1]
        norm = torch.nn.LayerNorm(dimension).double()
        linear = torch.nn.Linear(dimension, training.num_classes).double()
        row = torch.from_numpy(initial_parameters(key, dimension, training.num_classes))
        weight, bias, scale, shift = split_parameters(row[None].double(), dimension)
        with torch.no_grad():
            linear.weight.copy_(weight[0])
            linear.bias.copy_(bias[0])
            norm.weight.copy_(scale[0])
            norm.bias.copy_(shift[0])
        model = torch.nn.Sequential(norm, linear)
        optimiser = torch.optim.Adam(model.parameters(), betas=(0.9, 0.999), weight_decay=0)
        order = np.random.default_rng([key.seed, key.split, 1])
        metrics, logits, losses = [], [], []
        for epoch in range(training.epochs):
            high = training.learning_rate
            low = high * training.learning_rate_floor
            for group in optimiser.param_groups:
                turn = np.cos(np.pi * epoch / training.epochs)
                group["lr"] = low + 0.5 * (high - low) * (1 + turn)
            shuffled = order.permutation(split.train)
            losses.append([])
            for start in range(0, len(shuffled), training.batch_size):
                batch = shuffled[start : start + training.batch_size]
                optimiser.zero_grad()
                loss = self.loss(model(self.x[batch]), self.y[batch])
                losses[-1].append(loss.item())
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                metrics.append(self.metric(model(self.x[split.valid]), self.y[split.valid]))
                logits.append(model(self.x[split.test]).numpy())
        return metrics, logits, [float(np.mean(own)) for own in losses]

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self.training.loss == "bce":
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.double())
        return torch.nn.functional.cross_entropy(logits, labels)

    def metric(self, logits: torch.Tensor, labels: torch.Tensor) -> float:
        if self.training.loss == "bce":
            return float(average_precision_score(labels.numpy(), logits.numpy(), average="macro"))
        return float((logits.argmax(dim=1) == labels).double().mean())


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
@pytest.mark.parametrize("batch_size", [8, 1, 1000])
def test_equals_torch_modules_autograd_and_adam(loss: str, batch_size: int) -> None:
    embeddings, labels = make_data(loss)
    training = make_training(loss, 4, batch_size=batch_size, epochs=2 if batch_size == 1 else 4)
    seeds = (0, 1, 5) if batch_size == 8 else (2,)
    result = train_heads(embeddings, labels, FOLDS, seeds, training)
    assert result.keys == [HeadKey(s, seed) for s in range(3) for seed in seeds]
    reference = ReferenceHead(embeddings, labels, training)
    for h, key in enumerate(result.keys):
        metrics, logits, losses = reference.run(FOLDS[key.split], key)
        np.testing.assert_allclose(result.validation[h], metrics, atol=1e-6)
        np.testing.assert_allclose(result.losses[h], losses, rtol=1e-5)
        best = metrics.index(max(metrics))  # the first of the best
        assert result.best_epochs[h] == best
        assert result.scores[h].shape == (len(FOLDS[key.split].test), 4)
        np.testing.assert_allclose(result.scores[h], logits[best], rtol=2e-4, atol=2e-4)


def test_reference_would_see_a_small_difference() -> None:
    """The comparison above can fail: a loss off by its batch's size, or another order, shows."""
    embeddings, labels = make_data("cross_entropy")
    training = make_training("cross_entropy", 4)
    one = ReferenceHead(embeddings, labels, training).run(FOLDS[0], HeadKey(0, 0))[1][-1]
    other = ReferenceHead(embeddings, labels, training).run(FOLDS[0], HeadKey(0, 1))[1][-1]
    slower = make_training("cross_entropy", 4, learning_rate=0.0199)
    third = ReferenceHead(embeddings, labels, slower).run(FOLDS[0], HeadKey(0, 0))[1][-1]
    assert np.abs(one - other).max() > 1e-2
    assert np.abs(one - third).max() > 5e-4


def test_learning_rate_is_a_cosine_set_once_an_epoch() -> None:
    training = make_training("bce", 2, epochs=4, learning_rate=1e-3)
    # low + (high - low) (1 + cos(pi e / 4)) / 2 with high 1e-3, low 1e-4 and cos 45 deg = 0.7071068
    by_hand = [1e-3, 8.681981e-4, 5.5e-4, 2.318019e-4]
    np.testing.assert_allclose([training.rate(e) for e in range(4)], by_hand, rtol=1e-6)
    torch_epochs = make_training("bce", 2, epochs=10, learning_rate=1e-3)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=10, eta_min=1e-4)
    for epoch in range(10):
        assert torch_epochs.rate(epoch) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimiser.step()
        schedule.step()


def test_first_of_the_best_epochs_is_tested() -> None:
    """A tie on validation: three items are classified alike after every epoch."""
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 30)
    embeddings = rng.standard_normal((60, 4)).astype(np.float32)
    embeddings[:, 0] += 20 * labels
    split = make_split("test", range(50), range(50, 53), range(53, 60))
    training = make_training("cross_entropy", 2, epochs=6, learning_rate=0.1)
    result = train_heads(embeddings, labels, [split], [0], training)
    assert result.validation[0].tolist().count(1.0) > 1
    first = result.validation[0].tolist().index(1.0)
    assert result.best_epochs[0] == first
    logits = ReferenceHead(embeddings, labels, training).run(split, HeadKey(0, 0))[1]
    np.testing.assert_allclose(result.scores[0], logits[first], atol=1e-3)
    assert np.abs(logits[first] - logits[-1]).max() > 0.1


def test_best_epoch_can_lie_before_the_last() -> None:
    """Validation labels are the wrong way round: the more is learned, the worse it gets."""
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 40)
    embeddings = rng.standard_normal((80, 4)).astype(np.float32)
    embeddings[:, 1] += 3 * labels
    labels[50:70] = 1 - labels[50:70]
    split = make_split("test", range(50), range(50, 70), range(70, 80))
    training = make_training("cross_entropy", 2, epochs=8)
    result = train_heads(embeddings, labels, [split], [0], training)
    validation = result.validation[0].tolist()
    assert result.best_epochs[0] == validation.index(max(validation)) < 7
    assert validation[-1] < max(validation)
    shorter = ReferenceHead(embeddings, labels, training).run(split, HeadKey(0, 0))[1]
    np.testing.assert_allclose(result.scores[0], shorter[result.best_epochs[0]], atol=1e-3)


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_head_is_the_same_alone_and_among_others(loss: str) -> None:
    embeddings, labels = make_data(loss)
    training = make_training(loss, 4)
    together = train_heads(embeddings, labels, FOLDS, range(4), training)
    alone = train_heads(embeddings, labels, FOLDS[:1], [2], training)
    h = together.keys.index(HeadKey(0, 2))
    np.testing.assert_allclose(together.scores[h], alone.scores[0], atol=1e-4)
    np.testing.assert_allclose(together.validation[h], alone.validation[0], atol=1e-6)


def test_same_call_twice_is_bit_equal() -> None:
    embeddings, labels = make_data("cross_entropy")
    training = make_training("cross_entropy", 4)
    one, two = (train_heads(embeddings, labels, FOLDS, [0, 1], training) for _ in range(2))
    assert one.validation.tobytes() == two.validation.tobytes()
    assert [s.tobytes() for s in one.scores] == [s.tobytes() for s in two.scores]


def test_seeds_and_folds_begin_and_end_differently() -> None:
    rows = [initial_parameters(HeadKey(s, seed), 6, 3) for s in range(3) for seed in range(3)]
    assert len({row.tobytes() for row in rows}) == 9
    embeddings, labels = make_data("cross_entropy")
    split = FOLDS[1]
    result = train_heads(
        embeddings, labels, [split, split], [0, 1], make_training("cross_entropy", 4)
    )
    assert len({scores.tobytes() for scores in result.scores}) == 4


def test_initial_parameters_begin_as_linear_and_layer_norm() -> None:
    dimension, classes = 64, 200
    row = torch.from_numpy(initial_parameters(HeadKey(0, 0), dimension, classes))
    weight, bias, scale, shift = split_parameters(row[None], dimension)
    assert weight.shape == (1, classes, dimension)
    assert bias.shape == (1, classes)
    assert (scale == 1).all()
    assert (shift == 0).all()
    bound = 1 / 8  # 1 / sqrt(64), what torch.nn.Linear's reset_parameters comes to
    for drawn in (weight, bias):
        assert drawn.abs().max() <= bound
        uniform = stats.kstest(drawn.flatten().numpy(), "uniform", args=(-bound, 2 * bound))
        assert uniform.pvalue > 1e-3
    linear = torch.nn.Linear(dimension, classes).weight.detach()
    assert float(weight.std()) == pytest.approx(float(linear.std()), rel=0.05)


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_test_labels_reach_nothing(loss: str) -> None:
    embeddings, labels = make_data(loss)
    training = make_training(loss, 4)
    split = FOLDS[0]
    changed = labels.copy()
    changed[split.test] = np.random.default_rng(0).permutation(labels[split.test])
    assert (changed != labels).any()
    one, two = (train_heads(embeddings, y, [split], [0], training) for y in (labels, changed))
    assert one.scores[0].tobytes() == two.scores[0].tobytes()
    assert one.best_epochs.tolist() == two.best_epochs.tolist()


def test_validation_labels_choose_the_epoch_and_train_nothing() -> None:
    embeddings, labels = make_data("cross_entropy")
    split, training = FOLDS[0], make_training("cross_entropy", 4)
    changed = labels.copy()
    changed[split.valid] = (labels[split.valid] + 1) % 4
    result = train_heads(embeddings, changed, [split], [0], training)
    logits = ReferenceHead(embeddings, labels, training).run(split, HeadKey(0, 0))[1]
    np.testing.assert_allclose(result.scores[0], logits[result.best_epochs[0]], atol=2e-4)


def test_separable_data_is_learned() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, 400)
    embeddings = rng.standard_normal((400, 12)).astype(np.float32)
    embeddings[np.arange(400), labels] += 12
    split = make_split("test", range(250), range(250, 300), range(300, 400))
    training = make_training("cross_entropy", 5, epochs=10)
    result = train_heads(embeddings, labels, [split], [0, 1], training)
    for scores in result.scores:
        assert (scores.argmax(axis=1) == labels[300:]).all()
    hot = labels[:, None] == np.arange(5)
    result = train_heads(embeddings, hot, [split], [0], make_training("bce", 5, epochs=10))
    assert average_precision_score(hot[300:], result.scores[0]) == 1.0


def test_random_labels_stay_near_chance() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 1400)
    embeddings = rng.standard_normal((1400, 8)).astype(np.float32)
    split = make_split("test", range(300), range(300, 400), range(400, 1400))
    result = train_heads(
        embeddings, labels, [split], range(3), make_training("cross_entropy", 4, batch_size=32)
    )
    for scores in result.scores:
        accuracy = (scores.argmax(axis=1) == labels[400:]).mean()
        assert abs(accuracy - 0.25) < 0.07  # five standard deviations of 1000 draws


def test_large_and_constant_embeddings_stay_finite() -> None:
    embeddings, labels = make_data("cross_entropy")
    embeddings[:40] *= 1e6
    embeddings[40:80] = 3.0  # no variance: LayerNorm's epsilon keeps it at 0
    result = train_heads(embeddings, labels, FOLDS, [0], make_training("cross_entropy", 4))
    assert all(np.isfinite(scores).all() for scores in result.scores)


def test_every_epoch_is_reported() -> None:
    embeddings, labels = make_data("bce")
    seen: list[tuple[int, int]] = []
    training = make_training("bce", 4, epochs=3)
    train_heads(embeddings, labels, FOLDS[:1], [0], training, lambda *step: seen.append(step))
    assert seen == [(1, 3), (2, 3), (3, 3)]
