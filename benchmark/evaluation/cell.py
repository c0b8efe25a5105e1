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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from earmark.benchmark import synthetic
from earmark.benchmark.conformance.preflight import Preflight
from earmark.benchmark.embedding.cached import CachedEmbedder, view_of
from earmark.benchmark.embedding.collectors import EmbeddingRequest
from earmark.benchmark.evaluation.blank import empty_result
from earmark.benchmark.evaluation.failures import (
    TooManyFailuresError,
    check_failures,
    check_faults,
    clip_failures,
    faulty,
    label_faults,
    lost_clips,
)
from earmark.benchmark.identity.fingerprint import Identity, identify
from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.io.progress import Progress, ProgressFactory
from earmark.benchmark.probe.items import (
    Items,
    join_items,
    seconds_of,
    within_clips,
)
from earmark.benchmark.probe.language_model import model_digest
from earmark.benchmark.probe.tokens import tokens_kind
from earmark.benchmark.protocol import standard_of
from earmark.benchmark.result import provenance
from earmark.benchmark.result.audit_report import stored_audit
from earmark.benchmark.result.files import (
    failed_path,
    result_path,
    still_valid,
    write_result,
)
from earmark.benchmark.result.schema import (
    DONE,
    FAILED,
    Predictions,
    RunResult,
)
from earmark.benchmark.score import add_shots, score_items
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shards.dataset import DataError, NotThereError, locate_shards, open_dataset
from earmark.benchmark.shards.labels import label_clips
from earmark.benchmark.shards.shard import ShardError, shard_digest
from earmark.benchmark.shots import METRICS, has_all
from earmark.encoders import AudioEncoder, EncoderError, OutputEncoder
from earmark.encoders.device import parameter_count
from earmark.tasks import TaskSpec


class _Joined(NamedTuple):
    """What a cell is scored from. transient: whether what failed may pass the next time.

    facts, run: what the result's `data` and `run` hold of it.
    """

    items: Items
    transient: bool
    facts: dict[str, Any]
    run: dict[str, Any]


def make_evaluators(
    encoders: dict[str, AudioEncoder], run: RunSettings, specs: Sequence[TaskSpec]
) -> list[TaskEvaluator]:
    """What makes each encoder's cells; what they share is decoded and encoded in one go.

    encoders: by how they were asked for; loaded together, they may share a forward pass.
    """
    known = identify(list(encoders.values()), run.device, run.cache, run.results)
    fingerprints = {encoder: identity.fingerprint for encoder, identity in known.items()}
    stock = CachedEmbedder(fingerprints, run)
    makers = [
        TaskEvaluator(encoder, asked, run, specs, stock, known[encoder])
        for asked, encoder in encoders.items()
    ]
    for maker in makers:
        maker.mates = [mate for mate in makers if mate is maker or _one_pass(maker, mate)]
        # they are checked in one go too
        maker.preflight = maker.mates[0].preflight
        maker.preflight.fingerprints |= {maker.encoder: maker.fingerprint}
    return makers


class TaskEvaluator:
    """Makes one encoder's cells. run.device must be chosen by now (`cpu` or `cuda`).

    asked: how the encoder was asked for. specs: the run's tasks; those over the same shards are
    encoded from one decoding. mates: makers for encoders of the same forward pass, itself among
    them.
    """

    def __init__(
        self,
        encoder: AudioEncoder,
        asked: str,
        run: RunSettings,
        specs: Sequence[TaskSpec],
        stock: CachedEmbedder,
        identity: Identity,
    ) -> None:
        self.encoder, self.asked, self.run = encoder, asked, run
        self.identity = identity
        self.specs = [run.protocol.apply_to(spec) for spec in specs]
        self.fingerprint = stock.fingerprints[encoder]
        self.stock = stock
        self.mates = [self]
        self.preflight = Preflight({encoder: self.fingerprint}, run)
        if run.device == "cuda":
            # a tenth of float32's digits is lost otherwise, and so is equality with the CPU
            torch.backends.cudnn.allow_tf32 = False

    def evaluate(self, spec: TaskSpec) -> RunResult:
        """The cell of one task: what is still valid, else computed now and written."""
        declared, spec = spec, self.run.protocol.apply_to(spec)
        path = self._path(spec)
        started = time.time()
        facts: dict[str, Any] = {}
        lost: dict[str, Any] = {}
        try:
            self._make_twin(declared)
            result, predictions = self._compute(spec, path)
            if predictions is None:
                failed_path(path).unlink(missing_ok=True)
                return result
            result.run |= provenance.run_info(started, self.run.device)
            result.run["behaviour"] = self.identity.facts()
            write_result(path, result, predictions)
            return result
        except TooManyFailuresError as error:
            reason, lost = str(error), error.facts
        except NotThereError as error:
            why = self.run.not_fetched.get(spec.name)
            reason = str(error) if why is None else f"{error.what}; not fetched: {why}"
        except (DataError, ShardError, EncoderError) as error:
            reason = str(error)
        except OSError as error:
            reason = f"cannot read or write: {error}"
        except Exception as error:  # noqa: BLE001 - one task's bad luck must not end the others
            facts["traceback"] = traceback.format_exc()
            reason = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
        result = self._blank(spec, FAILED, reason)
        result.run = provenance.run_info(started, self.run.device) | facts
        result.data |= lost
        with contextlib.suppress(OSError):  # a full disk, perhaps; it is shown all the same
            write_result(path, result, None)
        return result

    def _compute(self, spec: TaskSpec, path: Path) -> tuple[RunResult, Predictions | None]:
        """A result with its predictions; without them where the written one is still valid."""
        shards = self._shards(spec)
        inputs = self._inputs(spec, shards)
        audit = stored_audit(self.run.results, spec, shards, synthetic=self.run.is_twin(spec))
        known = None if self.run.force else still_valid(path, inputs)
        if known is not None:
            added = self._lacks_shots(spec, known)
            if added:
                self._add_shots(known, spec, self._joined(spec, shards).items)
            if self._renew(known, spec, audit) or added:
                write_atomically(path, known.to_json().encode())
            return known, None
        joined = self._joined(spec, shards)
        items = joined.items
        clock = time.monotonic()
        scored = score_items(
            items, spec, self.run.protocol.for_task(spec), frame_rate=self.encoder.frame_rate,
            device=self.run.device, track=self._track(spec),
        )  # fmt: skip
        result = self._blank(spec, DONE, None)
        result.scores = scored.scores
        if self._lacks_shots(spec, result):
            self._add_shots(result, spec, items)
        # without them it is not used again: what failed may pass the next time
        result.inputs = "" if joined.transient else inputs
        result.data = {
            "limit": self.run.limit,
            "items": {split: int((items.splits == split).sum()) for split in spec.shard_patterns},
            "parts": scored.parts,
            **scored.classes,
            "sources": len(items.source_names),
            "source_unit": spec.source.unit,
            "guessed_sources": items.guessed_sources,
            "straddling_sources": items.straddling_sources(),
            "shards": shards,
            **joined.facts,
            **audit,
        }
        result.run = joined.run | {"probe_seconds": round(time.monotonic() - clock, 3)}
        return result, scored.predictions

    def _renew(self, known: RunResult, spec: TaskSpec, audit: dict[str, Any]) -> bool:
        """Bring up to date what no number depends on: a weight, a title, an audit, the command.

        Returns whether anything had changed.
        """
        current = self._blank(spec, DONE, None)
        command = known.command
        if provenance.is_command(current.command) > provenance.is_command(command):
            command = current.command
        shots = [one.shots for one in known.scores["linear"].shots or ()]
        now = (current.task, known.data | audit, provenance.with_shots(command, shots))
        changed = (known.task, known.data, known.command) != now
        known.task, known.data, known.command = now
        return changed

    def _joined(self, spec: TaskSpec, shards: list[dict[str, str]]) -> _Joined:
        """Embeddings and labels of a task's clips, from the store where they are there."""
        label = f"{self.encoder.name} · {spec.name}"
        view = self._view(spec, self.encoder)
        self.preflight.check(self.encoder, spec.by_frame)
        with Progress(f"{spec.name}: reading shards", len(shards), "shards") as bar:
            dataset = open_dataset(spec, self.run.data_folder, limit=self.run.limit, report=bar.to)
        if dataset.clips:
            self._check_duplicate_shards(spec, shards)
        clock = time.monotonic()
        embeddings, encoded_s = self.stock.entries(
            dataset, [shard["sha256"] for shard in shards], view, label, self._others(spec, shards)
        )
        embed_s = time.monotonic() - clock
        read = label_clips(dataset)
        labels, lost = [found for found, _ in read], [failed for _, failed in read]
        if spec.kind.timed:
            within = within_clips(dataset, labels, embeddings)
            labels = [found for found, _ in within]
            lost = [[*own, *late] for own, (_, late) in zip(lost, within, strict=True)]
        failures = clip_failures(dataset, embeddings, lost)
        allowed = self.run.protocol.failed_share
        check_failures(dataset, failures, allowed)
        faults, label_count = label_faults(dataset, labels)
        check_faults(faults, label_count, failures, allowed)
        items = join_items(dataset, embeddings, labels)
        return _Joined(
            items,
            any(entry.transient for entry in embeddings),
            {
                "clips": dataset.clips,
                "seconds": seconds_of(dataset, embeddings),
                "labels": label_count,
                **faulty(faults),
                **lost_clips(failures),
            },
            {"embed_seconds": round(embed_s, 3), "encoded_audio_seconds": round(encoded_s, 3)},
        )

    def _lacks_shots(self, spec: TaskSpec, result: RunResult) -> bool:
        """Whether label efficiency is asked for that a result does not hold."""
        if spec.metric not in METRICS:
            return False
        return not has_all(result.scores["linear"].shots, self.run.shots)

    def _add_shots(self, result: RunResult, spec: TaskSpec, items: Items) -> None:
        add_shots(
            result.scores["linear"], items, spec, self.run.protocol.for_task(spec), self.run.shots,
            device=self.run.device, track=self._track(spec),
        )  # fmt: skip

    def _track(self, spec: TaskSpec) -> ProgressFactory:
        label = f"{self.encoder.name} · {spec.name}"
        return lambda what, total, unit: Progress(f"{label}: {what}", total, unit)

    def _make_twin(self, declared: TaskSpec) -> None:
        """Synthetic audio of a task, by the splits that its file declares."""
        if self.run.is_synthetic:
            with Progress(f"{declared.name}: making synthetic audio", 1, "clips") as bar:
                synthetic.synthesise(declared, self.run.data_folder, bar.to)

    def _view(self, spec: TaskSpec, encoder: AudioEncoder) -> EmbeddingRequest:
        return view_of(spec, encoder, self.run.protocol)

    def _path(self, spec: TaskSpec) -> Path:
        """Where the cell's result lies."""
        protocol = self.run.protocol.for_task(spec)
        return result_path(
            self.run.results, encoder=self.encoder.name, fingerprint=self.fingerprint,
            protocol=protocol.label, task=spec.name, synthetic=self.run.is_twin(spec),
            limit=self.run.limit,
            seeds=None if protocol.seeds == standard_of(protocol).seeds else protocol.seeds,
        )  # fmt: skip

    def _shards(self, spec: TaskSpec) -> list[dict[str, str]]:
        """Name, split and SHA-256 of a task's shards. Raises DataError and ShardError."""
        located = locate_shards(spec, self.run.data_folder)
        shards = []
        count = sum(len(paths) for paths in located.values())
        with Progress(f"{spec.name}: checking shards", count, "shards") as bar:
            for split, paths in located.items():
                for path in paths:
                    sha256 = shard_digest(path, self.run.cache)
                    shards.append({"name": path.name, "split": split, "sha256": sha256})
                    bar.advance(1)
        return shards

    def _check_duplicate_shards(self, spec: TaskSpec, shards: list[dict[str, str]]) -> None:
        first: dict[str, dict[str, str]] = {}
        for shard in shards:
            twin = first.setdefault(shard["sha256"], shard)
            if twin is not shard:
                raise DataError(
                    f"shards {twin['name']} ({twin['split']}) and {shard['name']} "
                    f"({shard['split']}) of {spec.name} hold the same bytes; remove one"
                )

    def _others(self, spec: TaskSpec, shards: list[dict[str, str]]) -> list[EmbeddingRequest]:
        """Views of the same clips that cells of this run will want later."""
        same = [(shard["split"], shard["sha256"]) for shard in shards]
        found = []
        for other in {spec.name: spec, **{one.name: one for one in self.specs}}.values():
            try:
                theirs = shards if other.name == spec.name else self._shards(other)
            except (DataError, ShardError, OSError):
                continue  # its own cell will say so
            if [(shard["split"], shard["sha256"]) for shard in theirs] == same:
                found += [
                    self._view(other, mate.encoder)
                    for mate in self.mates
                    if self.run.force or not mate.has(other, theirs)
                ]
        return [view for view in dict.fromkeys(found) if view != self._view(spec, self.encoder)]

    def has(self, spec: TaskSpec, shards: list[dict[str, str]]) -> bool:
        """Whether the cell of a task is there and valid, given the task's shards."""
        try:
            inputs = self._inputs(spec, shards)
        except DataError:  # its tokens cannot be had; its own cell will say so
            return False
        known = still_valid(self._path(spec), inputs)
        return known is not None and not self._lacks_shots(spec, known)

    def _inputs(self, spec: TaskSpec, shards: list[dict[str, str]]) -> str:
        """SHA-256 of all that decides the numbers."""
        view = self._view(spec, self.encoder)
        facts = {
            "task": spec.digest(),
            "protocol": dataclasses.asdict(self.run.protocol.for_task(spec)),
            "limit": self.run.limit,
            "synthetic": self.run.is_twin(spec),
            "shards": [
                [shard["split"], shard["name"], self.stock.key(view, shard["sha256"])]
                for shard in shards
            ],
            "tokens": self._tokens(spec),
            "code": provenance.scoring_code(),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _tokens(self, spec: TaskSpec) -> str | None:
        """What turns a task's text into tokens, told apart by content. Raises DataError."""
        protocol = self.run.protocol
        if spec.label.kind == "captions":
            return tokens_kind(protocol.caption_tokens)
        if spec.label.kind == "transcript" and protocol.transcripts == "language model":
            return model_digest(protocol.language_model, self.run.cache)
        return None

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
        why = provenance.no_command(self.asked, encoder.name, self.fingerprint, self.identity.of)
        return empty_result(facts, spec, self.run, status, error, no_command=why)


def _one_pass(maker: TaskEvaluator, mate: TaskEvaluator) -> bool:
    """Whether two encoders share a forward pass, and batches that suit both."""
    one, other = maker.encoder, mate.encoder
    return (
        isinstance(one, OutputEncoder)
        and isinstance(other, OutputEncoder)
        and one.shared is other.shared
        and one.sample_rate == other.sample_rate
        and one.honours_lengths == other.honours_lengths
    )
