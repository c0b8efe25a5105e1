"""What a recipe is: a plan of clips, each made on demand from a generator of its own."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from earmark.benchmark.synthetic.signals import Array, Generator
from earmark.tasks import TaskSpec

SEED = 20_250_611
"""First entry of every seed of every twin. Audio made to train a model must start from another."""

Label = TypeVar("Label")


@dataclass(frozen=True)
class SyntheticClip:
    """One clip to be made.

    metadata: what its JSON holds, an object or a list;
    render: generator -> samples (T,) or (T, channels), float64 in [-1, 1], at sample_rate Hz;
    suffix: `wav` or `flac`, 16 bit either way.
    """

    key: str
    metadata: Any
    render: Callable[[Generator], Array]
    sample_rate: int = 16_000
    suffix: str = "wav"


class Draw:
    """Generators of one task, told apart by name: `draw("speaker", "1001")`.

    The seed is [seed, CRC-32 of the task's name, CRC-32 of each name], so a clip does not depend
    on the clips made before it.
    """

    def __init__(self, task: str, seed: int = SEED) -> None:
        self.task, self.seed = task, seed

    def __call__(self, *names: object) -> Generator:
        words = (self.task, *names)
        return np.random.default_rng(
            [self.seed, *(zlib.crc32(str(word).encode()) for word in words)]
        )


Plan = dict[str, list[SyntheticClip]]  # split or fold -> its clips
Recipe = Callable[[TaskSpec, Draw], Plan]


def plan_of(
    spec: TaskSpec,
    labels: Iterable[Label],
    counts: int | Mapping[str, int],
    make: Callable[[str, Label, int], SyntheticClip],
) -> Plan:
    """So many clips of each label in each split or fold, from make(part, label, number).

    counts: clips a label: for every part, or by part; number runs from 0 in each part.
    """
    labels = list(labels)
    return {
        part: [
            make(part, label, number)
            for number in range(counts if isinstance(counts, int) else counts[part])
            for label in labels
        ]
        for part in spec.shard_patterns
    }


def part_index(spec: TaskSpec, part: str) -> int:
    """Place of a split or fold in the task's list, from 0."""
    return list(spec.shard_patterns).index(part)


def hex_name(rng: Generator, length: int) -> str:
    """Random lower-case hexadecimal name."""
    return "".join(f"{digit:x}" for digit in rng.integers(0, 16, length))


def video_name(rng: Generator) -> str:
    """Eleven random letters and digits, as a video site names its videos."""
    letters = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
    return "".join(letters[i] for i in rng.integers(0, len(letters), 11))
