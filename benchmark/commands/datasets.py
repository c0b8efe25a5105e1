"""`datasets`: what of the tasks' data is there."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmark.commands.verification import EXIT_STATUS, add_options
from benchmark.exits import NOT_ALL_DONE, CannotStartError

_EXAMPLES = f"""\
examples:
  python run_bench.py datasets --verify esc50 --data ../shared/data
  python run_bench.py datasets --verify speech my_task.yaml --classes

{EXIT_STATUS}
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "datasets",
        help="verify the tasks' data",
        description="Decode and label every clip of the tasks' shards; count clips, classes, "
        "sources, sample rates and seconds, and compare with what is known of the data set.",
        epilog=_EXAMPLES,
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
    add_options(parser)
    parser.set_defaults(function=run, when_cut_off=NOT_ALL_DONE)


def run(arguments: argparse.Namespace) -> int:
    from benchmark.commands.terminal import Terminal
    from benchmark.commands.verification import run_verify, show
    from benchmark.places import default_data
    from tasks import TaskError, select_tasks

    if not arguments.verify:
        raise CannotStartError("datasets needs --verify")
    try:
        specs = select_tasks(arguments.tasks or ["all"])
    except TaskError as error:
        raise CannotStartError(str(error)) from error
    data = arguments.data or Path(default_data())
    found, status = run_verify(specs, data, workers=arguments.workers)
    arguments.when_cut_off = status
    show(found, Terminal(), classes=arguments.classes)
    return status
