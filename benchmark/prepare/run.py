"""Shards from the data sets' own folders, and from a table of one's own files.

from earmark.benchmark.prepare.run import prepare, prepare_manifest
prepare("esc50", "ESC-50-master", "data")
prepare_manifest("my_task", "recordings", "clips.csv", "data", domain="sound")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.prepare.columns import parse_columns
from earmark.benchmark.prepare.manifest import read_manifest
from earmark.benchmark.prepare.packing import SHARD_BYTES, Packed, PackingError, pack
from earmark.benchmark.prepare.recipe import SourceClip
from earmark.benchmark.prepare.recipes import RECIPES
from earmark.benchmark.prepare.source_folder import LayoutError, OriginalFolder, find_root
from earmark.benchmark.prepare.task_file import compose, own_division, standing
from earmark.tasks import DOMAINS, TaskError, TaskSpec, builtin_tasks, read_task

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Prepared:
    """What was prepared.

    spec: the task that reads the shards. task_file: where it was written, None for one that comes
    with Earmark. split: where the division comes from, for people. others: audio files in the
    folder that are no clips of the task.
    """

    spec: TaskSpec
    task_file: Path | None
    split: str
    own: bool
    packed: Packed
    others: int


def prepare(
    task: str,
    source: str | Path,
    data: str | Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    report: Report | None = None,
) -> Prepared:
    """Pack a data set that was fetched from its publishers into shards for `task`.

    source: the folder as it was unpacked. data: where the task's folder of shards goes. Where the
    data set has no official division, and that of X-ARES is not known, shards and task file are of
    `<task>_earmark`. A second call writes nothing.

    Raises LayoutError where `source` is not laid out so, PackingError where `data` cannot take the
    shards, TaskError for a task without a recipe.
    """
    recipe = RECIPES.get(task)
    if recipe is None:
        known = builtin_tasks()
        what = "no recipe for" if task in known else "unknown task"
        raise TaskError(
            f"{what} {task!r}; there are recipes for {', '.join(RECIPES)}; for other data give a "
            "table with --manifest"
        )
    spec = builtin_tasks()[task]
    text = ""
    if recipe.own:
        text, spec = own_division(spec, recipe.split)
    original = find_root(Path(source), recipe.markers, recipe.layout)
    clips = list(recipe.clips(original))
    _check_clips(clips, spec, original, recipe.layout)
    return _packed(
        spec, text, recipe.split, clips, original, Path(data), shard_bytes, report, own=recipe.own
    )


def prepare_manifest(
    name: str,
    source: str | Path,
    manifest: str | Path,
    data: str | Path,
    *,
    domain: str = "sound",
    columns: str = "",
    shard_bytes: int = SHARD_BYTES,
    report: Report | None = None,
) -> Prepared:
    """Pack one's own files into shards, and write the task file `<data>/<name>.yaml` for them.

    source: the folder that the table's paths start from. manifest: the table, see
    `prepare/manifest.py`. domain: speech, sound or music. columns: what the table's columns
    are, where they are called otherwise, such as `label=digit,source=speaker_id`. Raises as
    `prepare` does.
    """
    if domain not in DOMAINS:
        raise TaskError(f"domain must be one of {', '.join(DOMAINS)}, not {domain!r}")
    if name in builtin_tasks():
        raise TaskError(f"a task named {name!r} comes with Earmark; choose another name")
    root = Path(source)
    if not root.is_dir():
        raise LayoutError(f"there is no folder {root}; give the one that the paths start from")
    original = OriginalFolder(root)
    table = read_manifest(Path(manifest), original, parse_columns(columns))
    text, spec = compose(
        name, table.declaration(name, domain), f"Written by `prepare {name}` from a table; edit "
        "title, licence and citation.",
    )  # fmt: skip
    return _packed(spec, text, "the table", table.clips, original, Path(data), shard_bytes, report)


def _packed(
    spec: TaskSpec,
    text: str,
    split: str,
    clips: list[SourceClip],
    original: OriginalFolder,
    data: Path,
    shard_bytes: int,
    report: Report | None,
    *,
    own: bool = False,
) -> Prepared:
    task_file = data / f"{spec.name}.yaml" if text else None
    kept = task_file is None or standing(task_file, spec)
    facts: dict[str, Any] = {"task": spec.name, "split": split}
    packed = pack(
        clips, original, data / spec.folder, spec.shard_patterns, facts,
        shard_bytes=shard_bytes, report=report,
    )  # fmt: skip
    if task_file is not None:
        if not kept:
            write_atomically(task_file, text.encode())
        spec = read_task(task_file)
    used = len({clip.file for clip in clips}) - sum(
        fault.reason == "there is no such file" for fault in packed.faults
    )
    return Prepared(spec, task_file, split, own, packed, max(0, original.audio_files() - used))


def _check_clips(
    clips: list[SourceClip], spec: TaskSpec, original: OriginalFolder, layout: str
) -> None:
    """Raise LayoutError where a split has no clip, or a label or a split is not the task's."""
    part = "fold" if spec.folds else "split"
    found = {clip.split for clip in clips}
    for split in spec.shard_patterns:
        if split not in found:
            raise LayoutError(
                f"{original.given}: no clip for {part} {split} of {spec.name}; expected {layout}"
            )
    for clip in clips:
        if clip.split not in spec.shard_patterns:
            raise LayoutError(f"{clip.file}: {spec.name} has no {part} {clip.split!r}")
        if spec.kind.of_clips:
            value = clip.metadata.get(spec.label.field)
            several = spec.kind.several
            names = str(value).split(spec.label.separator) if several else [value]
            for name in names:
                if str(name) not in spec.classes:
                    raise LayoutError(
                        f"{clip.file}: label {name!r} is none of the {spec.num_classes} classes of "
                        f"{spec.name}; is this the right version of the data set?"
                    )


__all__ = ["LayoutError", "PackingError", "Prepared", "prepare", "prepare_manifest"]
