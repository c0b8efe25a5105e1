"""The command line. `run_bench.py` and the console script `earmark` both start here."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from earmark.benchmark.io.exits import CANNOT_START, INTERRUPTED, CannotStartError

_EXAMPLES = """\
examples:
  python run_bench.py --encoder logmel --tasks all --data synthetic
  python run_bench.py --encoder logmel mfcc --tasks esc50 --data ../shared/data
  python run_bench.py --encoder my_encoder.py:MyEncoder --tasks speech --limit 200
  python run_bench.py --encoder hf:facebook/hubert-base-ls960 --layer all --tasks esc50
  python run_bench.py --encoder hear:hearbaseline.naive --tasks esc50
  python run_bench.py --encoder torchaudio:HUBERT_BASE --weights hubert.pth --layer 6
  python run_bench.py --encoder logmel --tasks my_task.yaml --data my_data --dry-run
  python run_bench.py list tasks
  python run_bench.py datasets
  python run_bench.py datasets --verify esc50 --data data
  python run_bench.py download esc50
  python run_bench.py prepare esc50 --from ESC-50-master --data data
  python run_bench.py validate --encoder my_encoder.py:MyEncoder
  python run_bench.py --encoder logmel --tasks esc50 --protocol xares-0.1.3
  python run_bench.py leaderboard --format markdown
  python run_bench.py audit --tasks esc50 --data ../shared/data
  python run_bench.py reconstruct --encoder mulaw griffinlim --data my_recordings
  python run_bench.py train --config injection.yaml --data my_recordings \\
      --semantic out/encoder --out out/unified
  python run_bench.py leaderboard --with-published --format latex
  python run_bench.py compare logmel mfcc --tasks speech
  python run_bench.py report --out report.html
  python run_bench.py check --against published --encoder whisper-base

exit status: 0 all done, 1 a check failed (validate, audit, check, datasets --verify),
  2 cannot start, 3 some tasks not done, not checked or not compared, or a result
  file not readable
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    # Read by OpenMP when torch is loaded: threads that wait must not keep a core from those that
    # decode. Spinning, the default, makes small steps 20 to 60 times slower on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if argv is None else argv)
    # without a command's name, options mean `run`
    if words and words[0].startswith("-") and words[0] not in ("-h", "--help", "--version"):
        words.insert(0, "run")
    parser = _parser()
    arguments = parser.parse_args(words or ["--help"])
    arguments.words = words
    try:
        status: int = arguments.function(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\ninterrupted; the same command takes it up where it stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        _drop_unread()
        status = arguments.when_cut_off
    except CannotStartError as error:
        print(f"{_program()}: {error}", file=sys.stderr)
        return CANNOT_START
    except OSError as error:
        print(f"{_program()}: cannot read or write: {error}", file=sys.stderr)
        return CANNOT_START
    return status


def _parser() -> argparse.ArgumentParser:
    from earmark.benchmark.cli import (
        ablation,
        audit,
        check,
        compare,
        datasets,
        download,
        leaderboard,
        listing,
        prepare,
        reconstruct,
        report,
        run,
        train,
        validate,
    )

    parser = argparse.ArgumentParser(
        prog=_program(),
        description="Score audio encoders on tasks of speech, sound and music. Without a command "
        "the options are those of `run` (see `run --help`).",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"earmark {_version()}")
    commands = parser.add_subparsers(
        title="commands",
        metavar="{run,list,datasets,download,prepare,validate,leaderboard,compare,check,audit,"
        "reconstruct,report,train,ablation}",
    )
    for command in (
        run, listing, datasets, download, prepare, validate, leaderboard, compare, check, audit,
        reconstruct, report, train, ablation,
    ):  # fmt: skip
        command.add_parser(commands)
    return parser


def _drop_unread() -> None:
    """Send what nobody reads to nowhere, or Python would complain of it at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _program() -> str:
    """The name that this was called by."""
    return "earmark" if Path(sys.argv[0]).name == "earmark" else "run_bench.py"


def _version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("earmark")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
