"""ReconstructionResult: one codec, one data set; everything needed to reproduce the row.

JSON (the fields below, in words also in `results/README.md`) with a table of the clips beside it.
The JSON is written last: where it is, the table is whole.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from earmark.benchmark.io.fields import FieldError, Interval, MaybeNaN, optional, plain, read_fields
from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.reconstruction.measure import ItemRecord
from earmark.benchmark.reconstruction.metric.registry import Metric
from earmark.benchmark.result.facts import CodecFacts, FileFact, ReconstructionData, RunFacts
from earmark.benchmark.result.files import RECONSTRUCTION
from earmark.benchmark.result.schema import (
    DONE,
    FAILED,
    ResultError,
    faults_named,
    parsed,
)
from earmark.benchmark.uncertainty.interval import PERCENTILES, additive_interval

SCHEMA = 1
RESAMPLES, CONFIDENCE = 1000, 0.95
# A delay estimated at a lower correlation means nothing.
RELIABLE_CORRELATION = 0.5


@dataclass
class MetricScore:
    """A metric over a data set.

    value: mean over the items (clips, or their crops) that have a value; NaN where none has.
    interval: [low, high] at `confidence`, percentiles of a bootstrap over sources; null with one
    source. items, sources: how many have a value. not_computed: items without one; reasons: why,
    with counts. label, unit, higher, digits, rate: see `Metric`.
    """

    value: MaybeNaN
    interval: Interval
    confidence: float
    items: int
    sources: int
    not_computed: int
    reasons: dict[str, int]
    label: str
    unit: str
    higher: bool
    digits: int
    rate: int


@dataclass(frozen=True)
class LengthDifference:
    """How many samples the codec returned too many."""

    least: int
    median: float
    most: int


@dataclass(frozen=True)
class Delay:
    """median_ms: over the `items` with a correlation of at least 0.5; off: by more than 0.5 ms."""

    median_ms: float | None
    items: int
    off: int


@dataclass(frozen=True)
class Alignment:
    """How what a codec returned lay to its input; None where nothing was measured."""

    length_difference: LengthDifference | None = optional()
    delay: Delay | None = optional()


@dataclass
class ReconstructionResult:
    """One row of the reconstruction leaderboard and how it came about.

    status: `done` or `failed`; a failed one has `error` and no scores.
    synthetic: the audio was made by procedure; never to be compared with real results.
    codec, data, run: see `CodecFacts`, `ReconstructionData`, `RunFacts`.
    settings: every choice that decides values; results of different ones share no table.
    scores: metric -> MetricScore. not_measured: metrics whose package was not installed.
    alignment: see `Alignment`.
    clips: name and SHA-256 of the table of clips.
    command, versions: as in `RunResult`.
    path: the file that it was read from; not part of what is written.
    """

    status: Literal["done", "failed"]
    synthetic: bool
    codec: CodecFacts
    data: ReconstructionData
    settings: dict[str, Any]
    scores: dict[str, MetricScore] = field(default_factory=dict)
    not_measured: list[str] = field(default_factory=list)
    alignment: Alignment = field(default_factory=Alignment)
    clips: FileFact | None = None
    command: str = ""
    error: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    run: RunFacts = field(default_factory=RunFacts)
    schema: int = SCHEMA
    path: Path | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def comparable(self) -> str:
        """Eight hex digits, equal where two results may stand in one table."""
        clips = [self.data.digest, self.data.source_digest, self.data.limit]
        facts = [self.synthetic, *clips, self.settings]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]

    def to_json(self) -> str:
        """JSON text. NaN, which JSON lacks, becomes null."""
        return json.dumps(plain(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "result") -> ReconstructionResult:
        """Read what `to_json` wrote. Raises ResultError naming `where` and the field at fault."""
        what = "reconstruction result"
        raw = parsed(text, where, SCHEMA, what, again="reconstruct again")
        with faults_named(where, what):
            result = read_fields(cls, raw)
            if result.status == DONE and not result.scores:
                raise FieldError("it is done but has no scores")
        return result


def summarise(metrics: Sequence[Metric], records: Sequence[ItemRecord]) -> dict[str, MetricScore]:
    """Mean and interval of every metric over the items that have a value."""
    names = {source: number for number, source in enumerate(sorted({r.source for r in records}))}
    sources = np.array([names[record.source] for record in records], np.int64)
    scores = {}
    for metric in metrics:
        values = np.array([record.values[metric.name] for record in records])
        known = np.isfinite(values)
        value, interval = math.nan, None
        if known.any():
            value = float(values[known].mean())
            counts = np.stack([values[known], np.ones(int(known.sum()))], axis=1)
            interval = additive_interval(
                counts, sources[known], lambda sums: sums[:, 0] / sums[:, 1],
                method=PERCENTILES, resamples=RESAMPLES, confidence=CONFIDENCE,
            )  # fmt: skip
        reasons = Counter(r.reasons[metric.name] for r in records if metric.name in r.reasons)
        scores[metric.name] = MetricScore(
            value, None if interval is None else list(interval), CONFIDENCE, int(known.sum()),
            len(np.unique(sources[known])), int((~known).sum()), dict(sorted(reasons.items())),
            metric.label, metric.unit, metric.higher, metric.digits, metric.rate,
        )  # fmt: skip
    return scores


def alignment_of(records: Sequence[ItemRecord]) -> Alignment:
    """What `ReconstructionResult.alignment` holds."""
    if not records:
        return Alignment()
    differences = [record.length_difference for record in records]
    late = [
        1000 * record.delay
        for record in records
        if abs(record.delay_correlation) >= RELIABLE_CORRELATION
    ]
    return Alignment(
        LengthDifference(min(differences), float(np.median(differences)), max(differences)),
        Delay(
            float(np.median(late)) if late else None,
            len(late),
            sum(abs(delay) > 0.5 for delay in late),
        ),
    )


def clip_table(metrics: Sequence[Metric], records: Sequence[ItemRecord]) -> str:
    """CSV: a line an item. Values without a number are empty, with the reason in `not_computed`."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["key", "crop", "source", "seconds", *(metric.name for metric in metrics),
         "length_difference", "delay_ms", "delay_correlation", "not_computed"]
    )  # fmt: skip
    for record in records:
        reasons = "; ".join(f"{name}: {why}" for name, why in record.reasons.items())
        writer.writerow(
            [record.key, record.crop, record.source, f"{record.seconds:.3f}",
             *(_text(record.values[metric.name]) for metric in metrics),
             record.length_difference, _text(1000 * record.delay),
             _text(record.delay_correlation), reasons]
        )  # fmt: skip
    return file.getvalue()


def _text(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def result_path(root: Path, result: ReconstructionResult) -> Path:
    """Where a result lies: results that may not be compared share no file."""
    name, suffix = _name_of(result)
    return _folder(root, result) / f"{name}-{result.comparable}{suffix}{RECONSTRUCTION}"


def failed_path(root: Path, result: ReconstructionResult) -> Path:
    """Where a failed attempt is noted: beside an earlier success, which stays."""
    name, suffix = _name_of(result)
    # the clips may not have been read, so that only their place tells them from others
    place = (result.data.place or "")[:8]
    mark = f"-{place}" if place else ""
    return _folder(root, result) / f"{name}{mark}{suffix}.failed{RECONSTRUCTION}"


def place_digest(place: str) -> str:
    """SHA-256 of where a folder or file lies, as a full path."""
    return hashlib.sha256(str(Path(place).resolve()).encode()).hexdigest()


def asked_of(result: ReconstructionResult) -> tuple[Any, ...]:
    """What a failed result is told by: it may not have got as far as reading its clips.

    Two data sets of one name, in two places, are two.
    """
    data = result.data
    return (result.synthetic, data.name, data.place or "", data.limit)


def _folder(root: Path, result: ReconstructionResult) -> Path:
    codec = result.codec
    column = f"{_safe(codec.name) or 'codec'}-{codec.fingerprint[:8]}"
    return root / column / "reconstruction"


def _name_of(result: ReconstructionResult) -> tuple[str, str]:
    suffix = ".synthetic" if result.synthetic else ""
    if result.data.limit is not None:
        suffix += f".limit-{result.data.limit}"
    return _safe(result.data.name) or "data", suffix


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=-]+", "-", name).strip(".-")


def write_result(root: Path, result: ReconstructionResult, table: str) -> Path:
    """Write a result, the table of its clips first; returns where it lies."""
    path, failed = result_path(root, result), failed_path(root, result)
    if result.status == FAILED:
        write_atomically(failed, result.to_json().encode())
        return failed
    beside = path.with_name(path.name.removesuffix(RECONSTRUCTION) + ".clips.csv")
    data = table.encode()
    result.clips = FileFact(beside.name, hashlib.sha256(data).hexdigest())
    write_atomically(beside, data)
    write_atomically(path, result.to_json().encode())
    failed.unlink(missing_ok=True)
    return path


def clips_of(result: ReconstructionResult) -> pd.DataFrame:
    """The table of a result's clips, from beside the file that it was read from or written to.

    A row an item: `key`, `crop`, `source`, `seconds`, a column a metric (NaN: not computed).
    Raises ResultError where it is not there or not the one written with the result.
    """
    if result.path is None or result.clips is None:
        raise ResultError(f"{result.codec.name}: its clips were not written to a file")
    fault = altered(result)
    if fault is not None:
        raise ResultError(fault)
    path = result.path.with_name(Path(result.clips.file).name)
    try:
        return pd.read_csv(path, dtype={"key": str, "source": str})
    except OSError as error:
        raise ResultError(f"{path} cannot be read ({error.strerror})") from error


def altered(result: ReconstructionResult) -> str | None:
    """In a line, where the table of a result's clips is not the one that was written with it.

    A table that is not there, as beside published references, is no fault.
    """
    named = result.clips
    if result.path is None or named is None:
        return None
    path = result.path.with_name(Path(named.file).name)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    if hashlib.sha256(data).hexdigest() == named.sha256:
        return None
    return f"{path} is not the file that was written with its result (another SHA-256)"


def has_more(root: Path, result: ReconstructionResult) -> list[str]:
    """Metrics that this result lacks, as their packages are not installed, and the one that it
    would replace has."""
    if result.status == FAILED or not result.not_measured:
        return []
    try:
        text = result_path(root, result).read_text(encoding="utf-8")
        there = ReconstructionResult.from_json(text)
    except (OSError, UnicodeDecodeError, ResultError):
        return []
    return [name for name in result.not_measured if name in there.scores]


def read_results(root: Path) -> tuple[list[ReconstructionResult], list[str]]:
    """All reconstruction results under a folder; and one line for each that cannot be read."""
    results, unreadable = [], []
    for path in sorted(root.rglob(f"*{RECONSTRUCTION}")):
        if path.name.startswith("."):
            continue
        try:
            text = path.read_text(encoding="utf-8")
            results.append(ReconstructionResult.from_json(text, str(path)))
            results[-1].path = path
        except ResultError as error:
            unreadable.append(str(error))
        except (OSError, UnicodeDecodeError) as error:
            unreadable.append(f"{path}: cannot be read ({error})")
    return results, unreadable
