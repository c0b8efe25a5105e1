"""A recipe: how one data set's own layout becomes the clips of one task."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from earmark.benchmark.prepare.source_folder import OriginalFolder


class SourceClip(NamedTuple):
    """One clip to be packed.

    split: the split or fold, as the task file names it. key: of the shard's members. file: the
    audio, relative to the data set's folder. metadata: the clip's JSON.
    """

    split: str
    key: str
    file: str
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """One data set's layout.

    task: name in `tasks/`. layout: what is expected, for people. markers: globs, one of which the
    right folder matches. clips: lists what there should be, files that are missing among them.
    split: where the division comes from, for people.
    own: whether the division is Earmark's: the data set has none, and that of X-ARES is not known.
        Then the clips go to a task of their own, `<task>_earmark`, so that no result of theirs is
        ever taken for one on the published shards.
    """

    task: str
    layout: str
    markers: tuple[str, ...]
    clips: Callable[[OriginalFolder], Iterable[SourceClip]]
    split: str
    own: bool = False


def rank(name: str) -> bytes:
    """A fixed order that has nothing to do with what the name says: its SHA-256."""
    return hashlib.sha256(name.encode()).digest()


def stem(file: str) -> str:
    """A relative path's last part without its suffix."""
    return file.rpartition("/")[2].rpartition(".")[0]
