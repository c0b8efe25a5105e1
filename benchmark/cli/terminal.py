"""Where commands print."""

from __future__ import annotations

import contextlib
import sys

from rich.console import Console


class Terminal(Console):
    """A console on stdout, or on stderr for what is no outcome.

    Where its reader has gone it raises BrokenPipeError, as print does.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(highlight=False, stderr=stderr)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would end the process, with status 1


def log(line: str) -> None:
    """A line on stderr of how the work goes. That nobody reads it is no fault of the work."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)
