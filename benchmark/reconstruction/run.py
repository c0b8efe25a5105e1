"""Reconstruct: codecs over data sets, one result for each pair. The Python face of it.

from earmark import reconstruct
results = reconstruct(["identity", "mulaw"], "../shared/data/esc50")
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import shlex
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import soundfile
import torch

from earmark.benchmark.conformance.preflight import Preflight
from earmark.benchmark.identity.fingerprint import identify
from earmark.benchmark.io.files import remove_leftovers
from earmark.benchmark.io.progress import ProgressFactory, no_progress
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
from earmark.benchmark.reconstruction.settings import ReconstructionSettings, open_materials
from earmark.benchmark.reconstruction.workers import Workers
from earmark.benchmark.result import provenance
from earmark.benchmark.result.schema import DONE, FAILED
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shards.dataset import DataError
from earmark.benchmark.shards.shard import ShardError
from earmark.encoders import (
    AudioEncoder,
    Codec,
    EncoderError,
    group_names,
    left_as_found,
    load_encoders,
    names_of,
    ready_encoder,
)
from earmark.encoders.device import choose_device, parameter_count

FAILURES_LISTED = 100
_ABANDONED_S = 24 * 3600.0


def reconstruct(
    encoder: str | Codec | Sequence[str | Codec],
    data: str | Path | Sequence[str | Path],
    *,
    weights: str | Path | None = None,
    on_result: Callable[[ReconstructionResult], None] | None = None,
    track: ProgressFactory = no_progress,
    **settings: Any,
) -> list[ReconstructionResult]:
    """Encode, decode and measure; one result for each codec and data set, codec by codec.

    encoder: names, `path/to/file.py:Class`, or loaded codecs, which are given back as they came.
    data: see `open_materials`. weights: folder with a local copy of the codec's model. settings:
    fields of `ReconstructionSettings`. on_result is called as each result is there.

    A data set that cannot be measured comes back with status `failed` and its reason in `error`.
    Raises, before anything is measured, ValueError for a setting that cannot be, DataError and
    ShardError for data, EncoderError for an unknown name; and EncoderError where no codec at all
    can be loaded.
    """
    run = ReconstructionSettings(**settings)
    run = dataclasses.replace(run, device=choose_device(run.device))
    chosen = [encoder] if isinstance(encoder, str | Codec) else list(encoder)
    groups = _groups(chosen, weights)
    materials = open_materials(data, run)
    results: list[ReconstructionResult] = []
    with Workers(run.workers) as workers:
        for group in groups:
            for result in _of_group(
                group, len(groups) == 1, materials, run, weights, workers, track
            ):
                results.append(result)
                if on_result is not None:
                    on_result(result)
    if not any(result.codec["fingerprint"] for result in results):
        raise EncoderError("; ".join(dict.fromkeys(str(result.error) for result in results)))
    return results


def _of_group(
    group: list[str] | list[Codec],
    alone: bool,
    materials: Sequence[ClipSet],
    run: ReconstructionSettings,
    weights: str | Path | None,
    workers: Workers,
    track: ProgressFactory,
) -> Iterator[ReconstructionResult]:
    """Codecs that are loaded together, over all data sets.

    Where they cannot be loaded, failed results; EncoderError if there is nothing else (`alone`).
    """
    lent = [one for one in group if isinstance(one, Codec)]
    with left_as_found(lent[0]) if lent else contextlib.nullcontext():
        try:
            codecs = _codecs(group, weights)
        except EncoderError as error:
            if alone:
                raise
            for asked in group:
                name = asked.name if isinstance(asked, Codec) else asked
                for material in materials:
                    yield _not_loaded(name, material, run, str(error))
            return
        for asked, codec in codecs.items():
            yield from _over(codec, asked, materials, run, weights, workers, track)


def _groups(
    chosen: Sequence[str | Codec], weights: str | Path | None
) -> list[list[str] | list[Codec]]:
    """What is loaded together. Raises EncoderError for unknown names."""
    loaded: list[list[str] | list[Codec]] = [[one] for one in chosen if isinstance(one, Codec)]
    if loaded and weights is not None:
        raise EncoderError("weights go with names only, not with codecs that are loaded already")
    names = [one for one in chosen if isinstance(one, str)]
    return [*group_names(names, weights), *loaded]


def _codecs(group: list[str] | list[Codec], weights: str | Path | None) -> dict[str, Codec]:
    """By how they were asked for. Raises EncoderError."""
    first = group[0]
    if isinstance(first, Codec):
        return {provenance.OBJECT: _codec(ready_encoder(first))}
    names = [str(name) for name in group]
    encoders = load_encoders(names, weights=weights)
    asked = names_of(names, encoders)
    return {name: _codec(encoder) for name, encoder in zip(asked, encoders, strict=True)}


def _codec(encoder: AudioEncoder) -> Codec:
    if not isinstance(encoder, Codec) or type(encoder).decode is Codec.decode:
        raise EncoderError(
            f"encoder {encoder.name!r} cannot decode; reconstruction needs a codec: identity, "
            "mulaw, griffinlim, dasheng, encodec, dac, mimi, xcodec, snac, or a subclass of "
            "encoders.Codec"
        )
    return encoder


def _over(
    codec: Codec,
    asked: str,
    materials: Sequence[ClipSet],
    run: ReconstructionSettings,
    weights: str | Path | None,
    workers: Workers,
    track: ProgressFactory,
) -> Iterator[ReconstructionResult]:
    """One codec over all data sets."""
    identity = identify([codec], run.device, run.cache, decode=True)[codec]
    fingerprint = identity.fingerprint
    none = provenance.no_command(asked, codec.name, fingerprint, identity.of)
    facts = {
        "name": codec.name,
        "spec": provenance.asked_for(asked, weights),
        "fingerprint": fingerprint,
        "sample_rate": codec.sample_rate,
        "embedding_dim": codec.embedding_dim,
        "frame_rate": codec.frame_rate,
        "values_per_second": codec.embedding_dim * codec.frame_rate,
        "parameters": parameter_count(codec),
        "compute": codec.compute_dtype(run.device),
    }
    if run.device == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # a tenth of float32's digits is lost otherwise
    preflight = Preflight(
        {codec: fingerprint}, RunSettings(cache=run.cache, device=run.device, force=run.force)
    )
    fast: float | None = None
    for material in materials:
        started = time.time()
        result = _blank(facts, asked, material, run, weights)
        result.command = none or result.command
        table = ""
        extra: dict[str, Any] = {}
        try:
            preflight.check(codec)
            codec.to(run.device)
            if fast is None:
                fast = speed(codec, run.device)
            table = _measure(codec, facts, material, run, workers, result, track)
            extra["speed"] = fast
        except (DataError, ShardError, EncoderError) as error:
            result.status, result.error = FAILED, str(error)
        except OSError as error:
            result.status, result.error = FAILED, f"cannot read or write: {error}"
        except Exception as error:  # noqa: BLE001 - one data set's bad luck must not end the others
            extra["traceback"] = traceback.format_exc()
            said = " ".join(str(error).split())
            result.status, result.error = FAILED, f"unexpected {type(error).__name__}: {said}"
        result.run = provenance.run_info(started, run.device) | extra
        try:
            missing = has_more(run.results, result)
            if missing:
                result.status = FAILED
                result.error = (
                    f"{', '.join(missing)} cannot be measured here, and the result that is there "
                    "has them; it stays. Install what they need (pip install -e "
                    "'.[reconstruction]'), or choose another folder with --results"
                )
            else:
                write_result(run.results, result, table)
        except OSError as error:  # a full disk, perhaps; it is shown all the same
            result.status, result.error = FAILED, f"cannot read or write: {error}"
        yield result


def _measure(
    codec: Codec,
    facts: dict[str, Any],
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
            "codec": facts["fingerprint"],
            "compute": facts["compute"],
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
    result.data |= _data_of(found, material)
    total, lost = result.data["clips"], len(found.failures)
    if lost > run.failed_share * total or not found.records:
        first = found.failures[0]
        raise DataError(
            f"{lost} of {total} clips failed, more than the {run.failed_share:.1%} allowed; the "
            f"first: {first.key}: {first.reason}; mend the data or the codec, or raise "
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
        "failures": [failure._asdict() for failure in found.failures[:FAILURES_LISTED]],
    }


def _blank(
    facts: dict[str, Any],
    asked: str,
    material: ClipSet,
    run: ReconstructionSettings,
    weights: str | Path | None,
) -> ReconstructionResult:
    return ReconstructionResult(
        status=DONE,
        synthetic=material.synthetic,
        codec=facts,
        data={
            "name": material.name,
            "kind": material.kind,
            "known_as": material.known_as,
            "source_unit": material.source_unit,
            "crop_seconds": material.crop_seconds,
            "limit": material.limit,
            "digest": "",
            "place": "" if material.kind == "synthetic" else place_digest(material.place),
            "clips": len(material.clips) + len(material.failures),
            "failed_clips": 0,
            "failures": [],
        },
        settings=measured.settings(run.rates) | {"longest_delay_s": MOST_DELAY},
        command=_command(asked, material, run, weights),
        versions=provenance.versions() | measured.package_versions(measured.all_metrics(run.rates)),
    )


def _command(
    asked: str, material: ClipSet, run: ReconstructionSettings, weights: str | Path | None
) -> str:
    """The command that makes one result again."""
    words = ["python", "run_bench.py", "reconstruct", "--encoder", asked, "--data", material.place]
    options = {
        "--weights": weights,
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


def _not_loaded(
    asked: str, material: ClipSet, run: ReconstructionSettings, reason: str
) -> ReconstructionResult:
    """Not written to a file: without a fingerprint nobody could say whose failure it is."""
    facts = dict.fromkeys(("sample_rate", "embedding_dim", "frame_rate", "values_per_second"), 0)
    result = _blank(
        {"name": asked, "spec": asked, "fingerprint": "", **facts}, asked, material, run, None
    )
    result.status, result.error = FAILED, reason
    return result
