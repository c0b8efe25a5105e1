"""`compare`: two encoders task by task, with what chance alone could do."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from earmark.benchmark.io.exits import ALL_DONE, NOT_ALL_DONE, CannotStartError

_EXAMPLES = """\
examples:
  python run_bench.py compare logmel mfcc
  python run_bench.py compare logmel mfcc --tasks speech esc50 --probe knn
  python run_bench.py compare clap@11111111 clap@22222222 --format json

exit status: 0 every task that either has was compared, 2 an encoder has no results,
  3 some tasks could not be compared (each is named, with the reason)
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "compare",
        help="compare two encoders task by task",
        description="Compare two encoders on the tasks that either has: each task's difference "
        "with interval and p-value from a paired test over sources, corrected over the tasks "
        "by Holm's method. Results of different protocols, seeds, limits or kinds of data have "
        "tables of their own.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("A", "B"):
        parser.add_argument(
            name, help="a column of the leaderboard: NAME, or NAME@FINGERPRINT where two share it"
        )
    parser.add_argument(
        "--results", type=Path, default=Path("results/runs"), metavar="DIR",
        help="folder with result files (default: results/runs)",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", nargs="+", action="extend", metavar="TASK",
        help="names, `all`, speech, sound, music, or task files (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--probe", choices=("linear", "knn", "all"), default="all", help="default: all"
    )
    parser.add_argument(
        "--format", choices=("terminal", "markdown", "csv", "json"), default="terminal",
        help="default: terminal",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there, not to the terminal")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR",
        help="folder for what tests rest on (default: $EARMARK_CACHE, else ~/.cache/earmark)",
    )  # fmt: skip
    parser.set_defaults(function=run, when_cut_off=ALL_DONE)


def run(arguments: argparse.Namespace) -> int:
    from earmark.benchmark.cli.terminal import Terminal
    from earmark.benchmark.comparison.formats import FORMATS, to_terminal
    from earmark.benchmark.comparison.run import ComparisonError, compare
    from earmark.benchmark.io.files import write_atomically
    from earmark.benchmark.io.progress import Progress
    from earmark.benchmark.result.files import read_results

    if not arguments.results.is_dir():
        raise CannotStartError(
            f"no folder {arguments.results}; run a benchmark first, or --results DIR"
        )
    if arguments.out is not None and arguments.format == "terminal":
        raise CannotStartError("--out needs --format markdown, csv or json")
    results, unreadable = read_results(arguments.results)
    for line in unreadable:
        print(f"left out: {line}", file=sys.stderr)
    try:
        tables = compare(
            arguments.A,
            arguments.B,
            results,
            tasks=arguments.tasks or ["all"],
            probe=arguments.probe,
            cache=arguments.cache,
            track=Progress,
        )
    except ComparisonError as error:
        raise CannotStartError(f"{error} (under {arguments.results})") from error
    complete = not unreadable and not any(table.left_out for table in tables)
    arguments.when_cut_off = ALL_DONE if complete else NOT_ALL_DONE
    if arguments.format == "terminal":
        to_terminal(tables, Terminal())
    elif arguments.out is None:
        print(FORMATS[arguments.format](tables), end="")
    else:
        write_atomically(arguments.out, FORMATS[arguments.format](tables).encode())
    return int(arguments.when_cut_off)
