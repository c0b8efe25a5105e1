"""`datasets`: what of the tasks' data is there."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmark.exits import ALL_DONE, NOT_ALL_DONE, CannotStartError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "datasets",
        help="show what of the tasks' data is there, and how much is not",
        description="Show which tasks' data is there. How large the others are, their Zenodo "
        "records are asked; nothing is fetched.",
    )
    parser.add_argument(
        "tasks", nargs="*", metavar="TASK",
        help="names (see `list tasks`), `all`, speech, sound, music, or task files (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path, metavar="DIR",
        help="folder with the tasks' folders of shards (default: $EARMARK_DATA, else data)",
    )  # fmt: skip
    parser.add_argument(
        "--offline", action="store_true",
        help="ask nobody; the size of what is not there stays unknown",
    )  # fmt: skip
    parser.set_defaults(function=run, when_cut_off=ALL_DONE)


def run(arguments: argparse.Namespace) -> int:
    from benchmark.commands.data_plan import folder_of_shards, show_plan
    from benchmark.commands.terminal import Terminal, say
    from benchmark.data.fetching import make_plan
    from benchmark.data.record import FetchError
    from benchmark.data.server import Server
    from benchmark.progress import Progress
    from tasks import TaskError, select_tasks

    try:
        specs = select_tasks(arguments.tasks or ["all"])
        server = None if arguments.offline else Server(say=say)
    except (TaskError, FetchError) as error:
        raise CannotStartError(str(error)) from error
    data = folder_of_shards(arguments.data)
    plan = make_plan(specs, data, server, Progress)
    show_plan(plan, Terminal(), folders=True)
    unknown = any(need.error is not None for need in plan.needs)
    return NOT_ALL_DONE if unknown and not arguments.offline else ALL_DONE
