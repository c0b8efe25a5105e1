"""`datasets`: what of the tasks' data is there."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from earmark.benchmark.cli.verification import EXIT_STATUS, add_options
from earmark.benchmark.io.exits import ALL_DONE, NOT_ALL_DONE, CannotStartError

_EPILOG = f"""\
examples:
  python run_bench.py datasets
  python run_bench.py datasets --verify                       # what is there
  python run_bench.py datasets --verify esc50 my_task.yaml --data ../shared/data --classes

{EXIT_STATUS}
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "datasets",
        help="show what of the tasks' data is there, and how much is not; verify it",
        description="Show which tasks' data is there. How large the others are, their Zenodo "
        "records are asked; nothing is fetched. With --verify, look into the shards instead.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    add_options(parser)
    parser.set_defaults(function=run, when_cut_off=ALL_DONE)


def run(arguments: argparse.Namespace) -> int:
    if arguments.verify:
        return _verify(arguments)
    from earmark.benchmark.cli.data_plan import folder_of_shards, show_plan
    from earmark.benchmark.cli.terminal import Terminal, log
    from earmark.benchmark.io.progress import Progress
    from earmark.benchmark.zenodo.plan import make_plan
    from earmark.benchmark.zenodo.record import FetchError
    from earmark.benchmark.zenodo.server import Server
    from earmark.tasks import TaskError, select_tasks

    try:
        specs = select_tasks(arguments.tasks or ["all"])
        server = None if arguments.offline else Server(say=log)
    except (TaskError, FetchError) as error:
        raise CannotStartError(str(error)) from error
    data = folder_of_shards(arguments.data)
    plan = make_plan(specs, data, server, Progress)
    show_plan(plan, Terminal(), folders=True)
    unknown = any(need.error is not None for need in plan.needs)
    return NOT_ALL_DONE if unknown and not arguments.offline else ALL_DONE


def _verify(arguments: argparse.Namespace) -> int:
    """Verify the tasks that are named, or those of which anything is there."""
    from earmark.benchmark.cli.data_plan import folder_of_shards
    from earmark.benchmark.cli.terminal import Terminal
    from earmark.benchmark.cli.verification import run_verify, show
    from earmark.benchmark.zenodo.status import ABSENT, holding
    from earmark.tasks import TaskError, select_tasks

    arguments.when_cut_off = NOT_ALL_DONE
    try:
        specs = select_tasks(arguments.tasks or ["all"])
    except TaskError as error:
        raise CannotStartError(str(error)) from error
    data = folder_of_shards(arguments.data)
    if not arguments.tasks:
        specs = [spec for spec in specs if holding(spec, data).state != ABSENT]
        if not specs:
            raise CannotStartError(f"{data} holds no shards of any task; name its folder by --data")
    found, status = run_verify(specs, data, workers=arguments.workers)
    arguments.when_cut_off = status  # by now only what is printed can go unread
    show(found, Terminal(), classes=arguments.classes)
    return status
