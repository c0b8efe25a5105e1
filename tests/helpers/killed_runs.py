"""Runs in processes of their own that are killed."""

from __future__ import annotations

import dataclasses
import itertools
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from earmark import evaluate
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.store import SPEED

# fresh processes without the seconds that importing torch takes, and without inherited threads
CONTEXT = multiprocessing.get_context("forkserver")


CONTEXT.set_forkserver_preload(["earmark.benchmark.evaluation.run", "earmark.encoders.logmel"])


def run_until(event: int, task: str, data: str, out: str) -> None:
    """Run in a process of its own; SIGKILL itself at the `event`-th dangerous moment.

    Such moments are: each call of the encoder, each write of an array, and both sides of each
    rename. The 0th never comes: then OUT.moments tells, a line each, whether files have changed
    since the moment before.
    """
    moments = itertools.count(1)
    told = Path(f"{out}.moments")
    last: list[Any] = []

    def moment() -> None:
        number = next(moments)
        if number == event:
            os.kill(os.getpid(), signal.SIGKILL)
        if event == 0:
            found = [(path, path.stat()) for path in sorted(Path(out).rglob("*"))]
            now = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in found]
            with told.open("a") as file:
                file.write(f"{int(now != last)}\n")
            last[:] = now

    def before(function: Callable[..., Any], *, after: bool = False) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            moment()
            result = function(*args, **kwargs)
            if after:
                moment()
            return result

        return wrapped

    from earmark.encoders.logmel import LogMel

    LogMel.encode = before(LogMel.encode)  # type: ignore[method-assign]
    np.save = before(np.save, after=True)
    np.savez_compressed = before(np.savez_compressed)
    Path.rename = before(Path.rename, after=True)  # type: ignore[method-assign]
    Path.replace = before(Path.replace, after=True)  # type: ignore[method-assign]
    run(task, data, out)


def moments_of(task: str, data: str, out: Path) -> tuple[int, list[int]]:
    """How many dangerous moments a run has, and which are the first with their files on disk."""
    assert in_process(run_until, 0, task, data, str(out)) == 0
    told = Path(f"{out}.moments").read_text().split()
    return len(told), [number for number, new in enumerate(told, 1) if new == "1"]


def run(task: str, data: str, out: str) -> None:
    """task: a task file, or several with `os.pathsep` between them."""
    tasks = task.split(os.pathsep)
    results = evaluate(
        "logmel", tasks, data=data, results=Path(out) / "results", cache=Path(out) / "cache",
        batch_seconds=4.0, seeds=2, protocol=dataclasses.replace(STRICT, least_updates=0),
    )  # fmt: skip
    assert [result.error for result in results] == [None] * len(tasks)


def in_process(target: Callable[..., None], *args: Any) -> int | None:
    process = CONTEXT.Process(target=target, args=args)
    process.start()
    process.join(120)
    assert process.exitcode is not None, "the run hangs"
    return process.exitcode


def outcome(out: Path) -> dict[str, Any]:
    """Everything a run leaves that has a meaning, bit for bit; times and dates aside."""
    found: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.is_dir() or any(one in name for one in ("shard-digests", ".tmp-", SPEED)):
            continue
        if path.parent.parent.parent.name == "results" and path.suffix == ".json":
            result = json.loads(path.read_text())
            del result["run"]
            found[name] = result
        else:
            found[name] = path.read_bytes()
    return found
