"""Audit tasks for leaks: is any audio of one split in another, does any source straddle splits?

    from earmark import audit_tasks
    for finding in audit_tasks(["esc50"], data="data"):
        print(finding.task.name, finding.counts["in_two_splits"])

What counts as the same audio says `earmark.benchmark.audit.audio_hash`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from earmark.benchmark import synthetic
from earmark.benchmark.audit.audio_hash import VERSION
from earmark.benchmark.audit.duplicates import (
    DuplicateGroup,
    HashedClip,
    find_copies,
    split_pairs,
    straddling,
)
from earmark.benchmark.audit.shard_hashes import HashJob, ShardHashes, hash_shards
from earmark.benchmark.io.progress import Progress
from earmark.benchmark.result import provenance
from earmark.benchmark.result.audit_report import AuditedTask, AuditReport, AuditRun, store
from earmark.benchmark.result.facts import ShardFact
from earmark.benchmark.result.failure import described
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shards.dataset import DataError, Dataset, locate_shards, open_dataset
from earmark.benchmark.shards.labels import Labelled, label_clips
from earmark.benchmark.shards.shard import Failure, shard_digest
from earmark.tasks import TaskSpec
from earmark.tasks.catalogue import specs_of


def audit_tasks(
    tasks: str | TaskSpec | Sequence[str | TaskSpec] = "all",
    *,
    data: str | Path | None = None,
    results: str | Path | None = None,
    cache: str | Path | None = None,
    workers: int | None = None,
    on_finding: Callable[[AuditReport, Path | None, int], None] | None = None,
) -> list[AuditReport]:
    """Hash the audio of all clips of each task and say which are in two places; a Finding each.

    tasks: names, domains, `all`, paths of task files, or TaskSpecs. data, results, cache, workers:
    as in `RunSettings`. Each finding is stored under `results` and joined to the results of the
    same shards there; then on_finding is called with it, its file (None where it failed) and the
    number of results that it was joined to.

    A finding's counts are of clips, unless said otherwise:
      clips: all, those among them that could not be paired with a JSON or decoded.
      in_two_splits: clips that have a copy in another split or fold: a leak.
      twice_in_one_split: clips that have a copy in their own split or fold.
      label_conflicts: clips among copies that are labelled differently (captions: none, since two
        people may well describe one sound in different words).
      straddling_sources: sources in more than one split or fold, by the task's source rule.
      silent: clips that were not compared, since there is nothing to hear.
      failed_clips: clips that could not be paired or decoded. unlabelled: decoded clips whose label
        could not be read; they are compared by audio alone.

    A task that cannot be audited comes back with its reason in `error`. Raises ValueError for a
    setting that cannot be and TaskError for an unknown task before anything is read.
    """
    given: dict[str, Any] = {"data": data, "results": results, "cache": cache, "workers": workers}
    run = RunSettings(**{name: value for name, value in given.items() if value is not None})
    findings = []
    for spec in specs_of(tasks):
        finding, path, joined = _audited(spec, run)
        findings.append(finding)
        if on_finding is not None:
            on_finding(finding, path, joined)
    return findings


def _audited(spec: TaskSpec, run: RunSettings) -> tuple[AuditReport, Path | None, int]:
    """One task's finding, its file and the number of its results; or why there is none."""
    blank = AuditReport(
        AuditedTask(
            spec.name, spec.title, spec.digest(), "fold" if spec.folds else "split",
            spec.source.unit,
        ),
        synthetic=run.is_twin(spec),
    )  # fmt: skip
    try:
        finding = _find(spec, run, blank)
        return finding, *store(finding, run.results)
    except Exception as error:  # noqa: BLE001 - one task's bad luck must not end the others
        blank.error, facts = described(error)
        blank.run = AuditRun(traceback=facts.get("traceback"))
    return blank, None, 0


def _find(spec: TaskSpec, run: RunSettings, finding: AuditReport) -> AuditReport:
    """Fill in what a task's shards hold. Raises DataError, ShardError and OSError."""
    started = time.time()
    if run.is_synthetic:
        with Progress(f"{spec.name}: making synthetic audio", 1, "clips") as bar:
            synthetic.synthesise(spec, run.data_folder, bar.to)
    digests = _digests(spec, run)
    with Progress(f"{spec.name}: reading shards", len(digests), "shards") as bar:
        dataset = open_dataset(spec, run.data_folder, on_progress=bar.to)
    hashes = hash_shards(
        [HashJob(part.shard, digests[part.shard.path]) for part in dataset.shards],
        cache=run.cache, workers=run.workers, label=spec.name,
    )  # fmt: skip
    labels = label_clips(dataset)
    for part in dataset.shards:
        if shard_digest(part.shard.path, run.cache) != digests[part.shard.path]:
            raise DataError(f"shard {part.shard.path} was replaced meanwhile; audit it again")
    finding.shards = [
        ShardFact(part.shard.name, part.split, digests[part.shard.path]) for part in dataset.shards
    ]
    clips = _clips(dataset, hashes, [known for known, _ in labels])
    _check_any(dataset, clips, hashes)
    _fill(finding, spec, dataset, clips)
    finding.failures = [
        {"split": part.split, **failure._asdict()}
        for part, hashed in zip(dataset.shards, hashes, strict=True)
        for failure in sorted([*part.shard.failures, *hashed.failures])
    ]
    finding.unlabelled = [
        {"split": part.split, **failure._asdict()}
        for part, hashed, (_, failures) in zip(dataset.shards, hashes, labels, strict=True)
        for failure in failures
        if failure.key in hashed.hashes
    ]
    finding.counts |= {
        "failed_clips": len(finding.failures), "unlabelled": len(finding.unlabelled),
    }  # fmt: skip
    known = provenance.versions()
    finding.versions = {name: known[name] for name in ("earmark", "python", "libsndfile")}
    finding.versions["audio_hash"] = str(VERSION)
    finding.run = AuditRun(
        audited=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        seconds=round(time.time() - started, 3),
        audio_seconds=round(sum(clip.hash.seconds for clip in clips), 3),
    )
    return finding


def _digests(spec: TaskSpec, run: RunSettings) -> dict[Path, str]:
    """SHA-256 of each of a task's shards."""
    paths = [path for found in locate_shards(spec, run.data_folder).values() for path in found]
    digests = {}
    with Progress(f"{spec.name}: checking shards", len(paths), "shards") as bar:
        for path in paths:
            digests[path] = shard_digest(path, run.cache)
            bar.advance(1)
    return digests


def _clips(
    dataset: Dataset, hashes: Sequence[ShardHashes], labels: Sequence[dict[str, Labelled]]
) -> list[HashedClip]:
    """Every clip that could be decoded."""
    compared = dataset.spec.kind.one_truth
    clips = []
    for part, hashed, known in zip(dataset.shards, hashes, labels, strict=True):
        for key, audio_hash in hashed.hashes.items():
            found = known.get(key)
            label = found.label if found is not None and compared else None
            source = None if found is None else found.source
            clips.append(HashedClip(part.split, part.shard.name, key, audio_hash, label, source))
    return clips


def _check_any(
    dataset: Dataset, clips: Sequence[HashedClip], hashes: Sequence[ShardHashes]
) -> None:
    """Raise DataError where there is nothing to compare: that is not to be free of leaks."""
    if not dataset.clips:
        raise DataError("its shards hold no clip (KEY.wav, .flac, .ogg or .mp3 with KEY.json)")
    if not clips:
        failures: list[Failure] = sorted(
            failure
            for part, hashed in zip(dataset.shards, hashes, strict=True)
            for failure in (*part.shard.failures, *hashed.failures)
        )
        raise DataError(
            f"none of its {dataset.clips} clips can be decoded; the first: {failures[0].shard}/"
            f"{failures[0].key}: {failures[0].reason}; fix the data"
        )


def _fill(finding: AuditReport, spec: TaskSpec, dataset: Dataset, clips: list[HashedClip]) -> None:
    """What follows from the clips that could be decoded."""
    splits = list(spec.shard_patterns)
    groups = find_copies(clips, splits)
    sources = straddling(clips, splits)
    finding.pairs = [
        {"splits": list(pair.splits), "clips": list(pair.clips)}
        for pair in split_pairs(groups, splits)
    ]
    finding.copies = [_described(copies, spec) for copies in groups]
    finding.straddling = [{"source": name, "clips": held} for name, held in sources.items()]
    finding.silent = [_place(clip) for clip in clips if clip.hash.silent]
    finding.counts = {
        "clips": dataset.clips,
        "in_two_splits": sum(len(copies.clips) for copies in groups if copies.across),
        "twice_in_one_split": sum(copies.twice_in_one for copies in groups),
        "label_conflicts": sum(copies.labelled for copies in groups if copies.conflict),
        "straddling_sources": len(sources),
        "silent": len(finding.silent),
    }


def _described(copies: DuplicateGroup, spec: TaskSpec) -> dict[str, Any]:
    """A group of copies as the file holds it."""
    return {
        "sha256": copies.clips[0].hash.sha256,
        "seconds": round(copies.clips[0].hash.seconds, 3),
        "across": copies.across,
        "conflict": copies.conflict,
        "differ_by": copies.differ_by,
        "clips": [
            {**_place(clip), "label": _in_words(clip.label, spec), "source": clip.source}
            for clip in copies.clips
        ],
    }


def _place(clip: HashedClip) -> dict[str, str]:
    return {"split": clip.split, "shard": clip.shard, "key": clip.key}


def _in_words(label: tuple[Any, ...] | None, spec: TaskSpec) -> str | None:
    """A label as people read it."""
    if label is None:
        return None
    return spec.kind.describe(label, spec.classes)
