"""What a folder of shards was fetched from: a note beside them of all that the record states.

Without it half of a data set would look like the whole: whatever shards are there match the task's
patterns. A folder that somebody filled by hand has no note and is taken as it is.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.zenodo.record import Record, RecordFile, is_plain_name
from earmark.tasks import TaskSpec

KEPT = ".earmark"  # folder of notes, parts and locks inside a task's folder


@dataclass(frozen=True)
class DownloadReceipt:
    """A record, and for files that were checked against it their time of last change (ns)."""

    record: Record
    checked: dict[str, int]

    def lacking(self, spec: TaskSpec, folder: Path) -> list[RecordFile]:
        """Files of a task that are not in the folder, or not with the size they should have."""
        return [
            file for file in self.record.matching(spec) if size_of(folder / file.key) != file.size
        ]

    def was_checked(self, path: Path) -> bool:
        """Whether this very file was found to be the record's."""
        return path.exists() and self.checked.get(path.name) == path.stat().st_mtime_ns

    def with_checked(self, path: Path) -> DownloadReceipt:
        """The note with one more file found to be the record's."""
        return DownloadReceipt(self.record, self.checked | {path.name: path.stat().st_mtime_ns})


def note_path(folder: Path, record: str) -> Path:
    return folder / KEPT / f"record-{record}.json"


def read_note(spec: TaskSpec, folder: Path) -> DownloadReceipt | None:
    """The note of a task's record; None where there is none, or none that can be read."""
    if spec.zenodo_record is None:
        return None
    try:
        raw = json.loads(note_path(folder, spec.zenodo_record).read_text(encoding="utf-8"))
        files = tuple(RecordFile(**file) for file in raw["files"])
        if not all(is_plain_name(file.key) and isinstance(file.size, int) for file in files):
            return None
        checked = {str(key): int(changed) for key, changed in raw["checked"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return DownloadReceipt(Record(spec.zenodo_record, files), checked)


def write_note(note: DownloadReceipt, folder: Path) -> None:
    """Keep a note in the folder, which must be there."""
    text = json.dumps(
        {
            "record": note.record.number,
            "files": [dataclasses.asdict(file) for file in note.record.files],
            "checked": note.checked,
        },
        indent=1,
    )
    write_atomically(note_path(folder, note.record.number), text.encode())


def size_of(path: Path) -> int | None:
    """Bytes of a file; None where there is no file."""
    return path.stat().st_size if path.is_file() else None
