"""Small clips, tars of them, and a task over them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

REPOSITORY = Path(__file__).parents[2]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


def audio_bytes(samples: Any, rate: int, suffix: str = "wav", subtype: str | None = None) -> bytes:
    """Samples (n,) or (n, channels) as a file's bytes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.asarray(samples), rate, format=suffix.upper(), subtype=subtype)
    return buffer.getvalue()


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """A tar of named members, in the given order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def clip_members(
    key: str, audio: bytes, label: Any, suffix: str = "wav"
) -> list[tuple[str, bytes]]:
    """The two members of one clip; label: the whole JSON value, or bytes as they are."""
    metadata = label if isinstance(label, bytes) else json.dumps(label).encode()
    return [(f"{key}.{suffix}", audio), (f"{key}.json", metadata)]


TASK_YAML = """\
title: Toy
abbreviation: Toy
domain: sound
description: low or high tones, for tests
licence: CC0
citation: none
url: https://example.org
folder: toy
splits: {train: train-*.tar, valid: valid-*.tar, test: test-*.tar}
label: {kind: class, field: label}
classes: [low, high]
probe: {epochs: 5, batch_size: 8}
metric: accuracy
source: {unit: recording, key: '(?P<source>r[0-9]+)-'}
"""
