"""`reconstruct`: what a codec loses."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.benchmark.cli.arguments import column_name, device, named, positive, seconds, share
from earmark.benchmark.io.exits import ALL_DONE, NOT_ALL_DONE, CannotStartError
from earmark.benchmark.io.rounding import rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from earmark.benchmark.reconstruction.leaderboard import BoardTable
    from earmark.benchmark.reconstruction.result import ReconstructionResult

_EXAMPLES = """\
examples:
  python run_bench.py reconstruct --encoder identity mulaw griffinlim --data synthetic
  python run_bench.py reconstruct --encoder dasheng --data my_recordings
  python run_bench.py reconstruct --encoder mimi --data manifest.csv --plots plots
  python run_bench.py reconstruct --encoder dac --preset musdb18 --data /data/musdb18hq
  python run_bench.py leaderboard --reconstruction

exit status: 0 all done, 2 cannot start, 3 some data sets not done
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "reconstruct",
        help="encode, decode and measure what a codec loses",
        description="Encode and decode every clip and measure what was lost: PESQ, STOI, SI-SDR,\n"
        "distances of spectrograms. What has been measured already is used again, so an\n"
        "interrupted run is taken up by the same command.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--encoder", nargs="+", action="extend", required=True, metavar="NAME",
        help="codecs: names (see `list encoders`), path/to/file.py:ClassName, with arguments as in "
        "run, or hf:ID_OR_FOLDER",
    )  # fmt: skip
    parser.add_argument(
        "--name", type=column_name, metavar="NAME",
        help="name of the codec's column (default: its own)",
    )  # fmt: skip
    parser.add_argument(
        "--data", nargs="+", action="extend", required=True, metavar="PLACE",
        help="folders of audio files or of shards, single shards, manifests (.csv with path and "
        "any of key, source, start, seconds), or `synthetic`",
    )  # fmt: skip
    parser.add_argument(
        "--preset", metavar="NAME",
        help="the data are seed_tts_zh, seed_tts_en, audioset_eval or musdb18, as they are "
        "usually unpacked",
    )  # fmt: skip
    parser.add_argument(
        "--source-key", metavar="REGEX",
        help="what clips' keys begin with; its group `source` is what intervals are drawn by, as "
        "in '(?P<source>[0-9]+)-' (default: each file)",
    )  # fmt: skip
    parser.add_argument(
        "--weights", type=Path, metavar="DIR",
        help="folder with a local copy of the codec's model (default: fetched once)",
    )  # fmt: skip
    parser.add_argument(
        "--crop-seconds", type=seconds, metavar="S",
        help="measure consecutive whole crops of S seconds (default: as the preset says, else "
        "whole clips)",
    )  # fmt: skip
    parser.add_argument(
        "--rates", type=positive, nargs="+", metavar="HZ",
        help="of the mel and STFT distances (default: 16000)",
    )  # fmt: skip
    parser.add_argument("--limit", type=positive, metavar="N", help="at most N clips")
    _add_where(parser)
    parser.set_defaults(function=run, when_cut_off=NOT_ALL_DONE)


def _add_where(parser: argparse.ArgumentParser) -> None:
    """What is written where, and how the run goes about it."""
    parser.add_argument(
        "--save-audio", type=Path, metavar="DIR", help="write each pair as WAV, for listening"
    )
    parser.add_argument(
        "--plots", type=Path, metavar="DIR", help="write each pair's spectrograms as PNG"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results/runs"), metavar="DIR",
        help="folder for result files (default: results/runs)",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, metavar="DIR",
        help="folder for what has been measured already (default: $EARMARK_CACHE, else "
        "~/.cache/earmark)",
    )  # fmt: skip
    parser.add_argument(
        "--failed-share", type=share, metavar="SHARE",
        help="share of the clips that may fail before the data set has (default: 0.01)",
    )  # fmt: skip
    parser.add_argument(
        "--device", type=device, default="auto", metavar="NAME",
        help="cpu, cuda, cuda:1 (the second GPU) or mps (default: auto: cuda where it is there)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=positive, metavar="N",
        help="processes that measure while the codec works (default: cores)",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="measure again what has been")


def run(arguments: argparse.Namespace) -> int:
    from earmark.benchmark.io.progress import Progress
    from earmark.benchmark.reconstruction.metric.registry import all_metrics, missing_packages
    from earmark.benchmark.reconstruction.run import reconstruct
    from earmark.benchmark.result.schema import FAILED
    from earmark.benchmark.shards.dataset import DataError
    from earmark.benchmark.shards.shard import ShardError
    from earmark.encoders import EncoderError

    _check_writable(arguments.results)
    if arguments.plots is not None:
        _check_plots()
    given = {
        name: getattr(arguments, name)
        for name in (
            "preset", "source_key", "crop_seconds", "rates", "limit", "save_audio", "plots",
            "results", "cache", "failed_share", "device", "workers", "force",
        )
        if getattr(arguments, name) is not None
    }  # fmt: skip
    lacking = missing_packages(all_metrics())
    if lacking:
        print(lacking, file=sys.stderr)
    try:
        results = reconstruct(
            named(arguments.encoder, arguments.name), arguments.data,
            weights=arguments.weights, on_result=_announce,
            track=Progress, **given,
        )  # fmt: skip
    except (DataError, ShardError, EncoderError, ValueError) as error:
        raise CannotStartError(str(error)) from error
    status = NOT_ALL_DONE if any(result.status == FAILED for result in results) else ALL_DONE
    arguments.when_cut_off = status  # by now only the table can go unread
    _show(results, arguments.results)
    return status


def _check_writable(results: Path) -> None:
    there = next(path for path in (results, *results.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise CannotStartError(
            f"{results}: results cannot be written there; choose another folder with --results DIR"
        )


def _check_plots() -> None:
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        raise CannotStartError(
            "--plots needs matplotlib: pip install -e '.[reconstruction]', or leave it out"
        )


def _announce(result: ReconstructionResult) -> None:
    """One line as a result is there."""
    from earmark.benchmark.io.progress import format_duration
    from earmark.benchmark.result.schema import FAILED

    who = f"{result.codec.name} · {result.data.name}"
    if result.status == FAILED:
        print(f"failed  {who}: {result.error}", file=sys.stderr, flush=True)
        return
    shown = ", ".join(
        f"{score.label} {rounded(score.value, score.digits)}"
        if score.value == score.value
        else f"{score.label} not computable"
        for score in list(result.scores.values())[:3]
    )
    spent = format_duration(result.run.seconds or 0.0)
    print(f"done    {who}: {shown} ({spent})", file=sys.stderr, flush=True)


def _show(results: list[ReconstructionResult], folder: Path) -> None:
    """The tables of all results as files; the run's tables on the terminal."""
    from earmark.benchmark.cli.terminal import Terminal
    from earmark.benchmark.io.files import write_atomically
    from earmark.benchmark.reconstruction.formats import FORMATS, to_terminal
    from earmark.benchmark.reconstruction.result import read_results

    everything, _ = read_results(folder)
    names = []
    for synthetic in sorted({result.synthetic for result in results}):
        mark = ".synthetic" if synthetic else ""
        mine = tables_of([result for result in everything if result.synthetic == synthetic])
        for name, suffix in (("markdown", "md"), ("csv", "csv")):
            path = folder / f"reconstruction{mark}.{suffix}"
            write_atomically(path, FORMATS[name](mine).encode())
            names.append(str(path))
    print(file=sys.stderr)
    to_terminal(tables_of(results), Terminal())
    print(f"Results under {folder}; tables of all: {', '.join(names)}", file=sys.stderr)


def tables_of(results: Sequence[ReconstructionResult]) -> list[BoardTable]:
    """Tables with the published values beside; without them, saying so, where they are amiss."""
    from earmark.benchmark.reconstruction.leaderboard import make_tables
    from earmark.benchmark.result.published import PublishedError, load_published, sources

    if not any(result.data.known_as for result in results):
        return make_tables(results)
    try:
        return make_tables(results, load_published(), sources())
    except PublishedError as error:
        print(f"without published values: {error}", file=sys.stderr)
        return make_tables(results)
