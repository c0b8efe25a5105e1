"""One cell of the leaderboard: shards -> audio -> encoder -> store -> probe -> metric -> result.

What is in the store and in the results folder and still valid is not computed again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from benchmark import provenance, synthetic
from benchmark.audio import AudioPipeline
from benchmark.dataset import DataError, Dataset, locate_shards, open_dataset
from benchmark.embed import EmbedSettings, ShardJob, clip_count, embed_shards, parameter_count
from benchmark.files import write_atomically
from benchmark.items import clip_failures, join_items
from benchmark.labels import read_labels
from benchmark.progress import Progress
from benchmark.protocol import STRICT
from benchmark.result import (
    DONE,
    FAILED,
    Predictions,
    RunResult,
    failed_path,
    result_path,
    still_valid,
    write_result,
)
from benchmark.score import score_items
from benchmark.settings import RunSettings
from benchmark.shards import Failure, ShardError, shard_digest
from benchmark.store import EmbeddingStore, ShardEmbeddings
from encoders import AudioEncoder, EncoderError
from tasks import TaskSpec

FAILURES_LISTED = 100


class CellMaker:
    """Makes one encoder's cells.

    run.device must be chosen by now (`cpu` or `cuda`). asked: how the encoder was asked for.
    """

    def __init__(self, encoder: AudioEncoder, asked: str, run: RunSettings) -> None:
        self.encoder, self.asked, self.run = encoder, asked, run
        self.fingerprint = encoder.fingerprint()
        self.store = EmbeddingStore(run.cache / "store")
        self.store.remove_leftovers()
        if run.device == "cuda":
            # a tenth of float32's digits is lost otherwise, and so is equality with the CPU
            torch.backends.cudnn.allow_tf32 = False

    def cell(self, spec: TaskSpec) -> RunResult:
        """The cell of one task: what is still valid, else computed now and written."""
        path = result_path(
            self.run.results, encoder=self.encoder.name, fingerprint=self.fingerprint,
            protocol=self.run.protocol.label, task=spec.name, synthetic=self.run.is_synthetic,
            limit=self.run.limit,
            seeds=None if self.run.protocol.seeds == STRICT.seeds else self.run.protocol.seeds,
        )  # fmt: skip
        started = time.time()
        facts: dict[str, str] = {}
        try:
            result, predictions = self._compute(spec, path)
            if predictions is None:
                failed_path(path).unlink(missing_ok=True)
                return result
            result.run |= provenance.circumstances(started, self.run.device)
            write_result(path, result, predictions)
            return result
        except (DataError, ShardError, EncoderError) as error:
            reason = str(error)
        except OSError as error:
            reason = f"cannot read or write: {error}"
        except Exception as error:  # noqa: BLE001 - one task's bad luck must not end the others
            facts["traceback"] = traceback.format_exc()
            reason = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
        result = self._blank(spec, FAILED, reason)
        result.run = provenance.circumstances(started, self.run.device) | facts
        with contextlib.suppress(OSError):  # a full disk, perhaps; it is shown all the same
            write_result(path, result, None)
        return result

    def _compute(self, spec: TaskSpec, path: Path) -> tuple[RunResult, Predictions | None]:
        """A result with its predictions; without them where the written one is still valid."""
        label = f"{self.encoder.name} · {spec.name}"
        if self.run.is_synthetic:
            with Progress(f"{spec.name}: making synthetic audio", 1, "clips") as bar:
                synthetic.synthesise(spec, self.run.data_folder, bar.to)
        located = locate_shards(spec, self.run.data_folder)
        shard_count = sum(len(paths) for paths in located.values())
        with Progress(f"{spec.name}: checking shards", shard_count, "shards") as bar:
            shards = []
            for split, paths in located.items():
                for shard in paths:
                    sha256 = shard_digest(shard, self.run.cache)
                    shards.append({"name": shard.name, "split": split, "sha256": sha256})
                    bar.advance(1)
        pipeline = AudioPipeline(self.encoder.sample_rate, spec.crop_seconds)
        inputs = self._inputs(spec, pipeline, shards)
        known = None if self.run.force else still_valid(path, inputs)
        if known is not None:
            current = self._blank(spec, DONE, None).task
            if known.task != current:  # a weight or a title, which no number of it depends on
                known.task = current
                write_atomically(path, known.to_json().encode())
            return known, None
        with Progress(f"{spec.name}: reading shards", shard_count, "shards") as bar:
            dataset = open_dataset(spec, self.run.data_folder, limit=self.run.limit, report=bar.to)
        clock = time.monotonic()
        embeddings, encoded_s = self._embeddings(
            dataset, [shard["sha256"] for shard in shards], pipeline, label
        )
        embed_s = time.monotonic() - clock
        read = [read_labels(part.shard, spec, part.keys) for part in dataset.shards]
        failures = clip_failures(dataset, embeddings, [failed for _, failed in read])
        self._check_failures(dataset, failures)
        items = join_items(dataset, embeddings, [labels for labels, _ in read])
        clock = time.monotonic()
        scored = score_items(
            items,
            spec,
            self.run.protocol,
            device=self.run.device,
            track=lambda what, total, unit: Progress(f"{label}: {what}", total, unit),
        )
        result = self._blank(spec, DONE, None)
        result.scores = scored.scores
        # without them it is not used again: what failed may pass the next time
        result.inputs = "" if any(entry.passing for entry in embeddings) else inputs
        result.data = {
            "limit": self.run.limit,
            "clips": dataset.clips,
            "items": {split: int((items.splits == split).sum()) for split in spec.shard_patterns},
            "sources": len(items.source_names),
            "source_unit": spec.source.unit,
            "guessed_sources": items.guessed_sources,
            "straddling_sources": items.straddling_sources(),
            "seconds": _seconds_of(dataset, embeddings),
            "failed_clips": len(failures),
            "failures": [failure._asdict() for failure in failures[:FAILURES_LISTED]],
            "shards": shards,
        }
        result.run = {
            "embed_seconds": round(embed_s, 3),
            "encoded_audio_seconds": round(encoded_s, 3),
            "probe_seconds": round(time.monotonic() - clock, 3),
        }
        return result, scored.predictions

    def _embeddings(
        self, dataset: Dataset, digests: list[str], pipeline: AudioPipeline, label: str
    ) -> tuple[list[ShardEmbeddings], float]:
        """Each shard's entry, from the store or encoded now; and the seconds encoded now."""
        found: list[ShardEmbeddings | None] = []
        missing: list[tuple[int, str]] = []
        for number, (part, sha256) in enumerate(zip(dataset.shards, digests, strict=True)):
            clips = None if part.keys is None else sorted(part.keys)
            whole, wanted = self._key(pipeline, sha256, None), self._key(pipeline, sha256, clips)
            entry = None
            if not self.run.force:
                entry = self.store.get(whole) or self.store.get(wanted)
            found.append(entry)
            if entry is None:
                missing.append((number, wanted))
        jobs = [
            ShardJob(dataset.shards[number].shard, dataset.shards[number].keys)
            for number, _ in missing
        ]
        settings = EmbedSettings(self.run.device, self.run.batch_seconds, self.run.workers)
        encoded = 0.0
        with Progress(label, clip_count(jobs), "clips") as bar:
            made = embed_shards(jobs, self.encoder, pipeline, settings, bar.advance)
            for (number, key), entry in zip(missing, made, strict=True):
                self.store.put(key, entry)
                encoded += sum(entry.seconds)
                found[number] = entry
        return [entry for entry in found if entry is not None], encoded

    def _key(self, pipeline: AudioPipeline, sha256: str, clips: list[str] | None) -> str:
        return self.store.key(
            encoder_fingerprint=self.fingerprint,
            audio=pipeline.facts(),
            equal_lengths=not self.encoder.honours_lengths,
            shard_sha256=sha256,
            clips=clips,
        )

    def _inputs(self, spec: TaskSpec, pipeline: AudioPipeline, shards: list[dict[str, str]]) -> str:
        """SHA-256 of all that decides the numbers."""
        facts = {
            "task": spec.digest(),
            "protocol": dataclasses.asdict(self.run.protocol),
            "limit": self.run.limit,
            "synthetic": self.run.is_synthetic,
            "shards": [
                [shard["split"], shard["name"], self._key(pipeline, shard["sha256"], None)]
                for shard in shards
            ],
            "code": provenance.scoring_code(),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _check_failures(self, dataset: Dataset, failures: list[Failure]) -> None:
        lost = {(failure.shard, failure.key) for failure in failures}
        paired = {(p.shard.name, entry.key) for p in dataset.shards for entry in p.shard.entries}
        total = dataset.clips + len(lost - paired)
        allowed = self.run.protocol.failed_share
        if total == 0:
            raise DataError("its shards hold no clip (KEY.wav, .flac, .ogg or .mp3 with KEY.json)")
        if len(failures) > allowed * total:
            shard, key, reason = failures[0]
            mend = "the encoder" if reason.startswith("encoder ") else "the data"
            raise DataError(
                f"{len(failures)} of {total} clips failed, more than the {allowed:.1%} allowed; "
                f"the first: {shard}/{key}: {reason}; mend {mend}, or raise --failed-share"
            )

    def _blank(self, spec: TaskSpec, status: str, error: str | None) -> RunResult:
        encoder = self.encoder
        facts = {
            "name": encoder.name,
            "spec": self.asked,
            "fingerprint": self.fingerprint,
            "sample_rate": encoder.sample_rate,
            "embedding_dim": encoder.embedding_dim,
            "frame_rate": encoder.frame_rate,
            "honours_lengths": encoder.honours_lengths,
            "parameters": parameter_count(encoder),
        }
        return blank_result(facts, spec, self.run, status, error)


def _seconds_of(dataset: Dataset, embeddings: list[ShardEmbeddings]) -> float:
    """Audio of the clips asked for; an entry of the store may hold more clips."""
    total = sum(
        seconds
        for part, entry in zip(dataset.shards, embeddings, strict=True)
        for key, seconds in zip(entry.keys, entry.seconds, strict=True)
        if part.keys is None or key in part.keys
    )
    return round(total, 3)


def blank_result(
    encoder: dict[str, Any], spec: TaskSpec, run: RunSettings, status: str, error: str | None
) -> RunResult:
    """A result without scores. encoder: what `RunResult.encoder` holds."""
    return RunResult(
        status=status,
        synthetic=run.is_synthetic,
        error=error,
        task={
            "name": spec.name,
            "title": spec.title,
            "abbreviation": spec.abbreviation,
            "domain": spec.domain,
            "weight": spec.weight,
            "metric": spec.metric,
            "probes": ["linear", "knn"] if spec.knn else ["linear"],
            "licence": spec.licence,
            "digest": spec.digest(),
        },
        encoder=encoder,
        protocol=dataclasses.asdict(run.protocol),
        data={"limit": run.limit},
        command=provenance.command(encoder["spec"], spec, run.data, run.limit, run.protocol),
        versions=provenance.versions(),
    )
