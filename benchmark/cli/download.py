"""`download`: fetch the tasks' shards."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from earmark.benchmark.io.exits import ALL_DONE, NOT_ALL_DONE, CannotStartError

_EXAMPLES = """\
examples:
  python run_bench.py download esc50 --dry-run    # how much would come
  python run_bench.py download esc50
  python run_bench.py download music --data /big/disk

Only files that match a task's shard patterns are fetched, each is checked against the size and the
MD5 that the record states, and what is there already is never written over. The same command goes
on where an interrupted one stopped.

exit status: 0 all tasks' data is there, 2 cannot start, 3 some could not be fetched
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "download",
        help="fetch the tasks' data from Zenodo",
        description="Fetch what is not there of the tasks' shards, from their Zenodo records.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "tasks", nargs="+", metavar="TASK",
        help="names (see `list tasks`), `all`, speech, sound, music, or task files",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path, metavar="DIR",
        help="folder that gets the tasks' folders (default: $EARMARK_DATA, else data)",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be fetched, and fetch nothing"
    )
    parser.set_defaults(function=run, when_cut_off=NOT_ALL_DONE)


def run(arguments: argparse.Namespace) -> int:
    from earmark.benchmark.cli.data_plan import folder_of_shards, show_plan
    from earmark.benchmark.cli.terminal import Terminal, log
    from earmark.benchmark.io.progress import Progress
    from earmark.benchmark.zenodo.plan import fetch, make_plan
    from earmark.benchmark.zenodo.record import FetchError
    from earmark.benchmark.zenodo.server import Server
    from earmark.tasks import TaskError, select_tasks

    data = folder_of_shards(arguments.data)
    try:
        specs = select_tasks(arguments.tasks)
        server = Server(say=log)
    except (TaskError, FetchError) as error:
        raise CannotStartError(str(error)) from error
    plan = make_plan(specs, data, server, Progress)
    show_plan(plan, Terminal(stderr=not arguments.dry_run))
    shortage = plan.shortage()
    if shortage is not None:
        raise CannotStartError(shortage)
    if arguments.dry_run:
        return NOT_ALL_DONE if any(need.error for need in plan.needs) else ALL_DONE
    errors = fetch(plan, server, say=log, track=Progress)
    status = NOT_ALL_DONE if errors else ALL_DONE
    arguments.when_cut_off = status
    print(f"{len(specs) - len(errors)} of {len(specs)} tasks are in {data}")
    return status
