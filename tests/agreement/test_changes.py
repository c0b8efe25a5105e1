"""Which items changed prediction: every kind of prediction, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reference_files import class_predictions

from earmark.benchmark.agreement.changes import Change, OtherItemsError, changes_of
from earmark.benchmark.result.schema import Predictions


def predictions(**arrays: object) -> Predictions:
    """Two items, `a` and the second crop of `b`."""
    facts: dict[str, object] = {
        "keys": np.array(["a", "b"]), "crops": np.array([0, 1]), "sources": np.array(["s", "t"]),
        "splits": np.array(["1", "2"]), "linear": np.zeros((2, 1), int),
    }  # fmt: skip
    return Predictions(**(facts | arrays))  # type: ignore[arg-type]


def test_classes_of_both_probes() -> None:
    reference = class_predictions()
    measured = class_predictions(linear=[[0, 0], [1, 1], [2, 2], [3, 1]], knn=[0, 2, 2, 3])
    names = ("cat", "dog", "owl", "bee")
    linear = changes_of(measured, reference, "linear", names)
    assert (linear.changed, linear.total, linear.share) == (1, 8, 0.125)
    assert linear.items == (Change("d", 1, "test", "linear", 1, "bee", "bee", "dog"),)
    knn = changes_of(measured, reference, "knn", names)
    assert (knn.changed, knn.total) == (1, 4)
    assert knn.items == (Change("b", 0, "test", "knn", None, "dog", "dog", "owl"),)
    assert changes_of(reference, reference, "linear").items == ()


def test_a_class_without_a_name_is_a_number() -> None:
    (change,) = changes_of(
        class_predictions(knn=[0, 1, 2, 0]), class_predictions(), "knn", ("cat", "dog")
    ).items
    assert (change.label, change.was, change.now) == ("3", "3", "cat")


def test_several_classes_by_the_highest_logit() -> None:
    labels = np.array([[True, False, True], [False, False, False]])
    # seeds, items, classes
    was = np.array([[[3, 2, 1], [0, 1, 0]], [[1, 2, 3], [0, 0, 9]]], np.float32)
    now = was.copy()
    now[0, 0] = [2, 1, 0]  # lower, in the same order
    now[1, 0] = [5, 2, 3]
    found = changes_of(
        predictions(labels=labels, linear=now), predictions(labels=labels, linear=was),
        "linear", ("cat", "dog", "owl"),
    )  # fmt: skip
    assert (found.changed, found.total) == (1, 4)
    assert found.items == (Change("a", 0, "1", "linear", 1, "cat, owl", "owl", "cat"),)


def test_segments_by_what_either_holds_active() -> None:
    """Item a has 3 segments, b has 1; 9 classes take two bytes; two seeds."""
    was = np.zeros((2, 4, 9), bool)
    was[0, 0, 0] = was[0, 1, 8] = was[1, 3, 2] = True
    now = was.copy()
    now[0, 1, 8] = False  # gone
    now[0, 2, 4] = now[0, 2, 5] = True  # new
    packed = {
        "segments": np.array([3, 1]), "labels": np.packbits(np.zeros((4, 9), bool), axis=1)
    }  # fmt: skip
    found = changes_of(
        predictions(linear=np.packbits(now, axis=2), **packed),
        predictions(linear=np.packbits(was, axis=2), **packed),
        "linear",
    )
    assert (found.changed, found.total) == (3, 5)  # active in either: 3 + 2
    assert found.items == (Change("a", 0, "1", "linear", 0, "", "2 active", "3 active, 3 changed"),)


def test_captions_by_both_ranks() -> None:
    """Clip a has two captions, b three; one seed; ranks are shown from 1."""
    owners = np.array([0, 0, 1, 1, 1])
    was = predictions(
        labels=owners,
        linear=np.array([[0], [1]]),
        caption_ranks=np.array([[0], [0], [1], [0], [1]]),
    )
    now = replace(
        was, linear=np.array([[0], [0]]), caption_ranks=np.array([[0], [1], [1], [0], [0]])
    )
    found = changes_of(now, was, "linear")
    assert (found.changed, found.total) == (3, 7)
    assert found.items == (
        Change("b", 1, "2", "linear", 0, "its captions", "rank 2", "rank 1"),
        Change("a", 0, "1", "linear", 0, "from its caption 2", "rank 1", "rank 2"),
        Change("b", 1, "2", "linear", 0, "from its caption 3", "rank 2", "rank 1"),
    )


def test_transcripts_by_their_text() -> None:
    labels = np.array(["one two", "three"])
    was = predictions(labels=labels, linear=np.array([["one too", "one"], ["tree", "three"]]))
    now = predictions(labels=labels, linear=np.array([["one two", "one"], ["tree", ""]]))
    found = changes_of(now, was, "linear")
    assert (found.changed, found.total) == (2, 4)
    assert [(c.key, c.seed, c.label, c.was, c.now) for c in found.items] == [
        ("a", 0, "one two", "one too", "one two"), ("b", 1, "three", "three", ""),
    ]  # fmt: skip


def test_other_items_are_not_set_side_by_side() -> None:
    reference = class_predictions()
    turned = replace(reference, keys=np.array([*"bacd"]))
    with pytest.raises(OtherItemsError, match="in another order"):
        changes_of(turned, reference, "linear")
    other_crop = replace(reference, crops=np.array([0, 0, 0, 0]))
    with pytest.raises(OtherItemsError, match=r"without d \(crop 1\); with d$"):
        changes_of(other_crop, reference, "linear")
    with pytest.raises(OtherItemsError, match=r"shape \(4, 1\), in the reference \(4, 2\)"):
        changes_of(replace(reference, linear=reference.linear[:, :1]), reference, "linear")
    with pytest.raises(OtherItemsError, match=r"shape none, in the reference \(4,\)"):
        changes_of(replace(reference, knn=None), reference, "knn")
