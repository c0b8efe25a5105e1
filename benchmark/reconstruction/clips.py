"""What is encoded and decoded: clips with their sources, wherever they come from."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from earmark.benchmark.shards.dataset import DataError
from earmark.benchmark.shards.shard import AUDIO_SUFFIXES, Extent, Failure, Shard, read_shard
from earmark.benchmark.synthetic import is_twin
from earmark.tasks import SourceRule, TaskSpec, builtin_tasks

_MANIFEST_COLUMNS = ("path", "key", "source", "start", "seconds")


@dataclass(frozen=True)
class ClipFile:
    """One file, or a stretch of it.

    key: unique in its material. source: what its interval is drawn by. read: its bytes. start:
    in seconds; seconds: how many from there, None for all.
    """

    key: str
    source: str
    read: Callable[[], bytes]
    start: float = 0.0
    seconds: float | None = None


@dataclass(frozen=True)
class ClipSet:
    """Clips that are measured together.

    name: in results and tables. source_unit: what a source is, in words. crop_seconds: length of
    the consecutive whole crops that a clip becomes, each measured on its own; None: the whole clip.
    failures: what could not even be found. known_as: the name that published values use for this
    data set; None where there are none. limit: at most so many clips were taken. place: where it
    lies, as --data takes it.
    """

    name: str
    kind: str
    clips: tuple[ClipFile, ...]
    source_unit: str = "file"
    crop_seconds: float | None = None
    failures: tuple[Failure, ...] = ()
    known_as: str | None = None
    synthetic: bool = False
    limit: int | None = None
    place: str = field(default="", compare=False)

    def limited(self, limit: int | None) -> ClipSet:
        """The clips whose keys' SHA-256 are lowest: a fixed choice, whatever the order."""
        if limit is None:
            return self
        lost = [failed.key for failed in self.failures]
        keys = sorted(
            [*(clip.key for clip in self.clips), *lost],
            key=lambda key: hashlib.sha256(key.encode()).digest(),
        )
        kept = set(keys[:limit])
        return replace(
            self,
            clips=tuple(clip for clip in self.clips if clip.key in kept),
            failures=tuple(failed for failed in self.failures if failed.key in kept),
            limit=limit,
        )


def open_material(data: Path, source_key: str | None = None) -> ClipSet:
    """A folder of audio files or of shards, one shard, or a manifest (.csv).

    source_key: a regular expression matched from the start of each clip's key; its group `source`
    is the clip's source. None: of shards of a built-in task by the task's rule, of a manifest by
    its column, else each file is its own. Raises DataError.
    """
    rule = None if source_key is None else _rule(source_key)
    name = data.resolve().name
    if data.is_dir():
        shards = sorted(data.glob("*.tar"))
        files = audio_files(data)
        if shards and files:
            raise DataError(
                f"{data} holds shards ({shards[0].name}) and audio files ({files[0].name}); give "
                "a folder of either"
            )
        if shards:
            return _of_shards(name, data, shards, rule)
        if files:
            return _of_files(name, data, files, rule)
        raise DataError(
            f"{data} holds no audio file ({', '.join(AUDIO_SUFFIXES)}) and no shard (*.tar)"
        )
    if not data.is_file():
        raise DataError(f"no folder or file {data}; give a folder, a shard or a manifest (.csv)")
    if data.suffix.lower() == ".tar":
        return _of_shards(data.stem, data, [data], rule)
    if data.suffix.lower() == ".csv":
        return _of_manifest(data, rule)
    raise DataError(f"{data} is neither a folder, a shard (.tar) nor a manifest (.csv)")


def audio_files(folder: Path) -> list[Path]:
    """Audio files of a folder and the folders in it, sorted; hidden ones left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower().lstrip(".") in AUDIO_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _rule(source_key: str) -> SourceRule:
    try:
        pattern = re.compile(source_key)
    except re.error as error:
        raise DataError(f"--source-key {source_key!r}: not a regular expression: {error}") from None
    if "source" not in pattern.groupindex:
        raise DataError(
            f"--source-key {source_key!r}: needs a group named source, as in (?P<source>[0-9]+)-"
        )
    return SourceRule("source", key=source_key)


def _of_files(name: str, folder: Path, files: Sequence[Path], rule: SourceRule | None) -> ClipSet:
    clips = []
    for path in files:
        key = path.relative_to(folder).as_posix()
        found = rule.source_of(key, None) if rule is not None else None
        clips.append(ClipFile(key, found or key, path.read_bytes))
    return ClipSet(
        name, "folder", tuple(clips), "file" if rule is None else rule.unit, place=str(folder)
    )


def _of_shards(name: str, place: Path, paths: Sequence[Path], rule: SourceRule | None) -> ClipSet:
    rule = rule or _task_rule(paths)
    clips: list[ClipFile] = []
    failures: list[Failure] = []
    unsourced: dict[str, Failure] = {}
    fits = False
    for path in paths:
        shard = read_shard(path)
        for clip, fault, has_field in _of_shard(shard, rule):
            clips.append(clip)
            fits = fits or has_field
            if fault is not None:
                unsourced[clip.key] = Failure(shard.name, clip.key, fault)
        failures += [
            Failure(failed.shard, f"{path.stem}/{failed.key}", failed.reason)
            for failed in shard.failures
        ]
    if not clips:
        raise DataError(f"{place}: its shards hold no clip (KEY.wav with KEY.json)")
    if fits:  # else the rule is of other shards, and each clip is its own source
        failures += unsourced.values()
        clips = [clip for clip in clips if clip.key not in unsourced]
    unit = "file" if rule is None or rule.by_clip else rule.unit
    return ClipSet(
        name, "shards", tuple(clips), unit, failures=tuple(failures), place=str(place),
        synthetic=any(is_twin(path.parent) for path in paths),
    )  # fmt: skip


def _of_shard(shard: Shard, rule: SourceRule | None) -> Iterable[tuple[ClipFile, str | None, bool]]:
    """Clips; why their source field holds no source; and whether they have that field."""
    for entry in shard.entries:
        metadata = None
        if rule is not None and rule.field is not None:
            try:
                metadata = json.loads(_read(shard.path, entry.metadata))
            except ValueError:
                metadata = None  # it has no field
        found = rule.source_of(entry.key, metadata) if rule is not None else None
        fault = rule.fault_of(metadata) if rule is not None else None
        has_field = rule is not None and rule.has_field(metadata)
        key = f"{shard.path.stem}/{entry.key}"
        yield ClipFile(key, found or key, partial(_read, shard.path, entry.audio)), fault, has_field


def _read(path: Path, extent: Extent) -> bytes:
    # opened for each clip: a data set may have more shards than a process may have files
    with path.open("rb") as file:
        file.seek(extent.offset)
        return file.read(extent.size)


def _task_rule(paths: Sequence[Path]) -> SourceRule | None:
    """The rule of the built-in task that has a folder of this name and shards of these names."""

    name = paths[0].resolve().parent.name

    def fits(spec: TaskSpec) -> bool:
        return name in (spec.folder, spec.also_in) and all(
            any(path.match(pattern) for pattern in spec.shard_patterns.values()) for path in paths
        )

    return next((spec.source for spec in builtin_tasks().values() if fits(spec)), None)


def _of_manifest(path: Path, rule: SourceRule | None) -> ClipSet:
    """Columns: path (from the manifest's folder); key, source, start and seconds where wanted."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            head = list(reader.fieldnames or [])
            lines = [(f"{path}:{reader.line_num}", line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    unknown = [column for column in head if column not in _MANIFEST_COLUMNS]
    if "path" not in head or unknown:
        raise DataError(
            f"{path}: its columns must be path and any of {', '.join(_MANIFEST_COLUMNS[1:])}, not "
            f"{', '.join(head) or 'nothing'}"
        )
    clips: dict[str, ClipFile] = {}
    for place, line in lines:
        clip = _of_line(path.parent, place, line, rule)
        if clip.key in clips:
            raise DataError(f"{place}: key {clip.key!r} is there twice; give each line its own")
        clips[clip.key] = clip
    if not clips:
        raise DataError(f"{path} lists no clip")
    unit = rule.unit if rule is not None else "source" if "source" in head else "file"
    return ClipSet(path.stem, "manifest", tuple(clips.values()), unit, place=str(path))


def _of_line(
    folder: Path, place: str, line: dict[str, str | None], rule: SourceRule | None
) -> ClipFile:
    if None in line or None in line.values():
        raise DataError(f"{place}: has not as many fields as the first line")
    said = {name: (text or "").strip() for name, text in line.items()}
    if not said["path"]:
        raise DataError(f"{place}: path is empty")
    start = _seconds(said.get("start"), place, "start", least=0.0) or 0.0
    seconds = _seconds(said.get("seconds"), place, "seconds", least=1e-6)
    key = said.get("key") or (said["path"] if not start else f"{said['path']}@{start:g}")
    found = rule.source_of(key, None) if rule is not None else said.get("source")
    file = folder / said["path"]
    return ClipFile(key, found or said["path"], file.read_bytes, start, seconds)


def _seconds(text: str | None, place: str, column: str, least: float) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not least <= value < float("inf"):
        raise DataError(f"{place}: {column} {text!r} must be a number of seconds")
    return value
