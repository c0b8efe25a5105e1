"""`validate`: what an encoder claims against what is measured."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.benchmark.cli.arguments import device
from earmark.benchmark.io.exits import ALL_DONE, CHECK_FAILED, CannotStartError

if TYPE_CHECKING:
    from earmark.benchmark.conformance.run import Check

_EXAMPLES = """\
examples:
  python run_bench.py validate --encoder logmel
  python run_bench.py validate --encoder my_encoder.py:MyEncoder --quick
  python run_bench.py validate --encoder whisper-base --weights ../models/whisper-base

exit status: 0 all is as claimed, 1 something is not, 2 the encoder cannot be loaded
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "validate",
        help="measure what an encoder claims",
        description="Measure what an encoder claims, on made-up audio: dimension, frame rate, "
        "that padding, batch and dropout change nothing, odd input, decoding.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--encoder", nargs="+", action="extend", required=True, metavar="NAME",
        help="names (see `list encoders`), path/to/file.py:ClassName, hf:ID_OR_FOLDER, hear:MODULE "
        "or torchaudio:BUNDLE",
    )  # fmt: skip
    parser.add_argument(
        "--weights", type=Path, metavar="DIR",
        help="folder with a local copy of the encoder's model, or the file of its weights "
        "(default: fetched once)",
    )  # fmt: skip
    parser.add_argument(
        "--device", type=device, default="auto", metavar="NAME",
        help="cpu, cuda, cuda:1 (the second GPU) or mps (default: auto: cuda where it is there)",
    )  # fmt: skip
    parser.add_argument(
        "--traceback", action="store_true", help="show in full what the encoder raised"
    )
    parser.add_argument("--quick", action="store_true", help="leave out 10 minutes of audio")
    parser.set_defaults(function=run, when_cut_off=CHECK_FAILED)


def run(arguments: argparse.Namespace) -> int:
    from earmark.benchmark.conformance.run import BREACH, validate
    from earmark.benchmark.identity.chosen import encoder_texts
    from earmark.benchmark.io.progress import Progress
    from earmark.encoders import EncoderError, load_encoders

    status = ALL_DONE
    try:
        encoders = load_encoders(encoder_texts(arguments.encoder), weights=arguments.weights)
        for number, encoder in enumerate(encoders):
            checks = validate(
                encoder, device=arguments.device, quick=arguments.quick, track=Progress
            )
            if number:
                print()
            _show(encoder.name, checks, traceback=arguments.traceback)
            if any(check.verdict == BREACH for check in checks):
                status = CHECK_FAILED
    except EncoderError as error:
        raise CannotStartError(str(error)) from error
    arguments.when_cut_off = status
    return status


def _show(name: str, checks: list[Check], *, traceback: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from earmark.benchmark.cli.terminal import Terminal
    from earmark.benchmark.conformance.run import BREACH, OK, SKIPPED

    console = Terminal()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in (name, "claimed", "measured", ""):
        # only words may break: verdicts and names are there to be found
        table.add_column(head, no_wrap=head in (name, ""), overflow="fold")
    style = {OK: "green", BREACH: "bold red", SKIPPED: "dim"}
    for check in checks:
        cells = (check.what, check.claimed, check.measured)
        table.add_row(*map(Text, cells), Text(check.verdict, style[check.verdict]))
    console.print(table)
    notes = [check for check in checks if check.why]
    if notes:
        console.print()
    for check in notes:
        console.print(Text(f"{check.verdict}: {check.what}: {check.why}"))
        if traceback and check.trace:
            console.print(Text(check.trace))
    breaches = sum(check.verdict == BREACH for check in checks)
    skipped = sum(check.verdict == SKIPPED for check in checks)
    console.print(
        f"\n{name}: {breaches or 'no'} {'breach' if breaches == 1 else 'breaches'} in "
        f"{len(checks) - skipped} checks, {skipped} skipped"
    )
