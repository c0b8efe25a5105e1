"""A Zenodo record: the files it states, each with its size and MD5.

What a record says comes from outside, so nothing of it is believed that could name a place outside
the task's folder or lack a bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeGuard

from earmark.tasks import TaskSpec

_LONGEST_KEY = 200  # bytes; a part's name adds to it, and file systems take 255
_MD5 = re.compile(r"md5:([0-9a-f]{32})")
_ARCHIVES = (".zip", ".tar.gz", ".tgz", ".7z", ".rar", ".tar.bz2", ".tar.xz")
_NAMED = 3  # files of a record that a message names


class FetchError(Exception):
    """What cannot be fetched. One line: what, why, how to mend it."""


@dataclass(frozen=True)
class RecordFile:
    """One file of a record. key: its plain name. size: bytes. md5: hex. url: of its bytes."""

    key: str
    size: int
    md5: str
    url: str


@dataclass(frozen=True)
class Record:
    """A record's number and files, each key once."""

    number: str
    files: tuple[RecordFile, ...]

    def files_of(self, spec: TaskSpec) -> tuple[RecordFile, ...]:
        """Files that match a task's shard patterns.

        Raises FetchError where a split or fold would be left without one.
        """
        for split, pattern in spec.shard_patterns.items():
            if not any(matches(file.key, pattern) for file in self.files):
                raise FetchError(self._without(spec, split, pattern))
        return self.matching(spec)

    def matching(self, spec: TaskSpec) -> tuple[RecordFile, ...]:
        """Files that match a task's shard patterns, be it for every split or not."""
        patterns = spec.shard_patterns.values()
        return tuple(
            file for file in self.files if any(matches(file.key, pattern) for pattern in patterns)
        )

    def _without(self, spec: TaskSpec, split: str, pattern: str) -> str:
        keys = [file.key for file in self.files]
        if keys and all(key.lower().endswith(_ARCHIVES) for key in keys):
            return (
                f"record {self.number} holds its shards in an archive ({_some(keys)}), which is "
                f"not unpacked here; unpack it into the folder {spec.folder} yourself"
            )
        return (
            f"record {self.number} has no file for {split} ({pattern}); it holds "
            f"{_some(keys) or 'none'}"
        )


def matches(key: str, pattern: str) -> bool:
    """Whether a file's name matches a shard pattern, as it would in a folder."""
    return PurePosixPath(key).match(pattern)


def parse_record(number: str, answer: Any) -> Record:
    """A record from the API's answer. Raises FetchError where it is not one."""
    files = answer.get("files") if isinstance(answer, dict) else None
    if not isinstance(files, list):
        raise FetchError(f"record {number}: the answer lists no files")
    parsed = tuple(_file(number, raw) for raw in files)
    keys = [file.key for file in parsed]
    for key in keys:
        if keys.count(key) > 1:
            raise FetchError(f"record {number} lists {key} twice")
    return Record(number, parsed)


def _file(number: str, raw: Any) -> RecordFile:
    key = raw.get("key") if isinstance(raw, dict) else None
    if not is_plain_name(key):
        raise FetchError(f"record {number} lists {key!r}, which is no plain file name; refused")
    size, checksum, links = raw.get("size"), raw.get("checksum"), raw.get("links")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise FetchError(f"record {number}: {key} has no size of one byte or more, but {size!r}")
    found = _MD5.fullmatch(checksum) if isinstance(checksum, str) else None
    if found is None:
        raise FetchError(f"record {number}: {key} has no MD5, but {checksum!r}")
    url = links.get("self") if isinstance(links, dict) else None
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise FetchError(f"record {number}: {key} has no address to fetch it from, but {url!r}")
    return RecordFile(key, size, found.group(1), url)


def is_plain_name(key: Any) -> TypeGuard[str]:
    """Whether a file of this name lies in its folder, and can be seen there."""
    return (
        isinstance(key, str)
        and key.isprintable()
        and not key.startswith(".")
        and not any(mark in key for mark in "/\\")
        and 0 < len(key.encode()) <= _LONGEST_KEY
    )


def _some(keys: list[str]) -> str:
    more = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {more} more" if more > 0 else "")
