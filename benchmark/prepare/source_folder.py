"""A data set's own folder, as its publishers lay it out: read without ever leaving it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from earmark.benchmark.shards.shard import AUDIO_SUFFIXES

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar", ".gz")
_SHOWN = 6  # entries of a folder that is not what was expected


class LayoutError(ValueError):
    """A folder that does not hold what it should. One line: what was expected, what was found."""


class UnsafePathError(ValueError):
    """A path that leads out of the folder, by its text or by a link."""


class OriginalFolder:
    """Files below one folder, by relative path with `/`. Nothing outside is read, nothing unpacked.

    root: may itself be a link; links below it are followed only where they stay below it.
    """

    def __init__(self, root: Path) -> None:
        self.given = root
        self.root = root.resolve()

    def path(self, relative: str) -> Path:
        """The file's real path, whether it exists or not. Raises UnsafePathError."""
        pure = PurePosixPath(relative)
        if pure.is_absolute() or ".." in pure.parts or "\0" in relative or not pure.parts:
            raise UnsafePathError(f"{relative!r} is not a path inside {self.given}")
        try:
            found = (self.root / pure).resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, Python < 3.13
            raise UnsafePathError(f"{relative!r} cannot be followed ({error})") from error
        if not found.is_relative_to(self.root):
            raise UnsafePathError(f"{relative!r} is a link that leads out of {self.given}")
        return found

    def relative(self, text: str) -> str:
        """A path's text, from the folder on where it is absolute and begins with the folder's."""
        if PurePosixPath(text).is_absolute():
            for start in (self.given.absolute(), self.root):
                if PurePosixPath(text).is_relative_to(start):
                    return PurePosixPath(text).relative_to(start).as_posix()
        return text

    def has(self, relative: str) -> bool:
        try:
            return self.path(relative).exists()
        except UnsafePathError:
            return False

    def files(self, pattern: str) -> list[str]:
        """Relative paths that match a glob, sorted; hidden ones (`._x.wav`) are none."""
        found = (path.relative_to(self.root).as_posix() for path in self.root.glob(pattern))
        return sorted(path for path in found if not PurePosixPath(path).name.startswith("."))

    def text(self, relative: str) -> str:
        """A text file's content. Raises LayoutError where there is none."""
        try:
            return self.path(relative).read_text(encoding="utf-8-sig")
        except FileNotFoundError as error:
            raise LayoutError(f"{self.given} has no {relative}") from error
        except (OSError, UnicodeDecodeError, UnsafePathError) as error:
            raise LayoutError(f"{self.given / relative} cannot be read ({error})") from error

    def lines(self, relative: str) -> list[str]:
        """A text file's lines that are not blank, stripped."""
        return [line.strip() for line in self.text(relative).splitlines() if line.strip()]

    def rows(self, relative: str, columns: Iterable[str]) -> list[dict[str, str]]:
        """A CSV's rows by column name. Raises LayoutError where it lacks one of `columns`."""
        table = csv.DictReader(io.StringIO(self.text(relative), newline=""), strict=True)
        try:
            heads = table.fieldnames or []
            for column in columns:
                if column not in heads:
                    raise LayoutError(
                        f"{self.given / relative} has no column {column!r}; it has "
                        f"{', '.join(heads) or 'none'}"
                    )
            rows = []
            for row in table:
                if any(row[column] is None for column in columns):
                    raise LayoutError(
                        f"{self.given / relative}: line {table.line_num} is too short"
                    )
                rows.append({name: value for name, value in row.items() if name is not None})
        except csv.Error as error:
            raise LayoutError(
                f"{self.given / relative}: line {table.line_num} is no CSV ({error})"
            ) from error
        return rows

    def json(self, relative: str) -> Any:
        try:
            return json.loads(self.text(relative))
        except (ValueError, RecursionError) as error:
            if isinstance(error, LayoutError):
                raise
            raise LayoutError(f"{self.given / relative} is not JSON ({error})") from error

    def audio_files(self) -> int:
        """How many files with an audio suffix there are, at any depth; links are not followed."""
        count = 0
        for _, _, names in os.walk(self.root):
            count += sum(
                name.rpartition(".")[2].lower() in AUDIO_SUFFIXES and not name.startswith(".")
                for name in names
            )
        return count


def find_root(folder: Path, markers: tuple[str, ...], layout: str) -> OriginalFolder:
    """The folder itself, or the one folder in it, that has one of the markers (globs).

    Archives unpack to a folder of their own, and both are what people point at. Raises LayoutError.
    """
    if not folder.is_dir():
        raise LayoutError(f"there is no folder {folder}; expected {layout}")
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    for candidates in ([folder], inner):
        fitting = [place for place in candidates if any(any(place.glob(mark)) for mark in markers)]
        if len(fitting) == 1:
            return OriginalFolder(fitting[0])
        if fitting:
            names = ", ".join(path.name for path in fitting)
            raise LayoutError(f"{folder} holds several data sets ({names}); choose one with --from")
    raise LayoutError(f"{folder}: expected {layout}; found {_contents(folder)}")


def _contents(folder: Path) -> str:
    """The first entries of a folder, and what to do where they are archives."""
    names = sorted(
        path.name + ("/" if path.is_dir() else "")
        for path in folder.iterdir()
        if not path.name.startswith(".")
    )
    if not names:
        return "nothing"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    archives = [name for name in names if name.lower().endswith(_ARCHIVES)]
    advice = f" (unpack {archives[0]} first: nothing is unpacked here)" if archives else ""
    return ", ".join(names[:_SHOWN]) + more + advice
