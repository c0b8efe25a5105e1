"""Where commands print their tables."""

from __future__ import annotations

from rich.console import Console


class Terminal(Console):
    """A console on stdout. Where its reader has gone it raises BrokenPipeError, as print does."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would end the process, with status 1
