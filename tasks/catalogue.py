"""The tasks that come with Earmark, by name, and a user's own, by path."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from earmark.tasks.reader import read_task
from earmark.tasks.spec import DOMAINS, TaskError, TaskSpec

_FOLDER = Path(__file__).resolve().parent


@cache
def builtin_tasks() -> dict[str, TaskSpec]:
    """All tasks of this folder, by name; speech, then sound, then music, by title in each.

    Returns:
        Name to task. It is kept: change a copy.
    """
    specs = [read_task(path) for path in sorted(_FOLDER.glob("*.yaml"))]
    specs.sort(key=lambda spec: (DOMAINS.index(spec.domain), spec.title.lower()))
    return {spec.name: spec for spec in specs}


def select_tasks(names: str | Iterable[str]) -> list[TaskSpec]:
    """Tasks for a name or several, each task once.

    Args:
        names: one or several of: names of built-in tasks; domains (`speech`, `sound`, `music`);
            `all`; paths of task files, which end in `.yaml` or `.yml`.

    Returns:
        The tasks, in the order in which they are first named.

    Raises:
        TaskError: a name is none of these (the nearest known one is given), a file declares no
            task, or two tasks have one name.

    Example:
        >>> [spec.name for spec in select_tasks(["esc50", "my_task.yaml"])]
        ['esc50', 'my_task']
    """
    chosen: dict[str, TaskSpec] = {}
    for name in [names] if isinstance(names, str) else names:
        for spec in _specs_for(name):
            known = chosen.setdefault(spec.name, spec)
            if Path(known.path).resolve() != Path(spec.path).resolve():
                raise TaskError(
                    f"{spec.path}: a task named {spec.name!r} is asked for twice "
                    f"(also {known.path}); rename one"
                )
    return list(chosen.values())


def _specs_for(name: str) -> list[TaskSpec]:
    if name.endswith((".yaml", ".yml")):
        return [read_task(name)]
    known = builtin_tasks()
    if name == "all":
        return list(known.values())
    if name in DOMAINS:
        return [spec for spec in known.values() if spec.domain == name]
    if name in known:
        return [known[name]]
    close = difflib.get_close_matches(name, [*known, *DOMAINS, "all"], n=1)
    hint = f"did you mean {close[0]!r}?" if close else "see `run_bench.py list tasks`"
    raise TaskError(f"unknown task {name!r}; {hint}")


def specs_of(tasks: str | TaskSpec | Sequence[str | TaskSpec]) -> list[TaskSpec]:
    """Tasks by name, domain, path or as they are, each once.

    Args:
        tasks: what `select_tasks` takes, or tasks, or both.

    Raises:
        TaskError: as `select_tasks`; also where two different tasks have one name.
    """
    listed = [tasks] if isinstance(tasks, str | TaskSpec) else tasks
    chosen: dict[str, TaskSpec] = {}
    for task in listed:
        for spec in [task] if isinstance(task, TaskSpec) else select_tasks(task):
            if chosen.setdefault(spec.name, spec) != spec:
                raise TaskError(f"two different tasks are named {spec.name!r}; rename one")
    return list(chosen.values())
