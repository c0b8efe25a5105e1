"""Embeddings and labels of a task's clips as items, with what was lost on the way."""

from __future__ import annotations

from typing import Any, NamedTuple

from earmark.benchmark.embedding.collectors import CUT, PADDED
from earmark.benchmark.evaluation.failures import (
    check_failures,
    check_faults,
    clip_failures,
    faulty,
    label_faults,
    lost_clips,
)
from earmark.benchmark.probe.items import Items, join_items, seconds_of, within_clips
from earmark.benchmark.shards.dataset import Dataset
from earmark.benchmark.shards.labels import label_clips
from earmark.benchmark.store import ShardEmbeddings


class Joined(NamedTuple):
    """What a cell is scored from. transient: whether what failed may pass the next time.

    facts: what the result's `data` holds of it.
    """

    items: Items
    transient: bool
    facts: dict[str, Any]


def _fitted(embeddings: list[ShardEmbeddings]) -> dict[str, int]:
    """How many clips were padded, and cut, for an encoder that does not take any length."""
    found = {
        name: [int(entry.made[name]) for entry in embeddings if name in entry.made]
        for name in (PADDED, CUT)
    }
    return {name: sum(counts) for name, counts in found.items() if counts}


def join(dataset: Dataset, embeddings: list[ShardEmbeddings], allowed: float) -> Joined:
    """Items of the clips that have both an embedding and a label.

    embeddings: one entry a shard. allowed: the share of clips, and of labels, that may be lost.
    Raises TooManyFailuresError where more are, DataError where nothing is left.
    """
    read = label_clips(dataset)
    labels, lost = [found for found, _ in read], [failed for _, failed in read]
    if dataset.spec.kind.timed:
        within = within_clips(dataset, labels, embeddings)
        labels = [found for found, _ in within]
        lost = [[*own, *late] for own, (_, late) in zip(lost, within, strict=True)]
    failures = clip_failures(dataset, embeddings, lost)
    check_failures(dataset, failures, allowed)
    faults, label_count = label_faults(dataset, labels)
    check_faults(faults, label_count, failures, allowed)
    facts = {
        "clips": dataset.clips,
        "seconds": seconds_of(dataset, embeddings),
        "labels": label_count,
        **faulty(faults),
        **lost_clips(failures),
        **_fitted(embeddings),
    }
    transient = any(entry.transient for entry in embeddings)
    return Joined(join_items(dataset, embeddings, labels), transient, facts)
