"""Which results may stand beside each other: groups of them, columns, data sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import NamedTuple

from earmark.benchmark.protocol import protocol_label
from earmark.benchmark.result.schema import RunResult

_WITHOUT_SEEDS = {"knn"}


class Group(NamedTuple):
    """What results must share to stand in one table. protocol: its label. limit: -1 for none."""

    synthetic: bool
    protocol: str
    seeds: int
    limit: int

    def caption(self, probes: Iterable[str]) -> str:
        """In one line; the seeds only where these probes have any."""
        words = [
            "SYNTHETIC data (made by procedure; says nothing about real audio)"
            if self.synthetic
            else "real data",
            f"protocol {self.protocol}",
        ]
        if not _WITHOUT_SEEDS.issuperset(probes):
            words.append(f"{self.seeds} seed{'s' if self.seeds != 1 else ''}")
        if self.limit >= 0:
            words.append(f"LIMITED to {self.limit} clips a split")
        return ", ".join(words)


def group_results(results: Iterable[RunResult]) -> dict[Group, list[RunResult]]:
    """Results by what they must share to stand in one table, sorted."""
    groups: dict[Group, list[RunResult]] = {}
    for result in results:
        limit = result.data.limit
        group = Group(
            result.synthetic,
            protocol_label(result.protocol),
            result.protocol["seeds"],
            -1 if limit is None else limit,
        )
        groups.setdefault(group, []).append(result)
    return dict(sorted(groups.items()))


def identity_of(result: RunResult) -> tuple[str, str]:
    return result.encoder.name, result.encoder.fingerprint


def column_names(results: list[RunResult]) -> dict[tuple[str, str], str]:
    """Column of each encoder; two of one name are told apart by their fingerprints."""
    identities = list(dict.fromkeys(identity_of(result) for result in results))
    names = [name for name, _ in identities]
    return {
        (name, fingerprint): name if names.count(name) == 1 else f"{name}@{fingerprint[:8]}"
        for name, fingerprint in identities
    }


def variant_of(result: RunResult) -> str:
    """What the task's cell was measured on: its declaration and the shards' content."""
    shards = sorted([shard.split, shard.sha256] for shard in result.data.shards)
    tokens = sorted({score.tokens for score in result.scores.values() if score.tokens})
    text = json.dumps([result.task.digest, shards, *tokens])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def part_of_classes(result: RunResult) -> str:
    """`10 of 50 classes` where the data at hand has clips of so many; else nothing."""
    present, classes = result.data.classes_present, result.task.classes
    if not isinstance(present, int) or not isinstance(classes, int) or present >= classes:
        return ""
    return f"{present} of {classes} classes"


def title_of(result: RunResult) -> str:
    """A task's title, and what part of its classes was there. Of synthetic audio the table says it
    once for all tasks: most twins have fewer classes than the data sets that they stand for."""
    part = "" if result.synthetic else part_of_classes(result)
    return f"{result.task.title} ({part})" if part else str(result.task.title)
