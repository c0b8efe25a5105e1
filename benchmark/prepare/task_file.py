"""Task files that are written, not by hand: checked as any other before they stand anywhere."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import yaml

from earmark.tasks import TaskError, TaskSpec, read_task

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def check_name(name: str) -> None:
    """Raise TaskError where `name` cannot be a task's name, and so a file's and a folder's."""
    if not _NAME.fullmatch(name):
        raise TaskError(f"task name {name!r} may hold only a-z, 0-9, '_' and '-'")


def compose(name: str, declaration: dict[str, Any], remark: str) -> tuple[str, TaskSpec]:
    """The text of a task file and what it declares. Raises TaskError as reading it would.

    remark: a first line for people.
    """
    check_name(name)
    body = yaml.safe_dump(
        declaration, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )
    text = f"# {remark}\n{body}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            return text, read_task(path)
        except TaskError as error:
            raise TaskError(str(error).replace(str(path), f"task {name}")) from error


def own_division(spec: TaskSpec, division: str) -> tuple[str, TaskSpec]:
    """The task file for Earmark's own splits or folds of a task, and what it declares.

    It has a name, a title, a folder and shards of its own, so that no result on it stands for one
    on the published shards. division: what was done, for people.
    """
    name = f"{spec.name}_earmark"
    raw = yaml.safe_load(Path(spec.path).read_text(encoding="utf-8"))
    part = "fold" if spec.folds else "split"
    for dropped in ("name", "zenodo_record", "also_in"):
        raw.pop(dropped, None)
    raw["title"] = f"{spec.title} (Earmark's {part}s)"
    raw["abbreviation"] = f"{spec.abbreviation}-E"
    raw["description"] = f"{spec.description.split(';')[0]}; {division}"
    raw["folder"] = f"{spec.folder}_earmark"
    raw[f"{part}s"] = shard_patterns(name, list(spec.shard_patterns), folds=bool(spec.folds))
    return compose(name, raw, f"Written by `prepare {spec.name}`. {division}.")


def shard_patterns(name: str, parts: list[str], *, folds: bool) -> dict[str, str]:
    """Part to shard glob."""
    middle = "fold_" if folds else ""
    return {part: f"{name}_{middle}{part}_*.tar" for part in parts}


def standing(path: Path, spec: TaskSpec) -> bool:
    """Whether a task file that declares the same is there; it is kept, with what people filled in.

    Raises TaskError where it declares another task.
    """
    if not path.exists():
        return False
    there = read_task(path)
    if there.folder != spec.folder or there.digest() != spec.digest():
        raise TaskError(f"{path} is there already and declares another task; move it away")
    return True
