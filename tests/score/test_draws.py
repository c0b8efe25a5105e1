"""Which clips are drawn: nested, as many of each class and source as there are, by key alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.score.draws import Draw


def pool_of(labels: Any, sources: Any, crops: int = 1) -> tuple[Items, Split]:
    """Clips that all may train, as items; each of so many crops."""
    labels, sources = np.repeat(labels, crops, axis=0), np.repeat(sources, crops)
    names, numbers = np.unique(sources, return_inverse=True)
    count = len(labels)
    items = Items(
        embeddings=np.zeros((count, 2), np.float32), labels=labels,
        splits=np.repeat("train", count),
        keys=np.array([f"k{i // crops:04d}" for i in range(count)]),
        crops=np.arange(count) % crops, sources=numbers, source_names=[str(n) for n in names],
        guessed_sources=0,
    )  # fmt: skip
    every = np.arange(count)
    return items, Split("test", every, every[:0], every[:0], every)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=3, max_size=40),
    st.integers(1, 5), st.integers(1, 5), st.integers(1, 3),
)  # fmt: skip
def test_subsets_are_nested_and_hold_k_of_each_class_and_as_many_sources_as_there_are(
    clips: list[tuple[int, int]], few: int, more: int, crops: int
) -> None:
    labels, sources = (np.array(column) for column in zip(*clips, strict=True))
    items, split = pool_of(labels, sources, crops)
    draw = Draw(items, split, 3, 0)
    small, large = draw.subset(few), draw.subset(few + more)
    assert set(small.every) <= set(large.every)
    for c in range(3):
        own = [i for i in small.clips if items.labels[i] == c]
        there = int((labels == c).sum())
        assert len(own) == min(few, there) == small.by_class[c]
        different = len(set(sources[labels == c]))
        assert len({items.sources[i] for i in own}) == min(len(own), different)
        held = [i for i in small.valid if items.labels[i] == c]
        expected = 0 if len(own) < 2 else max(1, len(own) // 5)
        assert len(held) == crops * expected
    assert small.short == sum(0 < (labels == c).sum() < few for c in range(3))
    assert not set(small.train) & set(small.valid)
    # all crops of a drawn clip, and no other's
    assert set(items.keys[small.every]) == set(items.keys[small.clips])
    assert len(small.every) == crops * len(small.clips)


def test_a_source_gives_a_second_clip_only_after_every_other_gave_one() -> None:
    """By hand: 7 clips of speaker a, 2 of b, 1 of c."""
    items, split = pool_of(np.zeros(10, np.int64), np.array([*"aaaaaaabbc"]))
    for number in range(10):
        order = Draw(items, split, 1, number).order[0]
        speakers = "".join(items.source_names[items.sources[i]] for i in order)
        assert sorted(speakers[:3]) == ["a", "b", "c"]
        assert sorted(speakers[3:5]) == ["a", "b"]
        assert speakers[5:] == "aaaaa"


def test_draws_differ_from_each_other_and_from_fold_to_fold() -> None:
    items, split = pool_of(np.arange(60) % 2, np.arange(60))
    other = dataclasses.replace(split, name="2")
    drawn = [
        tuple(Draw(items, one, 2, n).subset(4).clips) for one in (split, other) for n in (0, 1)
    ]
    assert len(set(drawn)) == 4


def test_a_clip_that_one_encoder_lost_alters_its_own_place_alone() -> None:
    items, split = pool_of(np.zeros(30, np.int64), np.arange(30))
    kept = split.given_train[split.given_train != 7]
    fewer = dataclasses.replace(split, train=kept, given_train=kept)
    whole = [int(Draw(items, split, 1, 0).firsts[i]) for i in Draw(items, split, 1, 0).order[0]]
    lost = Draw(items, fewer, 1, 0)
    assert [int(lost.firsts[i]) for i in lost.order[0]] == [i for i in whole if i != 7]


def test_of_several_labels_every_class_has_its_k_and_a_clip_counts_for_each() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((80, 3)) < 0.3
    items, split = pool_of(labels, np.arange(80))
    subset = Draw(items, split, 3, 0).subset(6)
    assert (subset.by_class == labels[subset.clips].sum(axis=0)).all()
    assert (subset.by_class >= 6).all()
    assert len(subset.clips) <= 18
