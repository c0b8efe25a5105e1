"""A table of one's own files: CSV with a head.

    path,label,split,source
    dogs/rex 1.wav,bark,train,rex
    dogs/rex 2.wav,bark,test,rex

`path` is relative to the folder that the paths start from. `label` is a class, or `labels` several,
joined by `;`. `split` is train, valid or test, or `fold` any name. `source` (may be absent) is what
a clip was cut from or who made it. Other columns go into the clip's JSON as they are.
"""

from __future__ import annotations

import csv
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


def read_manifest(path: Path, original: OriginalFolder) -> Manifest:
    """Read and check a table. Raises LayoutError with file, line and mend.

    A path that is absolute, has `..`, or leads out of the folder by a link is refused, and with it
    the whole table: somebody who hands over a table must not get at other files.
    """
    rows = _rows(path)
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
        clips.append(Clip(row[part], key, row["path"], kept))
    names = [
        n
        for clip in clips
        for n in (_labels(clip.metadata[label]) if several else [clip.metadata[label]])
    ]
    found = {clip.split for clip in clips}
    sourced = "source" in heads and any(clip.metadata["source"] for clip in clips)
    return Manifest(
        clips, several, folds, tuple(sorted(set(names))),
        tuple(sorted(found)) if folds else tuple(split for split in _SPLITS if split in found),
        sourced,
    )  # fmt: skip


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Line number and columns of every row, stripped."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            heads = [head.strip() for head in table.fieldnames or []]
            if "path" not in heads:
                raise LayoutError(
                    f"{path} lacks the column 'path'; its first line must name the columns, such "
                    "as path,label,split,source"
                )
            if len(set(heads)) < len(heads):
                raise LayoutError(f"{path} has two columns of one name")
            table.fieldnames = heads
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
    twice = [name for name, n in Counter(row["path"] for _, row in rows).items() if n > 1]
    if twice:
        raise LayoutError(f"{path} names {twice[0]!r} twice; a file has one row")
    return rows


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
