"""The reconstruction leaderboard: result files to tables. Rows codecs, columns metrics.

What cannot be compared never stands in one table: other clips, crops, limits or settings of the
metrics, and synthetic beside real audio, have tables of their own. Published values stand in
rows of their own, marked, in the table of the data set that they are said to be of.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.reconstruction.result import MetricScore, ReconstructionResult, asked_of
from earmark.benchmark.result.published import PublishedValue
from earmark.benchmark.result.schema import DONE

MARK = "*"  # of what was not measured here
# What published metrics are here, as far as is known.
PUBLISHED_AS = {
    "PESQ": "pesq_wb",
    "STOI": "stoi",
    "Mel-16k": "mel_distance_16k",
    "STFT-16k": "stft_distance_16k",
}
_FEW_SOURCES = 10


@dataclass
class BoardRow:
    """One codec. status: `done`, `failed` or `published`. facts: frame_rate, embedding_dim,
    values_per_second, speed (a multiple of real time); NaN where not known. scores: by metric.
    published: values by metric, of a published row. result: what another row rests on.
    """

    name: str
    status: str
    facts: dict[str, float] = field(default_factory=dict)
    scores: dict[str, MetricScore] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)
    result: ReconstructionResult | None = None

    def value(self, metric: str) -> float:
        """The metric's value; NaN where there is none."""
        if self.status == "published":
            return self.published.get(metric, math.nan)
        return self.scores[metric].value if metric in self.scores else math.nan


@dataclass
class BoardTable:
    """Results that may be compared with each other. metrics: their scores' facts, in order."""

    caption: str
    metrics: dict[str, MetricScore]
    rows: list[BoardRow]
    notes: list[str]


def make_tables(
    results: Iterable[ReconstructionResult],
    published: Sequence[PublishedValue] = (),
    citations: dict[str, str] | None = None,
) -> list[BoardTable]:
    """Tables from results; real data first. citations: of the sources of published values."""
    done: dict[str, list[ReconstructionResult]] = {}
    failed: dict[tuple[Any, ...], list[ReconstructionResult]] = {}
    for result in results:
        if result.status == DONE:
            done.setdefault(result.comparable, []).append(result)
        else:
            failed.setdefault(asked_of(result), []).append(result)
    tables = []
    for group in done.values():
        theirs = failed.pop(asked_of(group[0]), [])
        tables.append((group[0], _table(group, theirs, published, citations or {})))
    tables += [(group[0], _table([], group, (), {})) for group in failed.values()]
    tables.sort(key=lambda pair: (pair[0].synthetic, pair[0].data.name, pair[0].comparable))
    return [table for _, table in tables]


def _table(
    done: list[ReconstructionResult],
    failed: list[ReconstructionResult],
    published: Sequence[PublishedValue],
    citations: dict[str, str],
) -> BoardTable:
    names = _names([*done, *failed])
    metrics = {name: score for result in done for name, score in result.scores.items()}
    order = sorted(metrics, key=lambda name: _ORDER.index(_family(name)))
    notes = _common_notes(done)
    rows = []
    for result in done:
        name = names[_identity(result)]
        rows.append(BoardRow(name, DONE, _facts(result), result.scores, result=result))
    notes += _together([(names[_identity(result)], _notes(result)) for result in done])
    rows.sort(key=lambda row: _rank(row, order, metrics))
    lost = {_identity(result): result for result in failed}
    for identity, result in lost.items():
        earlier = any(row.name == names[identity] for row in rows)
        # the latest attempt failed: an earlier success does not stand for it
        rows = [row for row in rows if row.name != names[identity]]
        rows.append(BoardRow(names[identity], "failed", _facts(result), result=result))
        kept = " (an earlier result is kept in its file)" if earlier else ""
        notes.append(f"failed: {names[identity]}: {result.error}{kept}")
    first = (done or failed)[0]
    if done and not first.synthetic and first.data.limit is None:
        found, said = _published_rows(first.data.known_as, metrics, published, citations)
        rows += found
        notes += said
        if first.data.kind == "preset" and first.data.known_as is None:
            notes.append("no published values: less than half of the data set, or other crops")
    return BoardTable(
        _caption(first), {name: metrics[name] for name in order}, rows, list(dict.fromkeys(notes))
    )


_ORDER = (
    "pesq_wb", "pesq_nb", "stoi", "estoi", "si_sdr", "mel_distance", "stft_distance", "log_mel_l1",
    "log_spectral_distance", "",
)  # fmt: skip


def _family(metric: str) -> str:
    return next(name for name in _ORDER if metric.startswith(name))


def _rank(row: BoardRow, order: list[str], metrics: dict[str, MetricScore]) -> tuple[float, ...]:
    """Best first, by the first metric that has a value."""
    values = ((row.value(name), metrics[name].higher) for name in order)
    return tuple(
        math.inf if not math.isfinite(value) else -value if higher else value
        for value, higher in values
    )


def _identity(result: ReconstructionResult) -> tuple[str, str]:
    return result.codec.name, result.codec.fingerprint


def _names(results: list[ReconstructionResult]) -> dict[tuple[str, str], str]:
    """Codecs' names; two of one name are told apart by their fingerprints."""
    identities = list(dict.fromkeys(_identity(result) for result in results))
    names = [name for name, _ in identities]
    return {
        (name, print_): name if names.count(name) == 1 else f"{name}@{print_[:8]}"
        for name, print_ in identities
    }


def _facts(result: ReconstructionResult) -> dict[str, float]:
    facts = {
        key: float(getattr(result.codec, key))
        for key in ("frame_rate", "embedding_dim", "values_per_second")
    }
    speed = result.run.speed
    return facts | {"speed": math.nan if speed is None else float(speed)}


def _caption(result: ReconstructionResult) -> str:
    data = result.data
    words = [
        "SYNTHETIC data (made by procedure; says nothing about real audio)"
        if result.synthetic
        else "real data",
        f"{data.clips} clips of {data.sources} sources ({data.source_unit})"
        if data.sources
        else f"{data.clips} clips",
    ]
    if data.crop_seconds is not None:
        words.append(f"crops of {data.crop_seconds:g} s")
    if data.limit is not None:
        words.append(f"LIMITED to {data.limit} clips")
    digest = f" [{data.digest[:8]}]" if data.digest else ""
    return f"{data.name}{digest}: {', '.join(words)}"


def _common_notes(done: list[ReconstructionResult]) -> list[str]:
    if not done:
        return []
    scores = [score for result in done for score in result.scores.values()]
    notes = []
    confidences = sorted({score.confidence for score in scores if score.interval is not None})
    if confidences:
        shown = " or ".join(f"{100 * confidence:g} %" for confidence in confidences)
        notes.append(f"mean over clips; in brackets: {shown} interval, by source")
    lower = list(dict.fromkeys(score.label for score in scores if not score.higher))
    higher = list(dict.fromkeys(score.label for score in scores if score.higher))
    for labels, which in ((higher, "higher"), (lower, "lower")):
        if labels:
            notes.append(f"{which} is better: {', '.join(labels)}")
    fewest = min((s.sources for s in scores if s.interval is not None), default=_FEW_SOURCES)
    if fewest < _FEW_SOURCES:
        notes.append(f"intervals rest on {fewest} sources and are rough")
    for package in ("pesq", "pystoi", "soxr"):
        versions = sorted({result.versions.get(package, "none") for result in done})
        if len(versions) > 1:
            notes.append(f"measured with different versions of {package}: {', '.join(versions)}")
    machines = sorted({str(result.run.device) for result in done})
    notes.append(
        "x real time: encoding and decoding 10 s, one clip at a time, on " + " or ".join(machines)
    )
    return notes


def _together(notes: list[tuple[str, list[str]]]) -> list[str]:
    """Notes of rows, one line where the same is to be said of several."""
    whose: dict[str, list[str]] = {}
    for name, said in notes:
        for note in said:
            whose.setdefault(note, []).append(name)
    return [f"{', '.join(names)}: {note}" for note, names in whose.items()]


def _notes(result: ReconstructionResult) -> list[str]:
    """What a reader must know about a row, beyond its numbers."""
    data, notes = result.data, []
    if data.failed_clips:
        first = data.failures[0]
        notes.append(
            f"{data.failed_clips} of {data.clips} clips failed; the first: "
            f"{first.key}: {first.reason}"
        )
    for score in result.scores.values():
        if score.not_computed:
            why = ", ".join(f"{reason} ({count})" for reason, count in score.reasons.items())
            notes.append(
                f"no {score.label} for {score.not_computed} of {data.items}, left out of its "
                f"mean: {why}"
            )
    if result.not_measured:
        notes.append(f"not measured, package not installed: {', '.join(result.not_measured)}")
    delay, difference = result.alignment.delay, result.alignment.length_difference
    if delay is not None and delay.off and delay.median_ms is not None:
        notes.append(
            f"{delay.off} of the {delay.items} whose delay can be told are off by more than "
            f"0.5 ms (median {rounded(delay.median_ms, 2, sign=True)} ms, not removed)"
        )
    if difference is not None and (difference.least or difference.most):
        notes.append(
            f"returned {difference.least:+d} to {difference.most:+d} samples more than it got; "
            "trimmed or padded"
        )
    return notes


def _published_rows(
    known_as: str | None,
    metrics: dict[str, MetricScore],
    published: Sequence[PublishedValue],
    citations: dict[str, str],
) -> tuple[list[BoardRow], list[str]]:
    """Rows of what others print for this data set, and what must be said of them."""
    rows: dict[tuple[str, str], BoardRow] = {}
    second_hand: dict[str, bool] = {}
    for value in published:
        metric = PUBLISHED_AS.get(value.metric)
        if value.protocol != "reconstruction" or value.task != known_as or metric not in metrics:
            continue
        name = f"{value.system} [{value.source}] {MARK}"
        row = rows.setdefault((value.system, value.source), BoardRow(name, "published"))
        row.published[metric] = value.value
        second_hand[value.source] = second_hand.get(value.source, False) or not value.primary
    if not rows:
        return [], []
    notes = [
        f"{MARK} published, not measured here: likely the same data, crops and settings, not "
        "confirmed (which band their PESQ is of is taken to be wide)"
    ]
    for source, second in second_hand.items():
        how = ", second-hand" if second else ""
        notes.append(f"{MARK} {source}: {citations.get(source, source)}{how}")
    ordered = sorted(rows.values(), key=lambda row: _rank(row, list(metrics), metrics))
    return ordered, notes
