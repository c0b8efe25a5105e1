"""RunResult: one encoder, one task, one protocol; everything needed to reproduce the cell.

Written as JSON (the schema is the fields below, in words also in `results/README.md`), with the
per-item predictions beside it as plain arrays. The JSON is written last: where it is, the
predictions are whole.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.io.strict_json import parse, without_nan
from earmark.benchmark.result.linear_fit import LinearFit
from earmark.benchmark.result.scores import Score
from earmark.benchmark.shots import read_shots
from earmark.tasks import DOMAINS

SCHEMA = 1
DONE, FAILED = "done", "failed"

# what the tables read; a file without them is no result
_NUMBER = (int, float)
_NEEDED: dict[str, dict[str, Any]] = {
    "task": {
        "name": str, "title": str, "domain": str, "metric": str, "weight": _NUMBER,
        "probes": list, "digest": str,
    },
    "encoder": {"name": str, "fingerprint": str},
    "protocol": {"name": str, "seeds": int},
    "data": {
        "shards": list, "clips": int, "failed_clips": int, "failures": list, "sources": int,
        "source_unit": str, "guessed_sources": int, "straddling_sources": int,
    },
}  # fmt: skip
_NEEDED_OF_SHARD = {"split": str, "sha256": str}
_NEEDED_OF_FAILURE = {"shard": str, "key": str, "reason": str}
_NEEDED_OF_AUDIT = {"audited": str, "parts": str, "clips": int, "in_two_splits": int}
_NEEDED_OF_SCORE = {
    "metric": str, "value": _NUMBER, "confidence": _NUMBER, "items": int, "sources": int,
    "not_computed": int,
}  # fmt: skip


class ResultError(ValueError):
    """A result file that cannot be read. One line: which file, why, how to mend it."""


@dataclass
class RunResult:
    """One cell of the leaderboard and how it came about.

    schema: version of this layout.
    status: `done` or `failed`; a failed one has `error` and no scores.
    synthetic: the audio was made by procedure; never to be compared with real results.
    task: name, title, abbreviation, domain, weight, metric, classes (how many), probes, licence,
        digest (of what can change a score), declared (the same of the declaration as it is).
    encoder: name, how it was asked for (`spec`), fingerprint, sample_rate, embedding_dim,
        frame_rate, honours_lengths, parameters.
    protocol: every field of the protocol, with the number of seeds used.
    scores: probe (`linear`, `knn`) -> Score.
    data: limit, shards (name, split, SHA-256), clips, items (per split), parts (items that
        trained, validated and tested, by test fold), sources, source_unit, guessed_sources
        (clips that the source rule did not fit), straddling_sources (in more
        than one split or fold), seconds of audio, failed_clips (count), failures (shard, key,
        reason; the first 100), labels (how many), label_faults (how many of them were left out),
        faults (likewise), classes_present (how many of the task's have a clip),
        classes_missing_from_training (names of tested ones). Where the shards were audited,
        `audit`: when (`audited`), `parts` (`split` or `fold`), and the counts of
        `earmark.benchmark.audit.run.audit_tasks`, over all clips of the shards, whatever the limit.
    inputs: SHA-256 over all that decides the numbers; a result is used again while it is equal.
    predictions: name and SHA-256 of the file with the per-item predictions.
    command: what makes this cell again; in words, where no command does.
    error: one line; null when done.
    versions: of Earmark, Python and the libraries that compute.
    run: when, where, on what device, and how many seconds it took. Nothing outside `run`,
        `versions`, `command` and `data["audit"]` differs between two runs on the same inputs.
    path: the file that it was read from or written to; not part of what is written.
    """

    status: str
    synthetic: bool
    task: dict[str, Any]
    encoder: dict[str, Any]
    protocol: dict[str, Any]
    scores: dict[str, Score] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    inputs: str = ""
    predictions: dict[str, str] | None = None
    command: str = ""
    error: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA
    path: Path | None = field(default=None, init=False, repr=False, compare=False)

    def to_json(self) -> str:
        """JSON text. NaN, which JSON lacks, becomes null."""
        facts = asdict(self)
        del facts["path"]
        return json.dumps(without_nan(facts), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "result") -> RunResult:
        """Read what `to_json` wrote. Raises ResultError naming `where`."""
        try:
            raw = parse(text)
            if raw.get("schema") != SCHEMA:
                raise ResultError(
                    f"{where}: schema {raw.get('schema')!r}, this version reads {SCHEMA}; "
                    "run the task again"
                )
            scores = {name: score_from(score) for name, score in raw.pop("scores").items()}
            result = cls(**raw, scores=scores)
            check_result(result)
            return result
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            if isinstance(error, ResultError):
                raise
            raise ResultError(f"{where}: not a result file ({error}); remove it") from error


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


def check_result(result: RunResult) -> None:
    """Raise ValueError, in a few words, where the tables could not show a result."""
    if result.status not in (DONE, FAILED):
        raise ValueError(f"its status is {result.status!r}")
    if not isinstance(result.synthetic, bool):
        raise ValueError(f"its synthetic is {result.synthetic!r}")
    if not isinstance(result.predictions, dict | None):
        raise ValueError(f"its predictions are {result.predictions!r:.40}")
    done = result.status == DONE
    for part, needed in _NEEDED.items():
        _check_part(getattr(result, part), needed if part != "data" or done else {}, f"its {part}")
    if result.task["domain"] not in DOMAINS:
        raise ValueError(f"its domain is {result.task['domain']!r}, not {', '.join(DOMAINS)}")
    if not 0 < result.task["weight"] < math.inf:
        raise ValueError(f"its weight is {result.task['weight']!r}")
    if result.data.get("limit") is not None:
        _check_part(result.data, {"limit": int}, "its data")
    if not done:
        return
    if not result.scores:
        raise ValueError("it is done but has no scores")
    for probe, score in result.scores.items():
        _check_part(vars(score), _NEEDED_OF_SCORE, f"its {probe} score")
        if score.interval is not None:
            low, high = score.interval
            _check_part(
                {"low": low, "high": high}, {"low": _NUMBER, "high": _NUMBER}, "an interval"
            )
    if bool(result.data["failed_clips"]) != bool(result.data["failures"]):
        raise ValueError("its count of failed clips is not that of those named")
    for shard in result.data["shards"]:
        _check_part(shard, _NEEDED_OF_SHARD, "a shard of its data")
    for failure in result.data["failures"]:
        _check_part(failure, _NEEDED_OF_FAILURE, "a failure of its data")
    if "audit" in result.data:
        check_audit(result.data["audit"])


def check_audit(audit: dict[str, Any]) -> None:
    """Raise ValueError where the tables could not show what `data["audit"]` says."""
    _check_part(audit, _NEEDED_OF_AUDIT, "its audit")


def _check_part(part: dict[str, Any], needed: dict[str, Any], where: str) -> None:
    lacking = needed.keys() - part.keys()
    if lacking:
        raise ValueError(f"{where} lacks {', '.join(sorted(lacking))}")
    for key, kind in needed.items():
        if not isinstance(part[key], kind) or isinstance(part[key], bool):
            raise ValueError(f"the {key} of {where} is {part[key]!r:.40}")


def score_from(raw: dict[str, Any]) -> Score:
    if raw.get("value") is None:
        raw["value"] = math.nan
    if None in (raw.get("interval") or ()):  # NaN, where it was written
        raw["interval"] = None
    raw["per_seed"] = [math.nan if value is None else value for value in raw["per_seed"]]
    raw["also"] = {
        name: math.nan if value is None else value for name, value in raw.get("also", {}).items()
    }
    raw["per_split"] = {
        split: math.nan if value is None else value for split, value in raw["per_split"].items()
    }
    if raw.get("fits") is not None:
        raw["fits"] = {split: LinearFit(**fit) for split, fit in raw["fits"].items()}
    if raw.get("shots") is not None:
        raw["shots"] = read_shots(raw["shots"])
    return Score(**raw)
