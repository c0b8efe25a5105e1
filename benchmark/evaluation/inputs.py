"""What decides a cell: its shards, and one digest over everything that its numbers depend on."""

from __future__ import annotations

import dataclasses
import hashlib
import json

from earmark.benchmark.embedding.cached import CachedEmbedder, request_of
from earmark.benchmark.io.progress import Progress
from earmark.benchmark.probe.language_model import model_digest
from earmark.benchmark.probe.tokens import tokens_kind
from earmark.benchmark.result import provenance
from earmark.benchmark.result.facts import ShardFact
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shards.dataset import DataError, locate_shards
from earmark.benchmark.shards.shard import shard_digest
from earmark.encoders import AudioEncoder
from earmark.tasks import TaskSpec

Shards = list[ShardFact]


def find_shards(spec: TaskSpec, run: RunSettings) -> Shards:
    """Name, split and SHA-256 of a task's shards. Raises DataError and ShardError."""
    located = locate_shards(spec, run.data_folder)
    shards = []
    count = sum(len(paths) for paths in located.values())
    with Progress(f"{spec.name}: checking shards", count, "shards") as bar:
        for split, paths in located.items():
            for path in paths:
                sha256 = shard_digest(path, run.cache)
                shards.append(ShardFact(path.name, split, sha256))
                bar.advance(1)
    return shards


def check_duplicate_shards(spec: TaskSpec, shards: Shards) -> None:
    """Raise DataError where two shards hold the same bytes."""
    first: dict[str, ShardFact] = {}
    for shard in shards:
        twin = first.setdefault(shard.sha256, shard)
        if twin is not shard:
            raise DataError(
                f"shards {twin.name} ({twin.split}) and {shard.name} ({shard.split}) "
                f"of {spec.name} hold the same bytes; remove one"
            )


def inputs_digest(
    spec: TaskSpec,
    shards: Shards,
    encoder: AudioEncoder,
    embedder: CachedEmbedder,
    run: RunSettings,
    *,
    shuffled_labels: bool = False,
) -> str:
    """SHA-256 of all that decides the numbers. Raises DataError where tokens cannot be had."""
    request = request_of(spec, encoder, run.protocol)
    facts = {
        "task": spec.digest(),
        "protocol": dataclasses.asdict(run.protocol.for_task(spec)),
        "limit": run.limit,
        "synthetic": run.is_twin(spec),
        "shards": [
            [shard.split, shard.name, embedder.key(request, shard.sha256)] for shard in shards
        ],
        "tokens": _tokens(spec, run),
        "code": provenance.scoring_code(),
    }
    if shuffled_labels:
        facts["labels"] = "shuffled"
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _tokens(spec: TaskSpec, run: RunSettings) -> str | None:
    """What turns a task's text into tokens, told apart by content. Raises DataError."""
    if spec.label.kind == "captions":
        return tokens_kind(run.protocol.caption_tokens)
    if spec.label.kind == "transcript" and run.protocol.transcripts == "language model":
        return model_digest(run.protocol.language_model, run.cache)
    return None
