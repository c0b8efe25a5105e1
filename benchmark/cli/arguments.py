"""What an option may hold. Each raises, for argparse, the line that says what was wrong."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from earmark.benchmark.bounds import check_device
from earmark.benchmark.costs import COSTS
from earmark.benchmark.io.exits import CannotStartError
from earmark.benchmark.shots import checked_shots


def column_name(text: str) -> str:
    """A line of text."""
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError("must be a line of text")
    return text


def named(encoders: Sequence[str], name: str | None) -> list[str | Mapping[str, Any]]:
    """What `--encoder` and `--name` ask for together. Raises CannotStartError."""
    if name is None:
        return list(encoders)
    if len(encoders) > 1:
        raise CannotStartError(f"--name {name}: goes with one encoder, not {len(encoders)}")
    return [{"encoder": encoders[0], "name": name}]


def positive(text: str) -> int:
    """A whole number above 0."""
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return value


def natural(text: str) -> int:
    """A whole number from 0."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return value


def layer(text: str) -> int | str:
    """A whole number from 0, or `all`."""
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0, or all, not {text!r}")
    return text if text == "all" else int(text)


def shots(text: str) -> tuple[int | str, ...]:
    """Numbers of clips a class with commas between, and `all`."""
    words = text.split(",")
    try:
        return checked_shots([int(word) if word.isdecimal() else word for word in words])
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; as in 8,32,128,all") from error


def device(text: str) -> str:
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""
    try:
        check_device(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("device ")) from error
    return text


def add_cost(parser: argparse.ArgumentParser) -> None:
    """`--cost`, of commands that show a leaderboard."""
    parser.add_argument(
        "--cost", nargs="*", action="extend", choices=COSTS, metavar="NAME",
        help="show what each encoder costs beside its mean score: parameters, values (a second), "
        "bits (a second, of codes), speed (x real time); without a name: all of them",
    )  # fmt: skip


def seconds(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return value


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 1, not {text!r}")
    return value
