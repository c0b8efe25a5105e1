"""Before a run: an encoder's quick checks, once for each encoder, version of them and machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from pathlib import Path

import torch

from earmark.benchmark.conformance.run import (
    BREACH,
    OK,
    SKIPPED,
    VERSION,
    Check,
    in_time_check,
    quick_checks,
    random_numbers_kept,
)
from earmark.benchmark.conformance.trial import TrialRuns
from earmark.benchmark.io.progress import Progress
from earmark.benchmark.io.sealed import read_sealed, write_sealed
from earmark.benchmark.settings import RunSettings
from earmark.encoders import AudioEncoder, EncoderError
from earmark.encoders.device import device_kind

# A slow encoder is checked as far as this goes, after the first, shortest clip.
BUDGET_S = 3.0


class Preflight:
    """Lets encoders of one forward pass into a run where they keep what they claim.

    fingerprints: of each of them. run.device must be chosen by now (not `auto`). That an
    encoder has passed all is remembered in the cache folder; with `run.force` it is checked again.
    """

    def __init__(self, fingerprints: dict[AudioEncoder, str], run: RunSettings) -> None:
        self.fingerprints, self.run = fingerprints, run
        self.refusals: dict[AudioEncoder, str | None] = {}
        self.out_of_time: dict[AudioEncoder, str | None] = {}
        self.passes: TrialRuns | None = None

    def check(self, encoder: AudioEncoder, in_time: bool = False) -> None:
        """Raise EncoderError, naming claim and measure, for an encoder that breaks its contract.

        in_time: for a task that is scored in time, which needs frames that follow it.
        """
        if encoder not in self.refusals:
            mark = self._mark(encoder)
            known = not self.run.force and read_sealed(mark) is not None
            self.refusals[encoder] = None if known else self._look(encoder, mark)
        refusal = self.refusals[encoder]
        if refusal is None and in_time:
            if encoder not in self.out_of_time:
                self.out_of_time[encoder] = self._time(encoder)
            refusal = self.out_of_time[encoder]
        if refusal is not None:
            raise EncoderError(refusal)

    def _time(self, encoder: AudioEncoder) -> str | None:
        """Why an encoder's frames cannot be scored in time, or None."""
        mark = self._mark(encoder, "in time")
        if not self.run.force and read_sealed(mark) is not None:
            return None
        with random_numbers_kept(self.run.device):
            encoder.to(self.run.device)
            check = in_time_check(encoder, TrialRuns([encoder], self.run.device, BUDGET_S))
        if check.verdict == BREACH:
            return _refusal(encoder, check)
        if check.verdict == OK:
            self._remember(encoder, mark)
        return None

    def _look(self, encoder: AudioEncoder, mark: Path) -> str | None:
        """Why an encoder must not run, or None; what has passed every check is marked."""
        with random_numbers_kept(self.run.device):
            encoder.to(self.run.device)
            if self.passes is None:
                self.passes = TrialRuns(list(self.fingerprints), self.run.device, BUDGET_S)
            checks = quick_checks(encoder, self.passes, Progress)
        for check in checks:
            if check.verdict == BREACH and check.stops:
                return _refusal(encoder, check)
        late = [c.what for c in checks if c.verdict == SKIPPED and c.why.startswith("too slow")]
        if late:
            with contextlib.suppress(OSError):  # nobody reads it any more
                sys.stderr.write(
                    f"{encoder.name}: too slow to check {', '.join(late)} before the run; "
                    "`run_bench.py validate` does\n"
                )
            return None  # not marked: the next run tries again
        self._remember(encoder, mark)
        return None

    def _remember(self, encoder: AudioEncoder, mark: Path) -> None:
        facts = {"encoder": encoder.name, "version": VERSION}
        with contextlib.suppress(OSError):  # a cache that cannot be written
            write_sealed(mark, json.dumps(facts).encode())

    def _mark(self, encoder: AudioEncoder, *what: str) -> Path:
        """The file that says that an encoder has passed; what: besides the quick checks."""
        device = device_kind(self.run.device)
        facts = [self.fingerprints[encoder], VERSION, device, torch.__version__, *what]
        name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        return self.run.cache / "conformance" / f"{name}.passed"


def _refusal(encoder: AudioEncoder, check: Check) -> str:
    return (
        f"encoder {encoder.name!r} breaks its contract: {check.what}: claimed {check.claimed}, "
        f"measured {check.measured}; {check.why} (`run_bench.py validate` shows all)"
    )
