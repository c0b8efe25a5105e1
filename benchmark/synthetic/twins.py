"""Making twins: recipe -> clips -> shards, whole or not at all."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile as sf

from earmark.benchmark.io.sealed import make_folder, read_manifest, visible
from earmark.benchmark.shards.dataset import DataError
from earmark.benchmark.synthetic import (
    captions,
    music,
    people,
    piano,
    scenes,
    sound,
    speech,
    spelling,
)
from earmark.benchmark.synthetic.recipe import SEED, Draw, Recipe, SyntheticClip
from earmark.tasks import TaskSpec

VERSION = 2
"""Raised whenever the audio of any twin changes. A cache of twins carries it in its name."""

MANIFEST = "synthetic.json"
SHARD_CLIPS = 256  # clips in one shard, where a pattern allows several

RECIPES: dict[str, Recipe] = {
    **speech.RECIPES,
    **people.RECIPES,
    **sound.RECIPES,
    **music.RECIPES,
    **scenes.RECIPES,
    **piano.RECIPES,
    **captions.RECIPES,
    **spelling.RECIPES,
}


def has_twin(name: str) -> bool:
    """Whether there is a recipe for the task of this name."""
    return name in RECIPES


def is_twin(folder: Path) -> bool:
    """Whether a folder of shards was made here, or is a copy of one: its manifest lies in it."""
    return (folder / MANIFEST).is_file()


def synthesise(
    spec: TaskSpec, root: Path, on_progress: Callable[[int, int], None] | None = None
) -> Path:
    """Make the task's twin under root/<spec.folder>/ unless it is there whole; return that folder.

    The twin has the real data set's shard names, JSON fields, label values and manner of keys;
    the same bytes each time. It is made in a temporary folder and renamed into place: a killed
    run leaves no half twin, and of two runs at once the second takes what the first made. Its
    shards are read each time; a damaged twin is made anew, and that is said.

    on_progress(done, total) is called as clips are made, not at all where the twin was there.

    Raises DataError for a task without a recipe, and where the folder holds something else.
    """
    if not has_twin(spec.name):
        raise DataError(
            f"task {spec.name!r} has no synthetic twin; there is one for: "
            f"{', '.join(sorted(RECIPES))}"
        )
    target = root / spec.folder
    stamp = {"task": spec.name, "version": VERSION, "seed": SEED}

    def make(folder: Path) -> None:
        _write_shards(spec, folder, on_progress or (lambda done, total: None))

    make_folder(target, MANIFEST, stamp, make, check=lambda: _check_own(target))
    return target


def _check_own(target: Path) -> None:
    """Raise DataError for a folder that holds what is not a twin's: it must not be replaced."""
    if not target.is_dir() or not os.path.lexists(target / MANIFEST):
        raise DataError(
            f"{target} exists and is not a synthetic twin; remove it, or choose another cache"
        )
    files = (read_manifest(target, MANIFEST) or {}).get("files")
    if isinstance(files, dict):
        for path in visible(target):
            if path.name not in {*files, MANIFEST}:
                raise DataError(f"{path} is not of the synthetic twin beside it; remove it")


def _write_shards(spec: TaskSpec, folder: Path, on_progress: Callable[[int, int], None]) -> None:
    draw = Draw(spec.name)
    plan = RECIPES[spec.name](spec, draw)
    total, done = sum(len(clips) for clips in plan.values()), 0
    for part, clips in plan.items():
        for name, group in _shards(spec.shard_patterns[part], clips):
            with tarfile.open(folder / name, "w", format=tarfile.GNU_FORMAT) as tar:
                for clip in group:
                    text = json.dumps(clip.metadata, ensure_ascii=False).encode()
                    _add(tar, f"{clip.key}.{clip.suffix}", _audio(clip, draw))
                    _add(tar, f"{clip.key}.json", text)
                    done += 1
                    on_progress(done, total)


def _shards(pattern: str, clips: list[SyntheticClip]) -> Iterator[tuple[str, list[SyntheticClip]]]:
    """File name and clips of each shard of a split or fold."""
    clips = sorted(clips, key=lambda clip: clip.key)
    if "*" not in pattern:
        yield pattern, clips
        return
    stem = pattern.replace("*.tar", "")
    join = "" if stem.endswith(("-", "_")) else "-" if "-" in stem else "_"
    size = min(SHARD_CLIPS, len(clips))
    for number, first in enumerate(range(0, len(clips), size)):
        yield f"{stem}{join}{number:06d}.tar", clips[first : first + size]


def _audio(clip: SyntheticClip, draw: Draw) -> bytes:
    samples = clip.render(draw("clip", clip.key))
    file = io.BytesIO()
    sf.write(file, np.clip(samples, -1, 1), clip.sample_rate, format=clip.suffix, subtype="PCM_16")
    return file.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """A member that tells nothing of who made it when: owner 0, time 0."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(data))
