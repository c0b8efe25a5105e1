"""One cell of the leaderboard: shards -> audio -> encoder -> store -> probe -> metric -> result.

What is in the store and in the results folder and still valid is not computed again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from earmark.benchmark import synthetic
from earmark.benchmark.conformance.parameters import encoding_parameters
from earmark.benchmark.conformance.preflight import Preflight
from earmark.benchmark.embedding.cached import CachedEmbedder, request_of
from earmark.benchmark.embedding.clock import speed_of
from earmark.benchmark.embedding.collectors import EmbeddingRequest
from earmark.benchmark.embedding.windows import limits_of
from earmark.benchmark.evaluation.additions import complete, is_complete, wants_spread
from earmark.benchmark.evaluation.assemble import cell_data, empty_result, encoder_facts
from earmark.benchmark.evaluation.failures import TooManyFailuresError
from earmark.benchmark.evaluation.inputs import (
    Shards,
    check_duplicate_shards,
    find_shards,
    inputs_digest,
)
from earmark.benchmark.evaluation.joined import Joined, join
from earmark.benchmark.evaluation.shuffled import applies, shuffle_labels, shuffled_fingerprint
from earmark.benchmark.identity.fingerprint import Identity, identify
from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.io.progress import Progress, ProgressFactory
from earmark.benchmark.protocol import standard_of
from earmark.benchmark.readouts import BEST
from earmark.benchmark.result import provenance
from earmark.benchmark.result.audit_report import stored_audit
from earmark.benchmark.result.facts import AuditFacts
from earmark.benchmark.result.failure import described
from earmark.benchmark.result.files import failed_path, result_path, still_valid, write_result
from earmark.benchmark.result.schema import Predictions, RunResult
from earmark.benchmark.score import Scored, score_items
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shards.dataset import DataError, NotThereError, open_dataset
from earmark.benchmark.shards.shard import ShardError
from earmark.encoders import AudioEncoder, pass_of
from earmark.encoders.control import SHUFFLED
from earmark.encoders.device import device_kind, probe_device
from earmark.tasks import TaskSpec


@dataclass(frozen=True)
class Together:
    """Encoders that were loaded together, and what their cells share.

    asked: by encoder, how it was asked for. specs: the run's tasks, as the protocol has them.
    preflights: by encoder; those of one forward pass are checked in one go.
    """

    run: RunSettings
    asked: dict[AudioEncoder, str]
    specs: list[TaskSpec]
    identities: dict[AudioEncoder, Identity]
    embedder: CachedEmbedder
    preflights: dict[AudioEncoder, Preflight]

    @classmethod
    def of(
        cls, encoders: dict[str, AudioEncoder], run: RunSettings, specs: Sequence[TaskSpec]
    ) -> Together:
        """encoders: by how they were asked for. run.device must be chosen (not `auto`)."""
        if device_kind(run.device) == "cuda":
            # a tenth of float32's digits is lost otherwise, and so is equality with the CPU
            torch.backends.cudnn.allow_tf32 = False
        asked = {encoder: words for words, encoder in encoders.items()}
        known = identify(list(asked), run.device, run.cache, run.results)
        fingerprints = {encoder: identity.fingerprint for encoder, identity in known.items()}
        preflights: dict[AudioEncoder, Preflight] = {}
        for encoder in asked:
            mates = [mate for mate in asked if _one_pass(encoder, mate)]
            if encoder not in preflights:
                one = Preflight({mate: fingerprints[mate] for mate in mates}, run)
                preflights |= dict.fromkeys(mates, one)
        applied = [run.protocol.apply_to(spec) for spec in specs]
        return cls(run, asked, applied, known, CachedEmbedder(fingerprints, run), preflights)

    def evaluators(self, *, shuffled_labels: bool = False) -> list[TaskEvaluator]:
        """One for each encoder."""
        return [TaskEvaluator(encoder, self, shuffled_labels) for encoder in self.asked]

    def pass_mates(self, encoder: AudioEncoder) -> list[AudioEncoder]:
        """The encoders of the same forward pass, itself among them."""
        return [mate for mate in self.asked if _one_pass(encoder, mate)]


class TaskEvaluator:
    """Evaluates one encoder on one task after another.

    shuffled_labels: probes are taught shuffled labels, a control; see `shuffle_labels`.
    """

    def __init__(
        self, encoder: AudioEncoder, together: Together, shuffled_labels: bool = False
    ) -> None:
        self.encoder, self.together, self.run = encoder, together, together.run
        self.shuffled_labels = shuffled_labels
        self.identity = together.identities[encoder]
        self.fingerprint = self.identity.fingerprint
        self.facts = encoder_facts(encoder, together.asked[encoder], self.fingerprint)
        if shuffled_labels:
            self.fingerprint = shuffled_fingerprint(self.fingerprint)
            self.facts = replace(
                self.facts, name=encoder.name + SHUFFLED, fingerprint=self.fingerprint
            )

    @cached_property
    def _parameters_read(self) -> int | None:
        return encoding_parameters(self.encoder, self.run.device)

    def has_task(self, spec: TaskSpec) -> bool:
        """Whether there is such a cell: the control of labels is one of tasks with classes."""
        return not self.shuffled_labels or applies(spec)

    def evaluate(self, declared: TaskSpec) -> RunResult:
        """The cell of one task: what is still valid, else computed now and written.

        Whatever goes wrong becomes a failed result, so that the other tasks go on.
        """
        spec = self.run.protocol.apply_to(declared)
        path, started = self._path(spec), time.time()
        if not applies_to(spec, self.encoder):
            return self._not_applicable(spec, path, started)
        try:
            self._make_synthetic(declared)
            shards = find_shards(spec, self.run)
            inputs = self._inputs(spec, shards)
            audit = stored_audit(self.run.results, spec, shards, synthetic=self.run.is_twin(spec))
            known = None if self.run.force else still_valid(path, inputs)
            if known is not None:
                failed_path(path).unlink(missing_ok=True)
                return self._brought_up_to_date(known, spec, shards, path, audit)
            result, predictions, times = self._computed(spec, shards, inputs, audit)
            result.run = provenance.run_info(started, self.run.device)
            result.run.behaviour = self.identity.facts()
            for part, spent in times.items():
                setattr(result.run, part, spent)
            write_result(path, result, predictions)
            return result
        except Exception as error:  # noqa: BLE001 - one task's bad luck must not end the others
            failed = self._failed(spec, error, started)
        with contextlib.suppress(OSError):  # a full disk, perhaps; it is shown all the same
            write_result(path, failed, None)
        return failed

    def has(self, spec: TaskSpec, shards: Shards) -> bool:
        """Whether the cell of a task is there and valid, given the task's shards."""
        if not applies_to(spec, self.encoder):
            return True  # there is nothing to be encoded for it
        try:
            inputs = self._inputs(spec, shards)
        except DataError:  # its tokens cannot be had; its own cell will say so
            return False
        known = still_valid(self._path(spec), inputs)
        return known is not None and is_complete(known, spec, self.run)

    def _computed(
        self, spec: TaskSpec, shards: Shards, inputs: str, audit: AuditFacts | None
    ) -> tuple[RunResult, Predictions, dict[str, Any]]:
        """A result with its predictions, and the seconds that its parts took."""
        joined, times = self._joined(spec, shards)
        began = time.monotonic()
        scored = self._scored(spec, joined)
        result = self._empty(spec)
        result.encoder = replace(result.encoder, encode_parameters=self._parameters_read)
        result.scores = scored.scores
        complete(result, joined.items, spec, self.run, self._progress(spec))
        # without them it is not used again: what failed may pass the next time
        result.inputs = "" if joined.transient else inputs
        result.data = cell_data(spec, self.run, joined, scored, shards, audit)
        times["probe_seconds"] = round(time.monotonic() - began, 3)
        return result, scored.predictions, times

    def _joined(self, spec: TaskSpec, shards: Shards) -> tuple[Joined, dict[str, Any]]:
        """Embeddings and labels of a task's clips, from the store where they are there."""
        self.together.preflights[self.encoder].check(self.encoder, spec.by_frame)
        with Progress(f"{spec.name}: reading shards", len(shards), "shards") as bar:
            dataset = open_dataset(
                spec, self.run.data_folder, limit=self.run.limit, on_progress=bar.to
            )
        if dataset.clips:
            check_duplicate_shards(spec, shards)
        began = time.monotonic()
        embeddings, encoded_s = self.together.embedder.entries(
            dataset, [shard.sha256 for shard in shards], self._request(spec, self.encoder),
            f"{self.encoder.name} · {spec.name}", self._wanted_later(spec, shards),
            spread=wants_spread(spec, self.run),
        )  # fmt: skip
        times: dict[str, Any] = {
            "embed_seconds": round(time.monotonic() - began, 3),
            "encoded_audio_seconds": round(encoded_s, 3),
            "embedding": speed_of(entry.speed for entry in embeddings),
        }
        joined = join(dataset, embeddings, self.run.protocol.failed_share)
        if self.shuffled_labels:
            joined = joined._replace(items=shuffle_labels(joined.items, spec.name))
        return joined, times

    def _scored(self, spec: TaskSpec, joined: Joined) -> Scored:
        return score_items(
            joined.items, spec, self.run.protocol.for_task(spec),
            frame_rate=self.encoder.frame_rate or 0.0, device=probe_device(self.run.device),
            track=self._progress(spec),
        )  # fmt: skip

    def _brought_up_to_date(
        self, known: RunResult, spec: TaskSpec, shards: Shards, path: Path, audit: AuditFacts | None
    ) -> RunResult:
        """A valid result with what no number depends on as it is now: a weight, a title, an audit,
        the command; and with what is asked for beside its scores."""
        added = not is_complete(known, spec, self.run)
        if added:
            items = self._joined(spec, shards)[0].items
            complete(known, items, spec, self.run, self._progress(spec))
        current = self._empty(spec)
        command = known.command
        if provenance.is_command(current.command) > provenance.is_command(command):
            command = current.command
        linear = known.scores["linear"]
        shots = [one.shots for one in linear.shots or ()]
        seen = [one.readout for one in linear.readouts or () if one.readout != BEST]
        data = known.data if audit is None else replace(known.data, audit=audit)
        now = (current.task, data, provenance.with_additions(command, shots, seen))
        if added or (known.task, known.data, known.command) != now:
            known.task, known.data, known.command = now
            write_atomically(path, known.to_json().encode())
        return known

    def _failed(self, spec: TaskSpec, error: Exception, started: float) -> RunResult:
        reason, facts = described(error)
        why = self.run.not_fetched.get(spec.name)
        if isinstance(error, NotThereError) and why is not None:
            reason = f"{error.what}; not fetched: {why}"
        failed = self._empty(spec, reason)
        failed.run = provenance.run_info(started, self.run.device)
        failed.run.traceback = facts.get("traceback")
        if isinstance(error, TooManyFailuresError):
            failed.data = replace(failed.data, **error.facts)
        return failed

    def _not_applicable(self, spec: TaskSpec, path: Path, started: float) -> RunResult:
        """A result that says so, written as any other: tables are made of files alone."""
        made = self._empty(spec, ONE_VECTOR, applies=False)
        made.run = provenance.run_info(started, self.run.device)
        made.run.behaviour = self.identity.facts()
        with contextlib.suppress(OSError):  # a full disk, perhaps; it is shown all the same
            write_result(path, made, None)
        return made

    def _make_synthetic(self, declared: TaskSpec) -> None:
        """Synthetic audio of a task, by the splits that its file declares."""
        if self.run.is_synthetic:
            with Progress(f"{declared.name}: making synthetic audio", 1, "clips") as bar:
                synthetic.synthesise(declared, self.run.data_folder, bar.to)

    def _wanted_later(self, spec: TaskSpec, shards: Shards) -> list[EmbeddingRequest]:
        """Requests for the same clips by other cells of this run: they share the decoding."""
        same = [(shard.split, shard.sha256) for shard in shards]
        mates = [TaskEvaluator(m, self.together) for m in self.together.pass_mates(self.encoder)]
        found = []
        others = {spec.name: spec, **{one.name: one for one in self.together.specs}}
        for other in others.values():
            try:
                theirs = shards if other.name == spec.name else find_shards(other, self.run)
            except (DataError, ShardError, OSError):
                continue  # its own cell will say so
            if [(shard.split, shard.sha256) for shard in theirs] == same:
                found += [
                    self._request(other, mate.encoder)
                    for mate in mates
                    if applies_to(other, mate.encoder)
                    and (self.run.force or not mate.has(other, theirs))
                ]
        own = self._request(spec, self.encoder)
        return [request for request in dict.fromkeys(found) if request != own]

    def _request(self, spec: TaskSpec, encoder: AudioEncoder) -> EmbeddingRequest:
        return request_of(spec, encoder, self.run.protocol)

    def _inputs(self, spec: TaskSpec, shards: Shards) -> str:
        return inputs_digest(
            spec, shards, self.encoder, self.together.embedder, self.run,
            shuffled_labels=self.shuffled_labels,
        )  # fmt: skip

    def _path(self, spec: TaskSpec) -> Path:
        """Where the cell's result lies."""
        protocol = self.run.protocol.for_task(spec)
        return result_path(
            self.run.results, encoder=self.facts.name, fingerprint=self.fingerprint,
            protocol=protocol.label, task=spec.name, synthetic=self.run.is_twin(spec),
            limit=self.run.limit,
            seeds=None if protocol.seeds == standard_of(protocol).seeds else protocol.seeds,
        )  # fmt: skip

    def _progress(self, spec: TaskSpec) -> ProgressFactory:
        label = f"{self.facts.name} · {spec.name}"
        return lambda what, total, unit: Progress(f"{label}: {what}", total, unit)

    def _empty(
        self, spec: TaskSpec, error: str | None = None, *, applies: bool = True
    ) -> RunResult:
        why = provenance.no_command(
            self.together.asked[self.encoder], self.encoder.name, self.identity.fingerprint,
            self.identity.of,
        )  # fmt: skip
        made = empty_result(self.facts, spec, self.run, error, no_command=why, applies=applies)
        if self.shuffled_labels:
            made = replace(made, command=provenance.with_shuffled_labels(made.command))
        return made


# Why a task that is scored by frames does not apply.
ONE_VECTOR = "one vector a clip, no frames in time"


def applies_to(spec: TaskSpec, encoder: AudioEncoder) -> bool:
    """Whether a task can be scored on what an encoder returns."""
    return not (spec.by_frame and encoder.frame_rate is None)


def _one_pass(encoder: AudioEncoder, mate: AudioEncoder) -> bool:
    """Whether two encoders share a forward pass, and batches that suit both."""
    if encoder is mate:
        return True
    return (
        pass_of(encoder) is pass_of(mate)
        and encoder.sample_rate == mate.sample_rate
        and encoder.honours_lengths == mate.honours_lengths
        and limits_of(encoder) == limits_of(mate)
    )
