"""What of a task's shards is there, as the folders tell; nobody else is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from earmark.benchmark.zenodo.receipt import DownloadReceipt, read_note
from earmark.tasks import TaskSpec

PRESENT, INCOMPLETE, ABSENT = "present", "incomplete", "absent"


@dataclass(frozen=True)
class LocalShards:
    """What is there of one task.

    folder: where its shards are, or would be put. files: matching files that are there, with their
    bytes together. note: what the folder was fetched from, None where nothing was.
    """

    spec: TaskSpec
    folder: Path
    state: str
    files: int
    size: int
    note: DownloadReceipt | None

    @property
    def fetched(self) -> bool:
        """Whether the shards are those of the task's Zenodo record, as far as fetched."""
        return self.note is not None


def shards_folder(spec: TaskSpec, data: Path) -> Path:
    """The folder that a task's shards are read from, or would be put into."""
    own = data / spec.folder
    if own.is_dir() or spec.also_in is None:
        return own
    other = data / spec.also_in
    # where neither is there, tasks that share shards must choose the same one
    return other if other.is_dir() else min(own, other)


def holding(spec: TaskSpec, data: Path) -> LocalShards:
    """What is there of a task."""
    folder = shards_folder(spec, data)
    found = {
        split: [path for path in folder.glob(pattern) if path.is_file()]
        for split, pattern in spec.shard_patterns.items()
    }
    paths = {path for matching in found.values() for path in matching}
    note = read_note(spec, folder)
    complete = all(found.values()) and (note is None or not note.lacking(spec, folder))
    state = PRESENT if complete else INCOMPLETE if paths else ABSENT
    return LocalShards(spec, folder, state, len(paths), sum(p.stat().st_size for p in paths), note)


def lack_in_words(spec: TaskSpec, folder: Path) -> str | None:
    """What a folder lacks of the record it was fetched from; None where that is nothing."""
    note = read_note(spec, folder)
    lacking = note.lacking(spec, folder) if note is not None else []
    if note is None or not lacking:
        return None
    count = len(note.record.matching(spec))
    return (
        f"{folder} holds {count - len(lacking)} of the {count} files of Zenodo record "
        f"{note.record.number} whole"
    )
