"""Finding: what an audit of one task's shards found; stored, and joined to the task's results.

    <results>/audits/<task>-<12 hex digits>[.synthetic].json

The digits are those of the task's declaration and of the shards' names and SHA-256: other shards,
or another rule for sources or labels, have a file of their own. A result of these very shards holds
the counts in `data["audit"]`, whether it was written before the audit or after.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from earmark.benchmark.io.fields import optional, plain, read_fields
from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.io.strict_json import parse
from earmark.benchmark.result.facts import AuditFacts, ShardFact
from earmark.benchmark.result.files import (
    AUDITS,
    read_result,
    result_files,
)
from earmark.benchmark.result.schema import ResultError
from earmark.tasks import TaskSpec

SCHEMA = 1


@dataclass
class AuditedTask:
    """The task. parts: what its shards are divided into, `split` or `fold`."""

    name: str
    title: str
    digest: str
    parts: str
    source_unit: str


@dataclass(kw_only=True)
class AuditRun:
    """When it was (UTC), how many seconds it took, and seconds of audio in the clips."""

    audited: str = ""
    seconds: float = 0.0
    audio_seconds: float = 0.0
    traceback: str | None = optional()


@dataclass
class AuditReport:
    """What an audit found. Clips are told by split, shard and key; all lists are whole.

    counts: see `earmark.benchmark.audit.run.audit_tasks`.
    pairs: two splits or folds that share audio, and how many clips of each the other holds too.
    copies: groups of clips with the same audio: `sha256` of the audio, `across` (whether in more
        than one split or fold), `conflict` (whether labelled differently), `differ_by` (`silence`
        at an end, `polarity`), and its `clips`, with their label and source in words.
    straddling: sources in more than one split or fold, and their clips in each.
    silent: clips without anything to tell them by. failures: clips that could not be decoded or
        paired, and why. unlabelled: clips whose label could not be read, and why.
    error: why the task could not be audited, one line; such a finding is not stored.
    versions: of Earmark, the decoder and the way of hashing.
        Two audits of the same shards differ in nothing but `run`.
    """

    task: AuditedTask
    synthetic: bool
    shards: list[ShardFact] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    copies: list[dict[str, Any]] = field(default_factory=list)
    straddling: list[dict[str, Any]] = field(default_factory=list)
    silent: list[dict[str, str]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    unlabelled: list[dict[str, str]] = field(default_factory=list)
    error: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    run: AuditRun = field(default_factory=AuditRun)
    schema: int = SCHEMA

    @property
    def leaks(self) -> bool:
        """Whether audio of one split or fold is in another."""
        return bool(self.counts.get("in_two_splits"))

    def summary(self) -> AuditFacts:
        """What results of these shards hold in `data.audit`."""
        facts = {"audited": self.run.audited, "parts": self.task.parts, **self.counts}
        return read_fields(AuditFacts, facts, "counts")

    def to_json(self) -> str:
        return json.dumps(plain(self), indent=1, ensure_ascii=False) + "\n"


def finding_path(
    results: Path, *, task: str, digest: str, shards: Iterable[ShardFact], synthetic: bool
) -> Path:
    """Where the finding about these very shards lies. digest: of the task's declaration."""
    facts = [digest, _content(shards)]
    name = f"{task}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]}"
    return results / AUDITS / f"{name}{'.synthetic' if synthetic else ''}.json"


def _content(shards: Iterable[ShardFact]) -> list[list[str]]:
    """Which shards these are. By the declaration their names say of which split they are, whatever
    a protocol makes of that; their order does not count."""
    return sorted([shard.name, shard.sha256] for shard in shards)


def stored_finding(path: Path) -> AuditReport | None:
    """The finding at `path`; None where there is none or it cannot be read."""
    try:
        finding = read_fields(AuditReport, parse(path.read_text(encoding="utf-8")))
        finding.summary()
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return finding if finding.schema == SCHEMA and finding.error is None else None


def stored_audit(
    results: Path, spec: TaskSpec, shards: Iterable[ShardFact], *, synthetic: bool
) -> AuditFacts | None:
    """What the `data` of a result of these shards hold of their audit; None without one."""
    finding = stored_finding(
        finding_path(
            results, task=spec.name, digest=spec.declaration, shards=shards, synthetic=synthetic
        )
    )
    return None if finding is None else finding.summary()


def store(finding: AuditReport, results: Path) -> tuple[Path, int]:
    """Write a finding and add its counts to every result of the same shards.

    Returns its path and how many results hold it now. Where the same was found before, that finding
    stays with its date.
    """
    path = finding_path(
        results, task=finding.task.name, digest=finding.task.digest,
        shards=finding.shards, synthetic=finding.synthetic,
    )  # fmt: skip
    known = stored_finding(path)
    if known is not None and replace(known, run=finding.run) == finding:
        finding.run = known.run
    else:
        write_atomically(path, finding.to_json().encode())
    return path, _join(finding, results)


def _join(finding: AuditReport, results: Path) -> int:
    joined = 0
    for path in result_files(results):
        try:
            result = read_result(path)
        except ResultError:  # the leaderboard names it
            continue
        mine = (
            result.synthetic == finding.synthetic
            and result.task.name == finding.task.name
            and (result.task.declared or result.task.digest) == finding.task.digest
            and _content(result.data.shards) == _content(finding.shards)
        )
        if mine:
            joined += 1
            if result.data.audit != finding.summary():
                result.data.audit = finding.summary()
                write_atomically(path, result.to_json().encode())
    return joined
