"""A table of one's own files: CSV with a head.

    path,label,split,source
    dogs/rex 1.wav,bark,train,rex
    dogs/rex 2.wav,bark,test,rex

`path` is relative to the folder that the paths start from, or absolute and below it. `label` is a
class, or `labels` several, joined by `;`. `split` is train, valid or test, or `fold` any name.
`source` (may be absent) is what a clip was cut from or who made it. With `onset` and `offset`, or
`start` and `end`, in seconds, a row is an event, and a file has as many rows as events; one row
with neither times nor label says that nothing is heard. `--columns` names columns that are called
otherwise (see `earmark.benchmark.prepare.columns`); a column that nothing is said of is refused.
"""

from __future__ import annotations

import csv
import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.benchmark.prepare.columns import Columns, needed, times_of
from earmark.benchmark.prepare.recipe import SourceClip
from earmark.benchmark.prepare.source_folder import LayoutError, OriginalFolder, UnsafePathError
from earmark.benchmark.prepare.task_file import shard_patterns
from earmark.tasks import LABEL_KINDS

_SPLITS = ("train", "valid", "test")
_PART = re.compile(r"[A-Za-z0-9-]{1,40}")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_SEPARATOR = ";"
_FIELDS = {"class": "label", "multilabel": "labels", "events": "events"}  # of the clips' JSON
_SEGMENT_S = 1.0  # of events; the task file may be edited before it is used
_Row = tuple[int, dict[str, str]]  # line number, cells by column


@dataclass(frozen=True)
class Manifest:
    """A table that was read.

    clips: in the table's order. kind: of label: class, multilabel or events. folds: whether the
    parts are folds. classes, parts: sorted. sourced: whether clips have sources.
    """

    clips: list[SourceClip]
    kind: str
    folds: bool
    classes: tuple[str, ...]
    parts: tuple[str, ...]
    sourced: bool

    def declaration(self, name: str, domain: str) -> dict[str, Any]:
        """What a task file for the table declares."""
        kind = LABEL_KINDS[self.kind]
        label = {"kind": self.kind, "field": _FIELDS[self.kind]}
        if "separator" in kind.keys:
            label["separator"] = _SEPARATOR
        source = {"unit": "source", "field": "source"} if self.sourced else {"unit": "file"}
        return {
            "title": name,
            "abbreviation": name,
            "domain": domain,
            "description": f"{len(self.clips)} clips, {len(self.classes)} classes",
            "licence": "not stated",
            "citation": "not stated",
            "url": "not stated",
            "folder": name,
            "folds" if self.folds else "splits": shard_patterns(
                name, list(self.parts), folds=self.folds
            ),
            "label": label,
            "classes": list(self.classes),
            "probe": {"epochs": 10, "batch_size": 32},
            "metric": kind.metrics[0],
            "knn": kind.one_class,
            **({"segment_seconds": _SEGMENT_S} if kind.timed else {}),
            "source": source,
        }


def read_manifest(path: Path, original: OriginalFolder, columns: Columns | None = None) -> Manifest:
    """Read and check a table. Raises LayoutError with file, line and fix.

    A path that has `..`, or leads out of the folder by its text or by a link is refused, and with
    it the whole table: somebody who hands over a table must not get at other files.
    """
    heads, rows = _rows(path, original, columns or Columns())
    part = needed(path, heads, "split", "fold")
    times = times_of(path, heads)
    label = needed(path, heads, "label") if times else needed(path, heads, "label", "labels")
    sourced = "source" in heads and any(row["source"] for _, row in rows)
    for line, row in rows:
        where = f"{path}: line {line}"
        try:
            original.path(row["path"])
        except UnsafePathError as error:
            raise LayoutError(f"{where}: {error}") from error
        if part == "split" and row[part] not in _SPLITS:
            raise LayoutError(f"{where}: split {row[part]!r} is none of {', '.join(_SPLITS)}")
        if not _PART.fullmatch(row[part]):
            raise LayoutError(f"{where}: fold {row[part]!r} may hold only letters, digits and '-'")
        if sourced and not row["source"]:
            raise LayoutError(f"{where}: an empty source; name one, or remove the column")
    if times:
        clips, names = _event_clips(path, rows, part, times)
        kind = "events"
    else:
        clips, names = _class_clips(path, rows, part, label)
        kind = "multilabel" if label == "labels" else "class"
    found = {clip.split for clip in clips}
    folds = part == "fold"
    return Manifest(
        clips, kind, folds, tuple(sorted(names)),
        tuple(sorted(found)) if folds else tuple(split for split in _SPLITS if split in found),
        sourced,
    )  # fmt: skip


def _class_clips(
    path: Path, rows: list[_Row], part: str, label: str
) -> tuple[list[SourceClip], set[str]]:
    """A clip a row, and the classes."""
    twice = [name for name, n in Counter(row["path"] for _, row in rows).items() if n > 1]
    if twice:
        raise LayoutError(f"{path} names {twice[0]!r} twice; a file has one row")
    lines: dict[str, int] = {}
    clips = []
    for (line, row), key in zip(rows, _keys([row["path"] for _, row in rows]), strict=True):
        _check_label(f"{path}: line {line}", row[label], several=label == "labels")
        for name in _labels(row[label]) if label == "labels" else [row[label]]:
            lines.setdefault(name, line)
        kept = {name: value for name, value in row.items() if name not in ("path", part)}
        clips.append(SourceClip(row[part], key, row["path"], kept))
    _check_names(path, lines)
    return clips, set(lines)


def _event_clips(
    path: Path, rows: list[_Row], part: str, times: tuple[str, str]
) -> tuple[list[SourceClip], set[str]]:
    """A clip a file, with the events of its rows, and the classes."""
    of_file: dict[str, list[_Row]] = {}
    for line, row in rows:
        of_file.setdefault(row["path"], []).append((line, row))
    lines: dict[str, int] = {}
    clips = []
    for (file, mine), key in zip(of_file.items(), _keys(list(of_file)), strict=True):
        first = mine[0][1]
        for line, row in mine:
            for name in (part, "source"):
                if row.get(name) != first.get(name):
                    raise LayoutError(
                        f"{path}: line {line}: {file!r} has another {name} than in line "
                        f"{mine[0][0]}; a file has one"
                    )
        events = [] if _is_blank(mine, times) else list(_events(path, mine, part, times))
        for (line, _), event in zip(mine, events, strict=False):
            for name in event["label"].split(","):
                lines.setdefault(name.strip(), line)
        metadata: dict[str, Any] = {"events": events}
        if "source" in first:
            metadata["source"] = first["source"]
        clips.append(SourceClip(first[part], key, file, metadata))
    _check_names(path, lines)
    return clips, set(lines)


def _is_blank(rows: list[_Row], times: tuple[str, str]) -> bool:
    """Whether a file's only row has neither times nor a label, which says that nothing is heard."""
    cells = [rows[0][1][name] for name in (*times, "label")]
    return len(rows) == 1 and all(cell.lower() in ("", "nan") for cell in cells)


def _events(
    path: Path, rows: list[_Row], part: str, times: tuple[str, str]
) -> Iterator[dict[str, Any]]:
    for line, row in rows:
        where = f"{path}: line {line}"
        label = row["label"]
        if not all(name.strip() for name in label.split(",")):
            raise LayoutError(f"{where}: an empty label")
        if _SEPARATOR in label:
            raise LayoutError(f"{where}: {label!r} looks like several labels; give each a row")
        onset, offset = (_seconds(where, name, row[name]) for name in times)
        if onset >= offset:
            raise LayoutError(
                f"{where}: its {times[0]} {onset:g} s is not before its {times[1]} {offset:g} s"
            )
        more = {k: v for k, v in row.items() if k not in ("path", part, "source", *times)}
        yield more | {"onset": onset, "offset": offset}


def _seconds(where: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise LayoutError(f"{where}: its {name} is no time in seconds: {text!r:.80}")
    return value


def _rows(path: Path, original: OriginalFolder, columns: Columns) -> tuple[list[str], list[_Row]]:
    """Columns by their known names, and every row, stripped; paths from the folder on."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            heads = [head.strip() for head in table.fieldnames or []]
            if len(set(heads)) < len(heads):
                raise LayoutError(f"{path} has two columns of one name")
            if "path" not in columns.named:
                needed(path, heads, "path")
            table.fieldnames = heads = columns.heads(path, heads)
            rows = []
            for row in table:
                if None in row or None in row.values():
                    raise LayoutError(
                        f"{path}: line {table.line_num} does not have {len(heads)} columns; put "
                        "a value with a comma in double quotes"
                    )
                cells = {name: cell.strip() for name, cell in row.items()}
                for name in {"label", "labels"} & cells.keys():
                    cells[name] = unicodedata.normalize("NFC", cells[name])
                cells["path"] = original.relative(cells["path"])
                rows.append((table.line_num, cells))
    except (csv.Error, UnicodeDecodeError) as error:
        raise LayoutError(f"{path} is not a CSV in UTF-8 ({error})") from error
    except OSError as error:
        raise LayoutError(f"{path} cannot be read ({error.strerror or error})") from error
    if not rows:
        raise LayoutError(f"{path} has no rows")
    return heads, rows


def _check_names(path: Path, lines: dict[str, int]) -> None:
    """Raise LayoutError where the classes are numbers with a fraction: values, not classes.

    lines: the line of each class's first clip.
    """
    if not all(_is_number(name) for name in lines):
        return
    for name, line in lines.items():
        if not _WHOLE.fullmatch(name):
            raise LayoutError(
                f"{path}: line {line}: label {name!r} is a number with a fraction, and no class; "
                "write classes as names or as whole numbers"
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _labels(text: str) -> list[str]:
    return [name.strip() for name in text.split(_SEPARATOR)]


def _check_label(where: str, text: str, *, several: bool) -> None:
    if not text or (several and not all(_labels(text))):
        raise LayoutError(f"{where}: an empty label")
    if not several and _SEPARATOR in text:
        raise LayoutError(
            f"{where}: {text!r} looks like several labels; name the column 'labels' for them"
        )


def _keys(paths: list[str]) -> list[str]:
    """A key a path: the path without suffix, `/` as `_`; where two are alike, with a hash of it."""
    plain = [re.sub(r"[/\\\s]+", "_", path.rpartition(".")[0] or path) for path in paths]
    plain = [f"_{key}" if key.startswith(".") else key for key in plain]
    alike = Counter(plain)
    return [
        key if alike[key] == 1 else f"{key}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"
        for key, path in zip(plain, paths, strict=True)
    ]
