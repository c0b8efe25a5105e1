"""Results as they lie in a folder: what they were measured under, and their predictions."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from earmark.benchmark.protocol import protocol_label
from earmark.benchmark.result.files import (
    failed_path,
    read_result,
    result_files,
)
from earmark.benchmark.result.schema import (
    FAILED,
    Predictions,
    ResultError,
    RunResult,
)

# Facts of a run and versions that decide the last bits of what it computed.
_MACHINE = ("device", "system", "processor", "instructions", "threads")
_COMPUTING = (
    "torch", "torchaudio", "numpy", "soxr", "soundfile", "libsndfile", "scikit-learn",
)  # fmt: skip


class Conditions(NamedTuple):
    """What must be the same where two results are compared, beside encoder, task and data.

    protocol: its label, so that an altered protocol is another one.
    """

    protocol: str
    seeds: int
    limit: int | None
    synthetic: bool

    def __str__(self) -> str:
        words = [f"protocol {self.protocol}", f"{self.seeds} seed{'s' if self.seeds != 1 else ''}"]
        if self.limit is not None:
            words.append(f"limit {self.limit}")
        return ", ".join([*words, "synthetic data" if self.synthetic else "real data"])


class PredictionsMissingError(ValueError):
    """A result's predictions are not there, or cannot be read. One line."""


class PredictionsAlteredError(ValueError):
    """A result's predictions are not those that were written with it. One line."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A result and the file that it was read from; equal to itself alone."""

    result: RunResult
    path: Path

    @property
    def encoder(self) -> str:
        return str(self.result.encoder.name)

    @property
    def fingerprint(self) -> str:
        return str(self.result.encoder.fingerprint)

    @property
    def task(self) -> str:
        return str(self.result.task.name)

    @property
    def conditions(self) -> Conditions:
        result = self.result
        return Conditions(
            protocol_label(result.protocol),
            int(result.protocol["seeds"]),
            result.data.limit,
            result.synthetic,
        )

    def machine(self) -> tuple[str, ...]:
        """What decides the last bits: two results with the same may be held to be equal.

        A fact that the result lacks, as one of an earlier version does, makes it like no other.
        """
        facts = [(name, getattr(self.result.run, name)) for name in _MACHINE]
        facts += [(name, self.result.versions.get(name)) for name in _COMPUTING]
        return tuple(f"{name} {self.path if value is None else value}" for name, value in facts)

    def predictions(self) -> Predictions:
        """Raises PredictionsMissingError and PredictionsAlteredError."""
        path, data = self._predictions_file()
        try:
            return Predictions.load(io.BytesIO(data))
        except (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise PredictionsMissingError(f"{path} holds no predictions ({error})") from error

    def altered(self) -> str | None:
        """In a line, where the predictions are not those that were written with the result."""
        try:
            self._predictions_file()
        except PredictionsMissingError:
            return None
        except PredictionsAlteredError as error:
            return f"predictions: {error}"
        return None

    def _predictions_file(self) -> tuple[Path, bytes]:
        named = self.result.predictions
        if named is None:
            raise PredictionsMissingError(f"{self.path} names no file of predictions")
        path = self.path.parent / named.file
        try:
            data = path.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise PredictionsMissingError(f"{path} cannot be read ({reason})") from error
        if hashlib.sha256(data).hexdigest() != named.sha256:
            raise PredictionsAlteredError(
                f"{path} is not the file that was written with its result (another SHA-256)"
            )
        return path, data


def read_folder(folder: Path) -> tuple[list[Stored], list[str]]:
    """Every result under a folder, and a line for each file that cannot be read.

    Of a cell that succeeded once and failed since, the failure alone: the latest attempt counts.
    """
    found: dict[Path, Stored] = {}
    unreadable: list[str] = []
    for path in result_files(folder):
        try:
            found[path] = Stored(read_result(path), path)
        except ResultError as error:
            unreadable.append(str(error))
    failed = {path for path, stored in found.items() if stored.result.status == FAILED}
    return [s for path, s in found.items() if failed_path(path) not in failed], unreadable


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names in one line; of many the first few, with how many more there are."""
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
