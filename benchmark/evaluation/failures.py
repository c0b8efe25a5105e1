"""How many clips and labels may fail before their task has, and what a result says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from earmark.benchmark.result.facts import ClipFailure
from earmark.benchmark.shards.dataset import DataError, Dataset
from earmark.benchmark.shards.labels import Labelled
from earmark.benchmark.shards.shard import Failure
from earmark.benchmark.store import ShardEmbeddings

FAILURES_LISTED = 100


class TooManyFailuresError(DataError):
    """More clips or labels failed than may. facts: which ones, for the result's `data`."""

    def __init__(self, message: str, facts: dict[str, Any]) -> None:
        super().__init__(message)
        self.facts = facts


def check_failures(dataset: Dataset, failures: list[Failure], allowed: float) -> None:
    """allowed: share of the clips. Raises DataError where there are no clips."""
    total = dataset.clips
    if total == 0:
        raise DataError("its shards hold no clip (KEY.wav, .flac, .ogg or .mp3 with KEY.json)")
    if len(failures) > allowed * total:
        shard, key, reason = failures[0]
        fix = "the encoder" if reason.startswith("encoder ") else "the data"
        raise TooManyFailuresError(
            f"{len(failures)} of {total} clips failed, more than the {allowed:.1%} allowed; "
            f"the first: {shard}/{key}: {reason}; fix {fix}, or raise --failed-share",
            lost_clips(failures),
        )


def check_faults(
    faults: list[Failure], total: int, failures: list[Failure], allowed: float
) -> None:
    """The same of single labels, of which there are so many in all."""
    if len(faults) > allowed * total:
        shard, key, reason = faults[0]
        raise TooManyFailuresError(
            f"{len(faults)} of {total} labels cannot be used, more than the {allowed:.1%} "
            f"allowed; the first: {shard}/{key}: {reason}; fix the data, or raise "
            "--failed-share",
            lost_clips(failures) | faulty(faults),
        )


def lost_clips(failures: list[Failure]) -> dict[str, Any]:
    """What a result's `data` holds of clips that failed."""
    return {
        "failed_clips": len(failures),
        "failures": [ClipFailure(*failure) for failure in failures[:FAILURES_LISTED]],
    }


def faulty(faults: list[Failure]) -> dict[str, Any]:
    """What a result's `data` holds of labels that were left out."""
    return {
        "label_faults": len(faults),
        "faults": [ClipFailure(*fault) for fault in faults[:FAILURES_LISTED]],
    }


def label_faults(
    dataset: Dataset, labels: Sequence[dict[str, Labelled]]
) -> tuple[list[Failure], int]:
    """Single annotations that were left out, clip by clip; and how many there are in all."""
    faults = []
    total = 0
    for part, known in zip(dataset.shards, labels, strict=True):
        for key, found in sorted(known.items()):
            faults += [Failure(part.shard.name, key, fault) for fault in found.faults]
            total += len(found.label) + len(found.faults)
    return faults, total


def clip_failures(
    dataset: Dataset,
    embeddings: Sequence[ShardEmbeddings],
    label_failures: Sequence[list[Failure]],
) -> list[Failure]:
    """Every failure among the clips asked for, each clip once, sorted."""
    failures: dict[tuple[str, str], Failure] = {}
    for part, entry, more in zip(dataset.shards, embeddings, label_failures, strict=True):
        for failure in [*part.shard.failures, *entry.failures, *more]:
            if part.keys is None or failure.key in part.keys:
                failures.setdefault((failure.shard, failure.key), failure)
    return sorted(failures.values())
