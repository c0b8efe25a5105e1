"""RunResult: one encoder, one task, one protocol; everything needed to reproduce the cell.

Written as JSON (the schema is the fields below, in words also in `results/README.md`), with the
per-item predictions beside it as plain arrays. The JSON is written last: where it is, the
predictions are whole.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.io.fields import FieldError, check_whole, plain, read_fields
from earmark.benchmark.io.strict_json import parse
from earmark.benchmark.result.facts import (
    DataFacts,
    EncoderFacts,
    FileFact,
    ProtocolFacts,
    RunFacts,
    TaskFacts,
)
from earmark.benchmark.result.scores import Score
from earmark.tasks import DOMAINS

SCHEMA = 1
DONE: Final = "done"
FAILED: Final = "failed"
NOT_APPLICABLE: Final = "not applicable"
_MOST_CLASSES = 1_000_000  # the page names each of them


class ResultError(ValueError):
    """A result file that cannot be read. One line: which file, why, how to fix it."""


def parsed(text: str, where: str, schema: int, what: str, *, again: str) -> dict[str, Any]:
    """The JSON object of a file of this schema. Raises ResultError; what: as `faults_named`."""
    with faults_named(where, what):
        raw: dict[str, Any] = parse(text)
        found = raw.get("schema")
    if found != schema:
        raise ResultError(f"{where}: schema {found!r}, this version reads {schema}; {again}")
    return raw


@contextlib.contextmanager
def faults_named(where: str, what: str) -> Iterator[None]:
    """Errors of a block as a ResultError that says where, and what the file is not."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        if isinstance(error, ResultError):
            raise
        raise ResultError(f"{where}: not a {what} ({error}); remove it") from error


@dataclass
class RunResult:
    """One cell of the leaderboard and how it came about.

    schema: version of this layout.
    status: `done`, `failed` or `not applicable` (an encoder of one vector a clip, and a task that
        is scored by frames); the latter two have `error`, which says why, and no scores.
    synthetic: the audio was made by procedure; never to be compared with real results.
    task, encoder, data, run: see `TaskFacts`, `EncoderFacts`, `DataFacts`, `RunFacts`.
    protocol: every field of the protocol, with the number of seeds used; a record, as protocols of
        other versions have other fields.
    scores: probe (`linear`, `knn`) -> Score.
    inputs: SHA-256 over all that decides the numbers; a result is used again while it is equal.
    predictions: name and SHA-256 of the file with the per-item predictions.
    command: what makes this cell again; in words, where no command does.
    error: one line; null when done.
    versions: of Earmark, Python and the libraries that compute.
        Nothing outside `run`, `versions`, `command` and `data.audit` differs between two runs on
        the same inputs.
    path: the file that it was read from or written to; not part of what is written.
    """

    status: Literal["done", "failed", "not applicable"]
    synthetic: bool
    task: TaskFacts
    encoder: EncoderFacts
    protocol: dict[str, Any]
    scores: dict[str, Score] = field(default_factory=dict)
    data: DataFacts = field(default_factory=DataFacts)
    inputs: str = ""
    predictions: FileFact | None = None
    command: str = ""
    error: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    run: RunFacts = field(default_factory=RunFacts)
    schema: int = SCHEMA
    path: Path | None = field(default=None, init=False, repr=False, compare=False)

    def to_json(self) -> str:
        """JSON text. NaN, which JSON lacks, becomes null."""
        return (
            json.dumps(plain(self, whole=self.status == DONE), indent=1, ensure_ascii=False) + "\n"
        )

    @classmethod
    def from_json(cls, text: str, where: str = "result") -> RunResult:
        """Read what `to_json` wrote. Raises ResultError naming `where` and the field at fault."""
        raw = parsed(text, where, SCHEMA, "result file", again="run the task again")
        with faults_named(where, "result file"):
            result = read_fields(cls, raw)
            if result.status == DONE:
                check_whole(DataFacts, raw["data"], "data")
            _check(result)
        return result


@dataclass
class Predictions:
    """Per-item predictions of a cell; N items tested, in the order of folds and keys.

    keys, crops, sources, splits: (N,) clip key, number of the crop, source, test fold.
    labels: (N,) class index, or (N, C) bool. Transcripts: (N,) text. Captions: (M,) the number of
        each caption's clip. Events and notes: (all segments, C) bits, packed along C.
    linear: (N, S) predicted class per seed; multi-label: (S, N, C) float32 logits. Transcripts:
        (N, S) text. Captions: (N, S) rank, from 0, of the first of the clip's captions. Events and
        notes: (S, all segments, C) packed bits.
    knn: (N,) predicted class; None where kNN was not run.
    segments: (N,) events and notes: how many segments each item has.
    caption_ranks: (M, S) captions: rank, from 0, of each caption's clip.
    """

    keys: NDArray[np.str_]
    crops: NDArray[np.int64]
    sources: NDArray[np.str_]
    splits: NDArray[np.str_]
    labels: NDArray[Any]
    linear: NDArray[Any]
    knn: NDArray[np.int64] | None = None
    segments: NDArray[np.int64] | None = None
    caption_ranks: NDArray[np.int64] | None = None

    def to_bytes(self) -> bytes:
        """A compressed .npz of plain arrays, readable by numpy without pickle."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{k: v for k, v in arrays.items() if v is not None})
        return buffer.getvalue()

    @classmethod
    def load(cls, path: Path | io.BytesIO) -> Predictions:
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in arrays.files})


def _check(result: RunResult) -> None:
    """Raise FieldError, in a few words, where the tables could not show a result."""
    if result.task.domain not in DOMAINS:
        raise FieldError(f"task.domain is {result.task.domain!r}, not {', '.join(DOMAINS)}")
    if not 0 < result.task.weight < math.inf:
        raise FieldError(f"task.weight is {result.task.weight!r}")
    if not 0 <= (result.task.classes or 0) <= _MOST_CLASSES:
        raise FieldError(f"task.classes is {result.task.classes!r}")
    read_fields(ProtocolFacts, result.protocol, "protocol")
    if result.status != DONE:
        return
    if not result.scores:
        raise FieldError("it is done but has no scores")
    for probe, score in result.scores.items():
        _check_score(score, f"scores.{probe}")
    if bool(result.data.failed_clips) != bool(result.data.failures):
        raise FieldError("its count of failed clips is not that of those named")
    if bool(result.data.label_faults) != bool(result.data.faults):
        raise FieldError("data.label_faults is not the count of data.faults")


def _check_score(score: Score, where: str) -> None:
    """Raise FieldError where parts of a score contradict each other."""
    if not 0 < score.confidence < 1:
        raise FieldError(f"{where}.confidence is {score.confidence!r}")
    if not score.per_seed:
        raise FieldError(f"{where}.per_seed is empty")
    curves = (score.training_loss, score.validation)
    points = max(len(curve or ()) for curve in curves)
    for split, epochs in (score.checkpoints or {}).items():
        if len(epochs) < points:
            raise FieldError(f"{where}.checkpoints.{split} has fewer epochs than the curves")
    for split, fit in (score.fits or {}).items():
        if len(fit.validation_loss) != len(fit.strengths):
            raise FieldError(f"{where}.fits.{split} has losses of other strengths")
        if not all(0 < strength < math.inf for strength in fit.strengths):
            raise FieldError(f"{where}.fits.{split}.strengths are {fit.strengths!r:.40}")
