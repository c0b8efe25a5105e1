"""Fetching from Python.

from earmark import download
download(["esc50", "fsd50k"], data="data")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from earmark.benchmark.io.progress import Progress, ProgressFactory
from earmark.benchmark.paths import default_data
from earmark.benchmark.zenodo.plan import fetch, make_plan
from earmark.benchmark.zenodo.record import FetchError
from earmark.benchmark.zenodo.server import Server
from earmark.benchmark.zenodo.status import shards_folder
from earmark.tasks import TaskSpec, select_tasks


@dataclass(frozen=True)
class Fetched:
    """One task: the folder of its shards, and why they are not all there (None: they are)."""

    task: str
    folder: Path
    error: str | None


def download(
    tasks: str | TaskSpec | Sequence[str | TaskSpec],
    data: str | Path | None = None,
    *,
    say: Callable[[str], None] = lambda line: None,
    track: ProgressFactory = Progress,
) -> list[Fetched]:
    """Fetch what is lacking of tasks' shards from their Zenodo records; one Fetched a task.

    tasks: names, domains, `all`, paths of task files, or TaskSpecs. data: the folder of all tasks'
    folders (default: $EARMARK_DATA, else `data`), made where it is not there. say: is given a line
    for what happens. What is there already is left as it is, and so is what a killed run left half
    done: it is gone on with.

    Raises TaskError for an unknown task, and FetchError, before the first byte, where the disk
    cannot take it all.
    """
    specs: dict[str, TaskSpec] = {}
    for task in [tasks] if isinstance(tasks, str | TaskSpec) else tasks:
        for spec in [task] if isinstance(task, TaskSpec) else select_tasks(task):
            specs[spec.name] = spec
    folder = Path(default_data() if data is None else data)
    server = Server(say=say)
    plan = make_plan(list(specs.values()), folder, server, track)
    shortage = plan.shortage()
    if shortage is not None:
        raise FetchError(shortage)
    errors = fetch(plan, server, say=say, track=track)
    return [
        Fetched(spec.name, shards_folder(spec, folder), errors.get(spec.name))
        for spec in specs.values()
    ]
