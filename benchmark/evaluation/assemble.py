"""The facts of a result: of task and encoder whatever comes of them, of its data once scored."""

from __future__ import annotations

from earmark.benchmark.evaluation.additions import readouts_of
from earmark.benchmark.evaluation.inputs import Shards
from earmark.benchmark.evaluation.joined import Joined
from earmark.benchmark.result import provenance
from earmark.benchmark.result.facts import (
    AuditFacts,
    ContentFact,
    DataFacts,
    EncoderFacts,
    TaskFacts,
)
from earmark.benchmark.result.schema import DONE, FAILED, NOT_APPLICABLE, RunResult
from earmark.benchmark.score import Scored
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shots import METRICS
from earmark.encoders import AudioEncoder
from earmark.encoders.bitrate import bits_per_second
from earmark.encoders.device import parameter_count
from earmark.encoders.made import made_with
from earmark.tasks import TaskSpec


def encoder_facts(encoder: AudioEncoder, asked: str, fingerprint: str) -> EncoderFacts:
    """What `RunResult.encoder` holds. asked: how the encoder was asked for."""
    made = made_with(encoder)
    contents = [ContentFact(path, sha256) for path, sha256 in made.contents.items()]
    return EncoderFacts(
        arguments=dict(made.arguments) or None,
        contents=contents or None,
        name=encoder.name,
        spec=asked,
        fingerprint=fingerprint,
        sample_rate=encoder.sample_rate,
        embedding_dim=encoder.embedding_dim,
        frame_rate=encoder.frame_rate,
        honours_lengths=encoder.honours_lengths,
        frame_rate_varies=encoder.frame_rate_varies or None,
        scene_dim=encoder.scene_dim,
        min_seconds=encoder.min_seconds,
        max_seconds=encoder.max_seconds,
        fixed_seconds=encoder.fixed_seconds,
        parameters=parameter_count(encoder),
        bits_per_second=bits_per_second(encoder),
    )


def cell_data(
    spec: TaskSpec,
    run: RunSettings,
    joined: Joined,
    scored: Scored,
    shards: Shards,
    audit: AuditFacts | None,
) -> DataFacts:
    """What `RunResult.data` holds of a cell that was scored."""
    items = joined.items
    return DataFacts(
        limit=run.limit,
        items={split: int((items.splits == split).sum()) for split in spec.shard_patterns},
        parts=scored.parts,
        **scored.classes,
        sources=len(items.source_names),
        source_unit=spec.source.unit,
        guessed_sources=items.guessed_sources,
        straddling_sources=items.straddling_sources(),
        shards=shards,
        audit=audit,
        **joined.facts,
    )


def empty_result(
    encoder: EncoderFacts,
    spec: TaskSpec,
    run: RunSettings,
    error: str | None = None,
    *,
    no_command: str = "",
    applies: bool = True,
) -> RunResult:
    """A result without scores. encoder: what `RunResult.encoder` holds.

    no_command: why no command makes it again, where none does. applies: False where the error is
    that the task does not apply to the encoder.
    """
    protocol = run.protocol.for_task(spec)
    shots = run.shots if spec.metric in METRICS else ()
    readouts = readouts_of(spec, run)
    return RunResult(
        status=DONE if error is None else FAILED if applies else NOT_APPLICABLE,
        synthetic=run.is_twin(spec),
        error=error,
        task=TaskFacts(
            name=spec.name,
            title=spec.title,
            abbreviation=spec.abbreviation,
            domain=spec.domain,
            weight=spec.weight,
            metric=spec.metric,
            classes=spec.num_classes,
            probes=list(spec.probes),
            licence=spec.licence,
            digest=spec.digest(),
            declared=spec.declaration,
        ),
        encoder=encoder,
        protocol=protocol.facts(),
        data=DataFacts(limit=run.limit),
        command=no_command
        or provenance.command(encoder.spec, spec, run.data, run.limit, protocol, shots, readouts),
        versions=provenance.versions(),
    )
