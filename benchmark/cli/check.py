"""`check`: results against published values or stored reference results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from earmark.benchmark.io.exits import CHECK_FAILED, CannotStartError

_EXAMPLES = """\
examples:
  python run_bench.py check --against results/golden --exact
  python run_bench.py check --against published --encoder whisper-base
  python run_bench.py check --against published --encoder my_whisper=whisper-base
  python run_bench.py check --against old_runs --floor 0.01 --changed 0.05
  python run_bench.py check --against old_runs --format json --out check.json

exit status: 0 all agrees, 1 something does not, 2 there is nothing to check,
  3 something could not be checked
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "check",
        help="hold results against published values or reference results",
        description="Hold results against a reference. Each cell may differ by the larger of\n"
        "--floor and its own interval, on the side on which it differs; worst first.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results/runs"), metavar="DIR",
        help="folder with result files (default: results/runs)",
    )  # fmt: skip
    parser.add_argument(
        "--against", required=True, metavar="REFERENCE",
        help="`published`, or a folder with reference results (./published: a folder of that name)",
    )  # fmt: skip
    parser.add_argument(
        "--encoder", nargs="+", action="extend", metavar="NAME", default=[],
        help="check these alone; NAME=OTHER: what is called OTHER in the reference",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", nargs="+", action="extend", metavar="TASK", default=[],
        help="check these alone: names, `all`, speech, sound, music, or task files (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--floor", type=float, default=0.02, metavar="SHARE",
        help="least tolerance, in the metric's unit (default: 0.02, as far as an independent "
        "rerun of the published table lies from it in most cells)",
    )  # fmt: skip
    parser.add_argument(
        "--floor-only", action="store_true", help="do not let intervals widen the tolerance"
    )
    parser.add_argument(
        "--changed", type=float, metavar="SHARE",
        help="at most this share of a cell's predictions may change (default: any)",
    )  # fmt: skip
    parser.add_argument(
        "--exact", action="store_true",
        help="results made on one kind of machine with the same versions must be equal in every "
        "bit, predictions too",
    )  # fmt: skip
    parser.add_argument(
        "--published", type=Path, metavar="DIR",
        help="folder with published values (default: results/published of the repository)",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=("terminal", "markdown", "csv", "json"), default="terminal",
        help="default: terminal; json holds every changed prediction",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there, not to the terminal")
    parser.set_defaults(function=run, when_cut_off=CHECK_FAILED)


def run(arguments: argparse.Namespace) -> int:
    from earmark.benchmark.agreement.formats import FORMATS, to_terminal
    from earmark.benchmark.agreement.run import CheckError, Tolerance, check
    from earmark.benchmark.cli.terminal import Terminal
    from earmark.benchmark.io.files import write_atomically
    from earmark.benchmark.result.published import PUBLISHED, PublishedError

    if arguments.format == "terminal" and arguments.out is not None:
        raise CannotStartError("--out needs --format markdown, csv or json")
    if arguments.against == "published" and (arguments.exact or arguments.changed is not None):
        raise CannotStartError(
            "--exact and --changed go with a folder of reference results: of published values the "
            "predictions are not known"
        )
    try:
        rule = Tolerance(
            floor=arguments.floor, intervals=not arguments.floor_only,
            changed=arguments.changed, exact=arguments.exact,
        )  # fmt: skip
        found = check(
            arguments.results, against=arguments.against, rule=rule,
            encoders=dict(_pair(word) for word in arguments.encoder), tasks=arguments.tasks,
            published=arguments.published or PUBLISHED,
        )  # fmt: skip
    except (CheckError, PublishedError, ValueError) as error:
        raise CannotStartError(str(error)) from error
    arguments.when_cut_off = found.status
    if arguments.format == "terminal":
        to_terminal(found, Terminal())
        return found.status
    text = FORMATS[arguments.format](found)
    if arguments.out is None:
        print(text, end="")
    else:
        write_atomically(arguments.out, text.encode())
        print(found.summary, file=sys.stderr)
    return found.status


def _pair(word: str) -> tuple[str, str | None]:
    name, _, other = word.partition("=")
    return name, other or None
