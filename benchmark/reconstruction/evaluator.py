"""One codec over one data set after another: measured, and written as results."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shlex
import time
from dataclasses import replace
from typing import Any

import soundfile
import torch

from earmark.benchmark.conformance.preflight import Preflight
from earmark.benchmark.identity.fingerprint import identify
from earmark.benchmark.io.files import remove_leftovers
from earmark.benchmark.io.progress import ProgressFactory
from earmark.benchmark.reconstruction.clips import ClipSet
from earmark.benchmark.reconstruction.codec import speed
from earmark.benchmark.reconstruction.journal import Journal
from earmark.benchmark.reconstruction.measure import Measurements, MeasureOptions, measure_material
from earmark.benchmark.reconstruction.metric import registry as measured
from earmark.benchmark.reconstruction.metric.alignment import MOST_DELAY
from earmark.benchmark.reconstruction.result import (
    ReconstructionResult,
    alignment_of,
    clip_table,
    has_more,
    place_digest,
    summarise,
    write_result,
)
from earmark.benchmark.reconstruction.settings import ReconstructionSettings
from earmark.benchmark.reconstruction.workers import Workers
from earmark.benchmark.result import provenance
from earmark.benchmark.result.facts import ClipFailure, CodecFacts, ReconstructionData
from earmark.benchmark.result.failure import described
from earmark.benchmark.result.schema import DONE, FAILED
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shards.dataset import DataError
from earmark.encoders import (
    Codec,
)
from earmark.encoders.device import device_kind, parameter_count

FAILURES_LISTED = 100
_ABANDONED_S = 24 * 3600.0


class CodecEvaluator:
    """Measures one codec. run.device must be chosen by now (not `auto`).

    asked: how it was asked for, as `provenance.asked_for` puts it.
    """

    def __init__(self, codec: Codec, asked: str, run: ReconstructionSettings) -> None:
        if device_kind(run.device) == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # a tenth of float32's digits is lost otherwise
        self.codec, self.asked, self.run = codec, asked, run
        identity = identify([codec], run.device, run.cache, decode=True)[codec]
        self.no_command = provenance.no_command(
            asked, codec.name, identity.fingerprint, identity.of
        )
        self.facts = CodecFacts(
            name=codec.name,
            spec=asked,
            fingerprint=identity.fingerprint,
            sample_rate=codec.sample_rate,
            embedding_dim=codec.embedding_dim,
            frame_rate=codec.frame_rate,
            values_per_second=codec.embedding_dim * codec.frame_rate,
            parameters=parameter_count(codec),
            decoded_rate=codec.decoded_rate,
            compute=codec.compute_dtype(device_kind(run.device)),
        )
        self.preflight = Preflight(
            {codec: identity.fingerprint},
            RunSettings(cache=run.cache, device=run.device, force=run.force),
        )
        self.speed: float | None = None

    def evaluate(
        self, material: ClipSet, workers: Workers, track: ProgressFactory
    ) -> ReconstructionResult:
        """The result of one data set, written. Whatever goes wrong becomes a failed result."""
        started = time.time()
        result = empty_result(self.facts, self.asked, material, self.run)
        result.command = self.no_command or result.command
        table = ""
        fast: float | None = None
        trace: str | None = None
        try:
            self.preflight.check(self.codec)
            self.codec.to(self.run.device)
            if self.speed is None:
                self.speed = speed(self.codec, self.run.device)
            table = _measure(self.codec, self.facts, material, self.run, workers, result, track)
            fast = self.speed
        except Exception as error:  # noqa: BLE001 - one data set's bad luck must not end the others
            failed = described(error)
            result.status, result.error = FAILED, failed.reason
            trace = failed.facts.get("traceback")
        result.run = provenance.run_info(started, self.run.device)
        result.run.speed, result.run.traceback = fast, trace
        try:
            self._write(result, table)
        except OSError as error:  # a full disk, perhaps; it is shown all the same
            result.status, result.error = FAILED, described(error).reason
        return result

    def _write(self, result: ReconstructionResult, table: str) -> None:
        """One that could measure less than the result that is there does not take its place."""
        missing = has_more(self.run.results, result)
        if missing:
            result.status = FAILED
            result.error = (
                f"{', '.join(missing)} cannot be measured here, and the result that is there "
                "has them; it stays. Install what they need (pip install -e "
                "'.[reconstruction]'), or choose another folder with --results"
            )
        else:
            result.path = write_result(self.run.results, result, table)


def _measure(
    codec: Codec,
    facts: CodecFacts,
    material: ClipSet,
    run: ReconstructionSettings,
    workers: Workers,
    result: ReconstructionResult,
    track: ProgressFactory,
) -> str:
    """Fill in a result; returns the table of its clips. Raises DataError where too many failed."""
    wanted = measured.all_metrics(run.rates)
    there = [metric for metric in wanted if metric.is_there]
    journals = run.cache / "reconstruction"
    journal = Journal(
        journals / "journals",
        {
            "codec": facts.fingerprint,
            "compute": facts.compute,
            "device": run.device,
            "metrics": [metric.name for metric in there],
            "settings": result.settings,
            "packages": measured.package_versions(there),
            "soxr": importlib.metadata.version("soxr"),
            "libsndfile": soundfile.__libsndfile_version__,
        },
        fresh=run.force,
    )
    scratch = journals / "scratch"
    remove_leftovers(scratch, _ABANDONED_S) if scratch.is_dir() else None
    wishes = MeasureOptions(
        tuple(metric.name for metric in there), run.rates, run.workers, run.save_audio, run.plots
    )
    found = measure_material(
        codec, material, journal, wishes, workers, device=run.device, scratch=scratch, track=track
    )
    result.data = replace(result.data, **_data_of(found, material))
    total, lost = result.data.clips, len(found.failures)
    if lost > run.failed_share * total or not found.records:
        first = found.failures[0]
        raise DataError(
            f"{lost} of {total} clips failed, more than the {run.failed_share:.1%} allowed; the "
            f"first: {first.key}: {first.reason}; fix the data or the codec, or raise "
            "--failed-share"
        )
    result.scores = summarise(there, found.records)
    result.not_measured = [metric.name for metric in wanted if not metric.is_there]
    result.alignment = alignment_of(found.records)
    return clip_table(there, found.records)


def _data_of(found: Measurements, material: ClipSet) -> dict[str, Any]:
    digest = json.dumps([sorted(found.digests), material.crop_seconds])
    by_key = sorted((clip.key, clip.source) for clip in material.clips)
    seconds = sum(record.seconds for record in found.records)
    return {
        "digest": hashlib.sha256(digest.encode()).hexdigest(),
        "source_digest": hashlib.sha256(json.dumps(by_key).encode()).hexdigest(),
        "clips": len(found.digests),
        "items": len(found.records),
        "sources": len({record.source for record in found.records}),
        "seconds": round(seconds, 3),
        "failed_clips": len(found.failures),
        "failures": [ClipFailure(*failure) for failure in found.failures[:FAILURES_LISTED]],
    }


def empty_result(
    facts: CodecFacts,
    asked: str,
    material: ClipSet,
    run: ReconstructionSettings,
) -> ReconstructionResult:
    """What is known of a result whatever comes of it."""
    return ReconstructionResult(
        status=DONE,
        synthetic=material.synthetic,
        codec=facts,
        data=ReconstructionData(
            name=material.name,
            kind=material.kind,
            known_as=material.known_as,
            source_unit=material.source_unit,
            crop_seconds=material.crop_seconds,
            limit=material.limit,
            digest="",
            place="" if material.kind == "synthetic" else place_digest(material.place),
            clips=len(material.clips) + len(material.failures),
            failed_clips=0,
            failures=[],
        ),
        settings=measured.settings(run.rates) | {"longest_delay_s": MOST_DELAY},
        command=_command(asked, material, run),
        versions=provenance.versions() | measured.package_versions(measured.all_metrics(run.rates)),
    )


def _command(asked: str, material: ClipSet, run: ReconstructionSettings) -> str:
    """The command that makes one result again."""
    parts = provenance.asked_parts(asked)
    words = ["python", "run_bench.py", "reconstruct", "--encoder", parts.name]
    words += ["--data", material.place]
    options = {
        "--name": parts.shown or None,
        "--weights": parts.weights or None,
        "--preset": run.preset,
        "--source-key": run.source_key,
        "--crop-seconds": run.crop_seconds,
        "--limit": run.limit,
    }
    for option, value in options.items():
        if value is not None:
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    if run.rates != (measured.RATE,):
        words += ["--rates", *map(str, run.rates)]
    if run.failed_share != ReconstructionSettings.failed_share:
        words += ["--failed-share", f"{run.failed_share:g}"]
    return shlex.join(words)


def not_loaded(
    asked: str, material: ClipSet, run: ReconstructionSettings, reason: str
) -> ReconstructionResult:
    """Not written to a file: without a fingerprint nobody could say whose failure it is."""
    facts = CodecFacts(
        name=asked, spec=asked, fingerprint="", sample_rate=0, embedding_dim=0, frame_rate=0,
        values_per_second=0,
    )  # fmt: skip
    result = empty_result(facts, asked, material, run)
    result.status, result.error = FAILED, reason
    return result
