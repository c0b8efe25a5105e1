"""Task files written by tests: one that is good, changes to it, and what is said of the bad."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from earmark.tasks import TaskError, TaskSpec, read_task

TASK = """
title: My task
abbreviation: Mine
domain: sound
description: two kinds of noise
licence: CC0
citation: nobody
url: https://example.org
folder: mine
splits: {train: train*.tar, valid: valid*.tar, test: test*.tar}
label: {kind: class, field: label}
classes: [hiss, hum]
probe: {epochs: 10, batch_size: 32, learning_rate: 0.001}
metric: accuracy
source: {unit: recording, key: '(?P<source>[0-9]+)-'}
"""


class _Drop:
    """In place of a value: the key is left out."""

    def __repr__(self) -> str:  # the same in every process: it is part of tests' names
        return "DROP"


DROP = _Drop()


def task(**changes: Any) -> dict[str, Any]:
    """A good task file's content, with some keys changed; `label__kind` reaches inside `label`."""
    raw: dict[str, Any] = yaml.safe_load(TASK)
    for key, value in changes.items():
        *outer, last = key.split("__")
        inner = raw[outer[0]] if outer else raw
        if value is DROP:
            del inner[last]
        else:
            inner[last] = copy.deepcopy(value)  # a later change must not reach the caller's
    return raw


def load(raw: Any, folder: Path, name: str = "my_task.yaml") -> TaskSpec:
    path = folder / name
    path.write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw), encoding="utf-8")
    return read_task(path)


def fault_of(raw: Any, folder: Path, name: str = "my_task.yaml") -> str:
    """The reader's complaint without the file's path, which must stand in front; one line."""
    with pytest.raises(TaskError) as caught:
        load(raw, folder, name)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{folder / name}: ")
    return message.removeprefix(f"{folder / name}: ")
