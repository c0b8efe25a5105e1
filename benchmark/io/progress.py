"""Progress on the terminal: a bar where there is one, a line now and then where there is none."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

_FIRST_AFTER_S = 2.0  # what is done sooner needs no progress
_LINE_EVERY_S = 15.0


class Progress:
    """Counts steps of one piece of work; a context manager.

    label: what is being done. total: steps in all. unit: what a step is. Where audio is counted,
    its hours and the speed as a multiple of real time are shown too, or what `log` was last given.
    With `quiet` nothing is.
    """

    def __init__(
        self,
        label: str,
        total: int,
        unit: str,
        *,
        stream: TextIO | None = None,
        quiet: bool = False,
    ) -> None:
        self.quiet = quiet
        self.label, self.total, self.unit = label, total, unit
        self.stream = stream or sys.stderr
        self.done = self.before = 0
        self.audio_seconds = 0.0
        self.said = ""
        self.started = time.monotonic()
        self.last_line = self.started - _LINE_EVERY_S + _FIRST_AFTER_S
        self.bar: tqdm[Any] | None = None

    def __enter__(self) -> Progress:
        if self.stream.isatty() and not self.quiet:
            self.bar = tqdm(
                total=self.total, desc=self.label, unit=self.unit, file=self.stream, leave=False,
                delay=_FIRST_AFTER_S, dynamic_ncols=True,
                bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}{postfix}"
                " [{elapsed}, {remaining} left]",
            )  # fmt: skip
        return self

    def advance(self, steps: int, audio_seconds: float = 0.0) -> None:
        """`steps` more are done, and so much more audio."""
        self.done += steps
        self.audio_seconds += audio_seconds
        if self.bar is not None:
            if self.audio_seconds and not self.said:
                self.bar.set_postfix_str(self._audio(), refresh=False)
            self.bar.update(steps)
        elif not self.quiet and time.monotonic() - self.last_line >= _LINE_EVERY_S:
            self.last_line = time.monotonic()
            try:
                self.stream.write(f"{self.line()}\n")
                self.stream.flush()
            except OSError:  # nobody reads it any more; that is no fault of the work
                self.quiet = True

    def resume(self, done: int) -> None:
        """`done` were done before, by what was interrupted: of no account for the time left."""
        self.done = self.before = done
        if self.bar is not None:
            self.bar.initial = self.bar.n = self.bar.last_print_n = done

    def show(self, text: str) -> None:
        """What is shown beside the count from now on, in place of the audio."""
        self.said = text
        if self.bar is not None:
            self.bar.set_postfix_str(text, refresh=False)

    def to(self, done: int, total: int) -> None:
        """`done` of `total` are done now."""
        if self.bar is not None and total != self.bar.total:
            self.bar.total = total
        self.total = total
        self.advance(done - self.done)

    def line(self) -> str:
        """The state in one line, without colour."""
        spent = time.monotonic() - self.started
        left = ""
        if self.before < self.done < self.total:
            each = spent / (self.done - self.before)
            left = f", about {format_duration(each * (self.total - self.done))} left"
        audio = f", {self._audio()}" if self.audio_seconds else ""
        audio = f", {self.said}" if self.said else audio
        return f"{self.label}: {self.done}/{self.total} {self.unit}{audio}{left}"

    def _audio(self) -> str:
        spent = max(time.monotonic() - self.started, 1e-9)
        speed = self.audio_seconds / spent
        return f"{self.audio_seconds / 3600:.2f} h of audio, {speed:.0f} x real time"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.close()


# What makes a Progress for a piece of work: label, total, unit.
ProgressFactory = Callable[[str, int, str], Progress]


def no_progress(label: str, total: int, unit: str) -> Progress:
    """A Track that shows nothing."""
    return Progress(label, total, unit, quiet=True)


def format_duration(seconds: float) -> str:
    """Seconds as people say them: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def format_bytes(size: int) -> str:
    """Bytes as people say them: `812 B`, `5.3 MB`, `1.24 GB`."""
    if size < 1000:
        return f"{size} B"
    units = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    unit = next((unit for unit in units if size < 999.5 * units[unit]), "TB")
    value = size / units[unit]
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f} {unit}"


def log(line: str) -> None:
    """A line on stderr, above a bar where there is one. That nobody reads it is no fault."""
    with contextlib.suppress(OSError, ValueError):
        tqdm.write(line, file=sys.stderr)
