"""`report`: result files as one HTML page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from earmark.benchmark.io.exits import ALL_DONE, NOT_ALL_DONE, CannotStartError

_EXAMPLES = """\
examples:
  python run_bench.py report --out report.html
  python run_bench.py report --results results/runs other/runs --with-published
  python run_bench.py report --audio pairs --plots plots     # what `reconstruct` wrote

exit status: 0 all done, 2 cannot start, 3 a result file cannot be read
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "report",
        help="result files as one HTML page",
        description="Write one HTML page of the result files under some folders: tables, "
        "pictures, and\nwhat reproduces each cell. It holds all it needs and opens from disk. "
        "Synthetic results\nhave a page of their own, .synthetic in its name.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), metavar="FILE",
        help="the page (default: report.html)",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, nargs="+", default=[Path("results/runs")], metavar="DIR",
        help="folders with result files (default: results/runs); where two have the same cell, "
        "that of the later is shown",
    )  # fmt: skip
    parser.add_argument(
        "--with-published", nargs="*", metavar="NAME",
        help="set published values beside the measured ones of their protocol, as `leaderboard` "
        "does",
    )  # fmt: skip
    parser.add_argument(
        "--published", type=Path, metavar="DIR",
        help="folder of the published values (default: results/published of the repository)",
    )  # fmt: skip
    parser.add_argument(
        "--audio", type=Path, metavar="DIR",
        help="sounds that `reconstruct --save-audio DIR` wrote, to hear on the page",
    )  # fmt: skip
    parser.add_argument(
        "--plots", type=Path, metavar="DIR",
        help="spectrograms that `reconstruct --plots DIR` wrote, to look at on the page",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, metavar="DIR",
        help="folder for what tests rest on (default: $EARMARK_CACHE, else ~/.cache/earmark)",
    )  # fmt: skip
    parser.set_defaults(function=run, when_cut_off=ALL_DONE)


def run(arguments: argparse.Namespace) -> int:
    _check_packages(arguments)
    for folder in (*arguments.results, arguments.audio, arguments.plots):
        if folder is not None and not folder.is_dir():
            raise CannotStartError(f"no folder {folder}; check the path")
    if arguments.out.is_dir():
        raise CannotStartError(f"{arguments.out} is a folder; give --out a file's name")
    if arguments.published is not None and arguments.with_published is None:
        raise CannotStartError("--published says where from; add --with-published")

    _check_writable(arguments.out)

    from earmark.benchmark.io.progress import Progress, format_bytes
    from earmark.benchmark.result.published import PublishedError
    from earmark.benchmark.webpage.run import report

    try:
        made = report(
            arguments.results,
            arguments.out,
            published=arguments.with_published,
            published_folder=arguments.published,
            audio=arguments.audio,
            plots=arguments.plots,
            cache=arguments.cache,
            track=Progress,
        )
    except PublishedError as error:
        raise CannotStartError(str(error)) from error
    for line in made.unreadable:
        print(f"left out: {line}", file=sys.stderr)
    for line in made.notes:
        print(f"note: {line}", file=sys.stderr)
    if not made.paths:
        where = ", ".join(map(str, arguments.results))
        raise CannotStartError(f"no result file under {where}; run a benchmark first")
    for path in made.paths:
        print(f"{path} ({format_bytes(path.stat().st_size)})")
    return NOT_ALL_DONE if made.unreadable else ALL_DONE


def _check_writable(out: Path) -> None:
    """Find out before the work, by a file that is gone again."""
    import tempfile

    there = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise CannotStartError(
            f"cannot write {out}: {error.strerror}; give --out a file in a folder that can be "
            "written to"
        ) from error


def _check_packages(arguments: argparse.Namespace) -> None:
    import importlib.util

    needed = {"jinja2": "jinja2", "vl_convert": "vl-convert-python"}
    if arguments.plots is not None:
        needed["PIL"] = "pillow"
    lacking = [name for module, name in needed.items() if importlib.util.find_spec(module) is None]
    if lacking:
        raise CannotStartError(
            f"the page needs {' and '.join(lacking)}: pip install -e '.[report]'"
        )
