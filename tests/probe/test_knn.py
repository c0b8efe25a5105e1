"""kNN against a float64 brute force written out here, and against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from earmark.benchmark.probe import knn
from earmark.benchmark.probe.knn import knn_predict


def brute_force(
    train: Any, labels: Any, test: Any, classes: int, k: int, temperature: float
) -> Any:
    """Votes (M, C) one test item and one neighbour at a time, in float64."""
    votes = np.zeros((len(test), classes))
    for row, item in enumerate(np.asarray(test, np.float64)):
        similarities = []
        for other in np.asarray(train, np.float64):
            size = np.linalg.norm(item) * np.linalg.norm(other)
            similarities.append(item @ other / size if size else 0.0)
        nearest = sorted(range(len(train)), key=lambda i: -similarities[i])[:k]
        powers = [np.exp(similarities[i] / temperature) for i in nearest]
        for i, power in zip(nearest, powers, strict=True):
            votes[row, labels[i]] += power / sum(powers)
    return votes


def predict(train: Any, labels: Any, test: Any, classes: int = 3, **changes: Any) -> Any:
    options: dict[str, Any] = {"neighbours": 10, "temperature": 0.07, "centre": "origin"} | changes
    return knn_predict(
        np.asarray(train, np.float32),
        np.asarray(labels, np.int64),
        np.asarray(test, np.float32),
        num_classes=classes,
        **options,
    )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(1, 12),
    st.sampled_from([0.02, 0.07, 1.0]),
)
def test_equals_brute_force(seed: int, count: int, dimension: int, k: int, warmth: float) -> None:
    rng = np.random.default_rng(seed)
    train = rng.standard_normal((count, dimension)) + 0.5
    test = rng.standard_normal((6, dimension)) + 0.5
    labels = rng.integers(0, 4, count)
    if dimension == 1:  # every similarity is 1 or -1: which of the equals vote is not defined
        k = count
    votes = brute_force(train, labels, test, 4, k, warmth)
    predicted = predict(train, labels, test, 4, neighbours=k, temperature=warmth)
    assert predicted.shape == (6,)
    assert predicted.dtype == np.int64
    # where two classes are within float32's rounding of each other either is right
    chosen = votes[np.arange(6), predicted]
    assert (chosen >= votes.max(axis=1) - 1e-4).all()


def test_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.standard_normal((300, 8)), rng.standard_normal((600, 8))
    labels = rng.integers(0, 5, 300)

    def weights(distances: Any) -> Any:
        powers = np.exp((1 - distances) / 0.07)
        return powers / powers.sum(axis=1, keepdims=True)

    other = KNeighborsClassifier(10, metric="cosine", weights=weights, algorithm="brute")
    expected = other.fit(train, labels).predict(test)
    assert predict(train, labels, test, 5).tolist() == expected.tolist()
    # the data tell the choices apart: k, the weights and the metric all matter
    for changed in (
        KNeighborsClassifier(9, metric="cosine", weights=weights, algorithm="brute"),
        KNeighborsClassifier(10, metric="cosine", algorithm="brute"),
        KNeighborsClassifier(10),
    ):
        assert changed.fit(train, labels).predict(test).tolist() != expected.tolist()


@pytest.mark.parametrize("seed", range(20))
def test_cosines_about_the_training_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    train, test = rng.standard_normal((30, 5)) + 2, rng.standard_normal((8, 5)) + 2
    labels = rng.integers(0, 4, 30)
    mean = np.asarray(train, np.float32).mean(axis=0, dtype=np.float64)
    votes = brute_force(train - mean, labels, test - mean, 4, 7, 0.07)
    found = predict(train, labels, test, 4, neighbours=7, centre="training mean")
    assert (votes[np.arange(8), found] >= votes.max(axis=1) - 1e-4).all()
    about_the_origin = predict(train, labels, test, 4, neighbours=7)
    assert seed or found.tolist() != about_the_origin.tolist()  # the data tell the two apart


@pytest.mark.parametrize("factor", [1e3, 1e-3, 1e-9])
@pytest.mark.parametrize("constant", [0.0, 64.0, -512.0])
def test_a_constant_or_a_factor_changes_no_prediction(factor: float, constant: float) -> None:
    """Values on a grid of 2^-8, so that float32 holds the sums exactly."""
    rng = np.random.default_rng(3)
    train, test = (np.round(rng.standard_normal((n, 6)) * 256) / 256 for n in (200, 300))
    labels = rng.integers(0, 5, 200)
    before = predict(train, labels, test, 5, centre="training mean").tolist()
    moved = (train + constant) * factor, labels, (test + constant) * factor
    assert predict(*moved, 5, centre="training mean").tolist() == before


def test_votes_by_hand() -> None:
    """One near neighbour of class 0 against two of class 1 a little further off.

    Similarities 1, 0.95, 0.95. At 0.07 the near one weighs exp(0.05 / 0.07) = 2.04 against 2 x 1;
    at 0.08 it weighs exp(0.05 / 0.08) = 1.87.
    """
    side = np.sqrt(1 - 0.95**2)
    train = [[1, 0, 0], [0.95, side, 0], [0.95, 0, side]]
    assert predict(train, [0, 1, 1], [[2, 0, 0]], 2).tolist() == [0]
    assert predict(train, [0, 1, 1], [[2, 0, 0]], 2, temperature=0.08).tolist() == [1]
    assert predict(train, [0, 1, 1], [[2, 0, 0]], 2, temperature=0.08, neighbours=1) == [0]


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    train, test = rng.standard_normal((50, 6)), rng.standard_normal((33, 6))
    labels = rng.integers(0, 3, 50)
    whole = predict(train, labels, test).tolist()
    assert [int(predict(train, labels, test[i : i + 1])[0]) for i in range(33)] == whole
    for most in (1, 49, 50, 170, 350):
        monkeypatch.setattr(knn, "_SIMILARITIES", most)
        assert predict(train, labels, test).tolist() == whole


def test_fewer_items_than_neighbours_all_vote() -> None:
    train = [[1, 0], [0, 1], [0.1, 1]]
    assert predict(train, [2, 0, 0], [[0, 1], [1, 0.1]]).tolist() == [0, 2]
    assert predict(train[:1], [2], [[0, 1], [-1, 0]]).tolist() == [2, 2]


@pytest.mark.parametrize("factor", [1e-4, 0.3, 1e4])
def test_loudness_of_an_embedding_does_not_matter(factor: float) -> None:
    rng = np.random.default_rng(2)
    train, test = rng.standard_normal((80, 5)), rng.standard_normal((40, 5))
    labels = rng.integers(0, 3, 80)
    before = predict(train, labels, test).tolist()
    scales = np.where(rng.random((80, 1)) < 0.5, factor, 1.0)
    assert predict(train * scales, labels, test).tolist() == before
    assert predict(train, labels, test * factor).tolist() == before


def test_zero_vectors_are_similar_to_nothing() -> None:
    train = [[0, 0], [1, 0], [0, 1], [0, 0]]
    # of a neighbour that is zero: similarity 0, so the true neighbour outweighs both zeros
    assert predict(train, [1, 0, 2, 1], [[1, 0], [0, 1]]).tolist() == [0, 2]
    # a test item that is zero: all are at similarity 0, all vote alike
    assert predict(train, [1, 0, 2, 1], [[0, 0]]).tolist() == [1]


def test_equal_votes_go_to_the_lower_class() -> None:
    assert predict([[1, 0], [1, 0]], [2, 1], [[1, 0]]).tolist() == [1]


def test_normalising_columns_would_give_another_answer() -> None:
    """X-ARES scales the train matrix's columns, not its rows, to unit length.

    A train item's length then counts: the item of class 0 points where the test item points (their
    angle is 1 degree, against 19 for class 1), yet the long item of class 1 would win.
    """
    train = np.array([[100.0, 3.0], [2000.0, 800.0]])
    test = np.array([[1.0, 0.05]])
    columns = train / np.linalg.norm(train, axis=0)
    assert (test @ columns.T).argmax() == 1
    assert predict(train, [0, 1], test, 2, neighbours=1).tolist() == [0]


def test_of_equal_neighbours_the_first_vote():
    """400 equal clips: which ten vote is settled by their order, whatever the device prefers."""
    train = np.tile(np.array([[2.0, 0.0, 0.0]], np.float32), (400, 1))
    for first in (0, 1, 2):
        labels = np.full(400, (first + 1) % 3)
        labels[:10] = first
        assert (
            knn_predict(
                train, labels, train[:3], num_classes=3, neighbours=10, temperature=0.07
            ).tolist()
            == [first] * 3
        )
