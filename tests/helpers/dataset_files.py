"""A task of three classes, and shards of clips without sound."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from clips import TASK_YAML, clip_members, write_tar

from earmark.benchmark.shards.shard import (
    Extent,
    Shard,
)
from earmark.tasks import TaskSpec, read_task


def three_classes(folder: Path) -> TaskSpec:
    """The task `toy` of the classes cat, dog and 7."""
    file = folder / "toy.yaml"
    file.write_text(TASK_YAML)
    return dataclasses.replace(read_task(file), classes=("cat", "dog", "7"))


def make_shards(folder: Path, names: list[str], clips: int = 2) -> None:
    for name in names:
        members = [
            m for i in range(clips)
            for m in clip_members(f"r1-{name}-{i}", b"", {"label": "cat"})
        ]  # fmt: skip
        write_tar(folder / name, members)


def contents(shard: Shard) -> dict[str, tuple[str, bytes, bytes]]:
    """key -> (suffix, audio, metadata), read straight from the file."""
    raw = shard.path.read_bytes()

    def cut(extent: Extent) -> bytes:
        return raw[extent.offset : extent.offset + extent.size]

    return {e.key: (e.suffix, cut(e.audio), cut(e.metadata)) for e in shard.entries}
