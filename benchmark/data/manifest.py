"""A table of one's own files: CSV with a head.

    path,label,split,source
    dogs/rex 1.wav,bark,train,rex
    dogs/rex 2.wav,bark,test,rex

`path` is relative to the folder that the paths start from. `label` is a class, or `labels` several,
joined by `;`. `split` is train, valid or test, or `fold` any name. `source` (may be absent) is what
a clip was cut from or who made it; an empty cell makes the clip its own source, by its path. Any
other column must be named: `columns` says which of the table's columns is which of these
(`label=digit`), and which is kept in the clip's JSON (`room`).
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.data.original import LayoutError, OriginalFolder, UnsafePathError
from benchmark.data.recipe import Clip
from benchmark.data.task_file import shard_patterns

_SPLITS = ("train", "valid", "test")
_PART = re.compile(r"[A-Za-z0-9-]{1,40}")
_SEPARATOR = ";"
_COLUMNS = ("path", "label", "labels", "split", "fold", "source")
_MEANT = {  # what others call these columns
    "path": ("file", "filename", "file_name", "filepath", "audio", "wav"),
    "label": ("class", "category", "target", "digit", "genre", "emotion"),
    "split": ("set", "subset", "part", "partition"),
    "source": ("speaker", "speaker_id", "spk", "actor", "recording", "artist", "subject", "group"),
}
_FRACTION = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Manifest:
    """A table that was read.

    clips: in the table's order. several: whether a clip has several labels. folds: whether the
    parts are folds. classes, parts: sorted. sourced: whether any clip has a source.
    """

    clips: list[Clip]
    several: bool
    folds: bool
    classes: tuple[str, ...]
    parts: tuple[str, ...]
    sourced: bool

    def declaration(self, name: str, domain: str) -> dict[str, Any]:
        """What a task file for the table declares."""
        label: dict[str, Any] = {"kind": "class", "field": "label"}
        if self.several:
            label = {"kind": "multilabel", "field": "labels", "separator": _SEPARATOR}
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
            "metric": "mAP" if self.several else "accuracy",
            "knn": not self.several,
            "source": source,
        }


def read_manifest(path: Path, original: OriginalFolder, columns: str = "") -> Manifest:
    """Read and check a table. Raises LayoutError with file, line and mend.

    columns: `label=digit,source=speaker_id,room`; a name alone is kept in the clip's JSON. A path
    that has `..`, or leads out of the folder by a link is refused, and with it
    the whole table: somebody who hands over a table must not get at other files.
    """
    rows = _rows(path, _mapping(columns))
    rows = [(line, row | {"path": original.relative(row["path"])}) for line, row in rows]
    twice = [name for name, n in Counter(row["path"] for _, row in rows).items() if n > 1]
    if twice:
        raise LayoutError(f"{path} names {twice[0]!r} twice; a file has one row")
    heads = rows[0][1].keys() if rows else []
    label = _one_of(path, heads, "label", "labels")
    part = _one_of(path, heads, "split", "fold")
    several, folds = label == "labels", part == "fold"
    keys = _keys([row["path"] for _, row in rows])
    clips = []
    for (line, row), key in zip(rows, keys, strict=True):
        where = f"{path}: line {line}"
        try:
            original.path(row["path"])
        except UnsafePathError as error:
            raise LayoutError(f"{where}: {error}") from error
        _check_label(where, row[label], several=several)
        if not folds and row[part] not in _SPLITS:
            raise LayoutError(f"{where}: split {row[part]!r} is none of {', '.join(_SPLITS)}")
        if not _PART.fullmatch(row[part]):
            raise LayoutError(f"{where}: fold {row[part]!r} may hold only letters, digits and '-'")
        kept = {name: value for name, value in row.items() if name not in ("path", part)}
        if "source" in kept:
            kept["source"] = kept["source"] or row["path"]  # a clip of no source is its own
        clips.append(Clip(row[part], key, row["path"], kept))
    names = [
        n
        for clip in clips
        for n in (_labels(clip.metadata[label]) if several else [clip.metadata[label]])
    ]
    found = {clip.split for clip in clips}
    sourced = "source" in heads and any(row["source"] for _, row in rows)
    return Manifest(
        clips, several, folds, tuple(sorted(set(names))),
        tuple(sorted(found)) if folds else tuple(split for split in _SPLITS if split in found),
        sourced,
    )  # fmt: skip


def _rows(path: Path, mapping: dict[str, str]) -> list[tuple[int, dict[str, str]]]:
    """Line number and columns of every row, stripped."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            heads = [head.strip() for head in table.fieldnames or []]
            named = [mapping.get(head, head) for head in heads]
            if "path" not in named:
                raise LayoutError(
                    f"{path} lacks the column 'path'; its first line must name the columns, such "
                    "as path,label,split,source"
                )
            if len(set(heads)) < len(heads) or len(set(named)) < len(named):
                raise LayoutError(f"{path} has two columns of one name")
            table.fieldnames = heads = _named(path, heads, mapping)
            rows = []
            for row in table:
                if None in row or None in row.values():
                    raise LayoutError(
                        f"{path}: line {table.line_num} does not have {len(heads)} columns; put "
                        "a value with a comma in double quotes"
                    )
                rows.append((table.line_num, {name: cell.strip() for name, cell in row.items()}))
    except (csv.Error, UnicodeDecodeError) as error:
        raise LayoutError(f"{path} is not a CSV in UTF-8 ({error})") from error
    except OSError as error:
        raise LayoutError(f"{path} cannot be read ({error.strerror or error})") from error
    if not rows:
        raise LayoutError(f"{path} has no rows")
    return rows


def _mapping(columns: str) -> dict[str, str]:
    """The table's column to the name that it has here. Raises LayoutError."""
    found: dict[str, str] = {}
    for item in filter(None, (item.strip() for item in columns.split(","))):
        name, equals, column = (part.strip() for part in item.partition("="))
        if not equals:
            name = column = name.strip()
        elif name not in _COLUMNS:
            raise LayoutError(f"--columns {item}: {name!r} is none of {', '.join(_COLUMNS)}")
        if not column or column in found or name in found.values():
            raise LayoutError(f"--columns {item}: names a column twice, or none")
        found[column] = name
    return found


def _named(path: Path, heads: list[str], mapping: dict[str, str]) -> list[str]:
    """The columns' names here. Raises LayoutError where one is not known: what it would have
    decided (the source, say) would be missing without a word."""
    for column in mapping:
        if column not in heads:
            raise LayoutError(f"{path} has no column {column!r}, which --columns names")
    names = [mapping.get(head, head) for head in heads]
    unknown = [h for h in heads if h not in mapping and h not in _COLUMNS]
    if not unknown:
        return names
    if {"onset", "offset"} <= set(unknown) or {"start", "end"} <= set(unknown):
        raise LayoutError(
            f"{path} has columns of events in time; a table makes tasks of whole clips alone: "
            "write the task by hand (tasks/README.md, events)"
        )
    free = [name for name in _COLUMNS if name not in names]
    meant = next((name for name in free if unknown[0].lower() in _MEANT.get(name, ())), None)
    close = difflib.get_close_matches(unknown[0].lower(), free, n=1)
    likely = meant or (close[0] if close else None)
    if likely is not None:
        raise LayoutError(
            f"{path} has an unknown column {unknown[0]!r}; did you mean {likely!r}? "
            f"(--columns {likely}={unknown[0]}; --columns {unknown[0]} keeps it in the JSON)"
        )
    raise LayoutError(
        f"{path} has unknown columns: {', '.join(unknown)}; known are {', '.join(_COLUMNS)} "
        f"(--columns {','.join(unknown)} keeps them in the JSON)"
    )


def _one_of(path: Path, heads: Any, one: str, other: str) -> str:
    """Which of two columns there is; exactly one must be."""
    found = [name for name in (one, other) if name in heads]
    if len(found) != 1:
        raise LayoutError(
            f"{path} needs one of the columns {one!r} and {other!r}; it has {', '.join(heads)}"
        )
    return found[0]


def _labels(text: str) -> list[str]:
    return [name.strip() for name in text.split(_SEPARATOR)]


def _check_label(where: str, text: str, *, several: bool) -> None:
    if not text or (several and not all(_labels(text))):
        raise LayoutError(f"{where}: an empty label")
    for name in _labels(text) if several else [text]:
        if _FRACTION.fullmatch(name):
            raise LayoutError(
                f"{where}: label {name!r} is a measure, not a class; write classes as names or "
                "whole numbers"
            )
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
