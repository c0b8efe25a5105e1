"""Fetching tasks' shards: what is lacking is planned first, then fetched task by task."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from earmark.benchmark.io.progress import Progress, ProgressFactory, format_bytes, no_progress
from earmark.benchmark.zenodo.download import bytes_here, download_file, part_path
from earmark.benchmark.zenodo.receipt import KEPT, DownloadReceipt, read_note, write_note
from earmark.benchmark.zenodo.record import FetchError, Record, RecordFile
from earmark.benchmark.zenodo.server import Server, UnreachableError
from earmark.benchmark.zenodo.status import PRESENT, LocalShards, holding
from earmark.tasks import TaskSpec

_SPARE = 256 << 20  # bytes of a disk that are left free
_MB = 10**6
NOT_ASKED = "nobody was asked for its record"


@dataclass(frozen=True)
class FetchItem:
    """What one task lacks. record: of the shards; None where the task is present, or no record is
    known. files: those of it that are not there, which may be none where the task's note is old.

    error: why what is lacking cannot be fetched; None where it can be. shared: the task, earlier in
    the plan, that the same files are fetched for.
    """

    holding: LocalShards
    record: Record | None = None
    files: tuple[RecordFile, ...] = ()
    error: str | None = None
    shared: str | None = None

    @property
    def spec(self) -> TaskSpec:
        return self.holding.spec

    @property
    def size(self) -> int:
        """Bytes still to come for it, none where another task fetches them."""
        if self.shared is not None:
            return 0
        folder = self.holding.folder
        return sum(file.size - bytes_here(folder, file) for file in self.files)


@dataclass(frozen=True)
class Plan:
    """What tasks lack, in the order asked for. data: the folder of all tasks' folders."""

    data: Path
    needs: tuple[FetchItem, ...]

    @property
    def size(self) -> int:
        """Bytes to come."""
        return sum(need.size for need in self.needs)

    @property
    def to_fetch(self) -> list[FetchItem]:
        return [need for need in self.needs if need.record is not None and need.error is None]

    @property
    def free(self) -> int:
        """Bytes free where the data folder is, or would be."""
        return shutil.disk_usage(_nearest(self.data)).free

    def shortage(self) -> str | None:
        """Why the disks cannot take what is to come, in one line; None where they can."""
        wanted: dict[int, tuple[Path, int]] = {}
        for need in self.to_fetch:
            there = _nearest(need.holding.folder)
            _, known = wanted.get(there.stat().st_dev, (there, 0))
            wanted[there.stat().st_dev] = there, known + need.size
        for there, size in wanted.values():
            free = shutil.disk_usage(there).free
            if size + _SPARE > free:
                return (
                    f"too little disk: {format_bytes(size)} to fetch and {format_bytes(_SPARE)} to "
                    f"spare, {format_bytes(free)} free in {there}; ask for fewer tasks, or another "
                    "--data DIR"
                )
        return None


def make_plan(
    specs: Sequence[TaskSpec],
    data: Path,
    server: Server | None,
    track: ProgressFactory = no_progress,
) -> Plan:
    """Look at what is there, and ask for the records of what is not. Fetches no shard.

    server: None asks nobody, and what is lacking cannot be fetched.
    """
    holdings = [holding(spec, data) for spec in specs]
    lacking = [one for one in holdings if one.state != PRESENT]
    numbers = dict.fromkeys(
        one.spec.zenodo_record for one in lacking if one.spec.zenodo_record is not None
    )
    records = _records(list(numbers), server, track)
    needs: list[FetchItem] = []
    for one in holdings:
        need = FetchItem(one) if one.state == PRESENT else _need(one, records)
        same = [other for other in needs if other.shared is None and _same(other, need)]
        if same:
            need = FetchItem(one, need.record, need.files, shared=same[0].spec.name)
        needs.append(need)
    return Plan(data, tuple(needs))


def _same(other: FetchItem, need: FetchItem) -> bool:
    """Whether all that one lacks is fetched for the other."""
    folders = other.holding.folder == need.holding.folder
    return bool(need.files) and folders and set(need.files) <= set(other.files)


def _records(
    numbers: list[str], server: Server | None, track: ProgressFactory
) -> dict[str, Record | str]:
    """Records by number, or why they are not known; the first that cannot be reached ends it."""
    records: dict[str, Record | str] = {}
    if server is None:
        return dict.fromkeys(numbers, NOT_ASKED)
    with track("asking for records", len(numbers), "records") as bar:
        for number in numbers:
            try:
                records[number] = server.record(number)
            except UnreachableError as error:
                return dict.fromkeys(numbers, str(error)) | records
            except FetchError as error:
                records[number] = str(error)
            bar.advance(1)
    return records


def _need(one: LocalShards, records: dict[str, Record | str]) -> FetchItem:
    """What a task lacks that is not all there."""
    if one.spec.zenodo_record is None:
        return FetchItem(one, error="the task names no Zenodo record to fetch it from")
    record = records[one.spec.zenodo_record]
    if isinstance(record, str):
        return FetchItem(one, error=record)
    try:
        files = record.files_of(one.spec)
        lacking = tuple(f for f in files if not os.path.lexists(one.folder / f.key))
        _check_others(one, [file for file in files if file not in lacking])
    except FetchError as error:
        return FetchItem(one, record, error=str(error))
    return FetchItem(one, record, lacking)


def _check_others(one: LocalShards, files: Sequence[RecordFile]) -> None:
    """Raise FetchError where a file that is there has not the size that the record states."""
    for file in files:
        path = one.folder / file.key
        size = path.stat().st_size if path.is_file() else None
        if size != file.size:
            found = "no file" if size is None else f"{size} bytes"
            raise FetchError(
                f"{path} is not the record's ({found}, not {file.size} bytes); nothing is written "
                "over: remove it, or give another folder with --data DIR"
            )


def fetch(
    plan: Plan,
    server: Server,
    *,
    say: Callable[[str], None] = lambda line: None,
    track: ProgressFactory = no_progress,
) -> dict[str, str]:
    """Fetch what a plan lists. Returns why a task is still not all there, by its name.

    say: is given a line as each task is there or is not, and where another run is waited for.
    """
    errors = {need.spec.name: need.error for need in plan.needs if need.error is not None}
    over = plan.shortage()  # why nothing more can be fetched at all
    if over is not None:
        say(over)
    for need in plan.to_fetch:
        name = need.spec.name
        if need.shared is not None:
            if need.shared in errors:
                errors[name] = errors[need.shared]
            continue
        error = over
        if error is None:
            try:
                _fetch_task(need, plan.data, server, say, track)
                say(f"fetched {name}")
                continue
            except UnreachableError as caught:
                over = error = str(caught)
            except FetchError as caught:
                error = str(caught)
            except OSError as caught:
                error = f"cannot be written: {caught}"
                over = error if caught.errno == errno.ENOSPC else None
            say(f"not fetched {name}: {error}")
        errors[name] = error
    return errors


def _fetch_task(
    need: FetchItem, data: Path, server: Server, say: Callable[[str], None], track: ProgressFactory
) -> None:
    """Fetch what one task lacks, alone in its folder. Raises FetchError and OSError."""
    spec, folder, record = need.spec, need.holding.folder, need.record
    assert record is not None
    _make_folder(data, folder / KEPT)
    with _alone(folder / KEPT / "lock", spec.name, say):
        known = read_note(spec, folder)
        note = DownloadReceipt(record, known.checked if known is not None else {})
        write_note(note, folder)
        files = record.files_of(spec)
        there = [file for file in files if os.path.lexists(folder / file.key)]
        _check_others(need.holding, there)  # another run may have been here since
        lacking = [file for file in files if file not in there]
        _remove_other_parts(folder, lacking)
        with track(f"{spec.name}: checking", len(there), "files") as bar:
            for file in there:
                note = _checked(note, file, folder)
                bar.advance(1)
        total = sum(file.size - bytes_here(folder, file) for file in lacking)
        with track(f"{spec.name}: fetching", total // _MB, "MB") as bar:
            count = _Count(bar)
            for file in lacking:
                download_file(server, file, folder, count.more)
                note = note.with_checked(folder / file.key)
                write_note(note, folder)


class _Count:
    """Bytes as they come, shown as megabytes."""

    def __init__(self, bar: Progress) -> None:
        self.bar, self.bytes = bar, 0

    def more(self, count: int) -> None:
        self.bytes += count
        self.bar.to(self.bytes // _MB, self.bar.total)


def _checked(note: DownloadReceipt, file: RecordFile, folder: Path) -> DownloadReceipt:
    """The note, after a file of the right size that was there has been found to be the record's."""
    path = folder / file.key
    if note.was_checked(path):
        return note
    with path.open("rb") as opened:
        found = hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != file.md5:
        raise FetchError(
            f"{path} is not the record's (its MD5 is {found}, not {file.md5}); nothing is written "
            "over: remove it, or give another folder with --data DIR"
        )
    note = note.with_checked(path)
    write_note(note, folder)
    return note


def _remove_other_parts(folder: Path, lacking: Sequence[RecordFile]) -> None:
    """Drop parts that nothing will complete: of files that are there, or changed on the server."""
    wanted = {part_path(folder, file) for file in lacking}
    for path in (folder / KEPT).glob("*.part"):
        if path not in wanted:
            path.unlink(missing_ok=True)


def _make_folder(data: Path, folder: Path) -> None:
    """Make a folder inside the data folder. Raises FetchError where a link leads elsewhere."""
    data.mkdir(parents=True, exist_ok=True)
    there = data
    for name in folder.relative_to(data).parts:
        there = there / name
        there.mkdir(exist_ok=True)
        if there.is_symlink():
            raise FetchError(
                f"{there} is a link, and nothing is fetched through one; give the folder that "
                "holds its target with --data DIR"
            )


@contextlib.contextmanager
def _alone(path: Path, name: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock, which ends with the process that holds it, however that ends."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"waiting for another run that fetches {name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(one for one in (path, *path.absolute().parents) if one.exists())
