"""Which clips of a task are copies of each other, and which sources are in several splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from earmark.benchmark.audit.audio_hash import AudioHash


class HashedClip(NamedTuple):
    """One clip that could be decoded. split: its split or fold.

    label: as `shards/labels.py` reads it; None where it could not be read, or where two labels
        may both be right (captions). source: None where the clip is its own.
    """

    split: str
    shard: str
    key: str
    hash: AudioHash
    label: tuple[Any, ...] | None = None
    source: str | None = None


@dataclass(frozen=True)
class DuplicateGroup:
    """Two or more clips that hold the same audio, by split, shard and key."""

    clips: tuple[HashedClip, ...]

    @property
    def splits(self) -> list[str]:
        """Splits or folds that hold one, in the task's order."""
        return list(dict.fromkeys(clip.split for clip in self.clips))

    @property
    def across(self) -> bool:
        """Whether they are in more than one split or fold."""
        return len(self.splits) > 1

    @property
    def twice_in_one(self) -> int:
        """Clips that have a copy in their own split or fold."""
        return sum(count for count in Counter(c.split for c in self.clips).values() if count > 1)

    @property
    def labelled(self) -> int:
        """Clips whose label could be read."""
        return sum(clip.label is not None for clip in self.clips)

    @property
    def conflict(self) -> bool:
        """Whether two of them are labelled differently."""
        return len({clip.label for clip in self.clips if clip.label is not None}) > 1

    @property
    def differ_by(self) -> list[str]:
        """What sets the files apart: `silence` at an end, `polarity`; nothing where all alike."""
        found = []
        if len({(clip.hash.lead, clip.hash.trail) for clip in self.clips}) > 1:
            found.append("silence")
        if len({clip.hash.inverted for clip in self.clips}) > 1:
            found.append("polarity")
        return found


class SplitPair(NamedTuple):
    """Two splits or folds that share audio, and how many clips of each the other holds too."""

    splits: tuple[str, str]
    clips: tuple[int, int]


def find_copies(clips: Iterable[HashedClip], splits: Sequence[str]) -> list[DuplicateGroup]:
    """Every group of clips with the same audio, in the order of their first clips.

    splits: the task's splits or folds in order. Silent clips are copies of nothing.
    """
    rank = {split: number for number, split in enumerate(splits)}
    groups: dict[str, list[HashedClip]] = defaultdict(list)
    for clip in clips:
        if not clip.hash.silent:
            groups[clip.hash.sha256].append(clip)

    def place(clip: HashedClip) -> tuple[int, str, str]:
        return rank[clip.split], clip.shard, clip.key

    found = [
        DuplicateGroup(tuple(sorted(group, key=place)))
        for group in groups.values()
        if len(group) > 1
    ]
    return sorted(found, key=lambda copies: place(copies.clips[0]))


def split_pairs(found: Iterable[DuplicateGroup], splits: Sequence[str]) -> list[SplitPair]:
    """Every pair of splits or folds that share audio, in the task's order."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for copies in found:
        held = Counter(clip.split for clip in copies.clips)
        for one, other in combinations(copies.splits, 2):
            counts[one, other][0] += held[one]
            counts[one, other][1] += held[other]
    return [
        SplitPair(pair, (counts[pair][0], counts[pair][1]))
        for pair in combinations(splits, 2)
        if pair in counts
    ]


def straddling(clips: Iterable[HashedClip], splits: Sequence[str]) -> dict[str, dict[str, int]]:
    """Sources with clips in more than one split or fold: source -> split -> clips, by name."""
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        if clip.source is not None:
            held[clip.source][clip.split] += 1
    return {
        source: {split: held[source][split] for split in splits if held[source][split]}
        for source in sorted(held)
        if len(held[source]) > 1
    }
