"""`leaderboard`: tables from result files alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from earmark.benchmark.cli.arguments import add_cost
from earmark.benchmark.io.exits import ALL_DONE, NOT_ALL_DONE, CannotStartError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "leaderboard",
        help="rebuild the tables from result files",
        description="Rebuild the leaderboard from the result files under a folder. It lists all "
        "22 tasks; those without a result are shown as not run.",
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results/runs"), metavar="DIR",
        help="folder with result files (default: results/runs)",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=("terminal", "markdown", "csv", "latex", "json"), default="terminal",
        help="default: terminal",
    )  # fmt: skip
    parser.add_argument(
        "--reconstruction", action="store_true", help="that of `reconstruct`, of what codecs lose"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there, not to the terminal")
    parser.add_argument(
        "--with-published", nargs="*", metavar="NAME",
        help="set published values beside the measured ones of their protocol: systems or sources "
        "(see `list published`) or `all`; without a name: the source with the most values",
    )  # fmt: skip
    parser.add_argument(
        "--published", type=Path, metavar="DIR",
        help="folder of the published values (default: results/published of the repository)",
    )  # fmt: skip
    add_cost(parser)
    parser.add_argument(
        "--cache", type=Path, metavar="DIR",
        help="folder for what tests rest on (default: $EARMARK_CACHE, else ~/.cache/earmark)",
    )  # fmt: skip
    parser.set_defaults(function=run, when_cut_off=ALL_DONE)


def run(arguments: argparse.Namespace) -> int:
    from earmark.benchmark.cli.terminal import Terminal
    from earmark.benchmark.io.files import write_atomically
    from earmark.benchmark.io.progress import Progress
    from earmark.benchmark.leaderboard.board import Leaderboard
    from earmark.benchmark.leaderboard.formats import FORMATS
    from earmark.benchmark.leaderboard.to_terminal import to_terminal
    from earmark.benchmark.result.published import PublishedError
    from earmark.tasks import builtin_tasks

    if not arguments.results.is_dir():
        raise CannotStartError(
            f"no folder {arguments.results}; run a benchmark first, or --results DIR"
        )
    if arguments.reconstruction:
        return _of_codecs(arguments)
    board, unreadable = Leaderboard.from_folder(
        arguments.results, builtin_tasks().values(), cache=arguments.cache, track=Progress
    )
    for line in unreadable:
        print(f"left out: {line}", file=sys.stderr)
    if not board.tables:
        raise CannotStartError(f"no result file under {arguments.results}; run a benchmark first")
    if arguments.with_published is not None:
        try:
            board = board.with_published(arguments.with_published, arguments.published)
        except PublishedError as error:
            raise CannotStartError(str(error)) from error
    elif arguments.published is not None:
        raise CannotStartError("--published says where from; add --with-published")
    if arguments.cost is not None:
        board = board.with_cost(arguments.cost)
    if arguments.format == "terminal" and arguments.out is None:
        to_terminal(board, Terminal())
    else:
        if arguments.format == "terminal":
            raise CannotStartError("--out needs --format markdown, csv, latex or json")
        text = FORMATS[arguments.format](board)
        if arguments.out is None:
            print(text, end="")
        else:
            write_atomically(arguments.out, text.encode())
    return NOT_ALL_DONE if unreadable else ALL_DONE


def _of_codecs(arguments: argparse.Namespace) -> int:
    """The reconstruction leaderboard."""
    from earmark.benchmark.cli.reconstruct import tables_of
    from earmark.benchmark.cli.terminal import Terminal
    from earmark.benchmark.io.files import write_atomically
    from earmark.benchmark.reconstruction.formats import FORMATS, to_terminal
    from earmark.benchmark.reconstruction.result import read_results

    if arguments.cost is not None:
        raise CannotStartError(
            "values/s and speed are in the reconstruction leaderboard in any case"
        )
    if arguments.with_published is not None or arguments.published is not None:
        raise CannotStartError("published values are in the reconstruction leaderboard in any case")
    if arguments.format not in ("terminal", *FORMATS):
        raise CannotStartError("--reconstruction goes with --format terminal, markdown or csv")
    results, unreadable = read_results(arguments.results)
    for line in unreadable:
        print(f"left out: {line}", file=sys.stderr)
    if not results:
        raise CannotStartError(
            f"no reconstruction result under {arguments.results}; run `reconstruct` first"
        )
    tables = tables_of(results)
    if arguments.format != "terminal":
        text = FORMATS[arguments.format](tables)
        if arguments.out is None:
            print(text, end="")
        else:
            write_atomically(arguments.out, text.encode())
    elif arguments.out is None:
        to_terminal(tables, Terminal())
    else:
        raise CannotStartError("--out needs --format markdown or csv")
    return NOT_ALL_DONE if unreadable else ALL_DONE
