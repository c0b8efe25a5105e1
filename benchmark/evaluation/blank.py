"""A result before it has scores: what is known of a cell whatever comes of it."""

from __future__ import annotations

from typing import Any

from earmark.benchmark.result import provenance
from earmark.benchmark.result.schema import RunResult
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shots import METRICS
from earmark.tasks import TaskSpec


def empty_result(
    encoder: dict[str, Any],
    spec: TaskSpec,
    run: RunSettings,
    status: str,
    error: str | None,
    *,
    no_command: str = "",
) -> RunResult:
    """A result without scores. encoder: what `RunResult.encoder` holds.

    no_command: why no command makes it again, where none does.
    """
    protocol = run.protocol.for_task(spec)
    shots = run.shots if spec.metric in METRICS else ()
    return RunResult(
        status=status,
        synthetic=run.is_twin(spec),
        error=error,
        task={
            "name": spec.name,
            "title": spec.title,
            "abbreviation": spec.abbreviation,
            "domain": spec.domain,
            "weight": spec.weight,
            "metric": spec.metric,
            "classes": spec.num_classes,
            "probes": list(spec.probes),
            "licence": spec.licence,
            "digest": spec.digest(),
            "declared": spec.declaration,
        },
        encoder=encoder,
        protocol=protocol.facts(),
        data={"limit": run.limit},
        command=no_command
        or provenance.command(encoder["spec"], spec, run.data, run.limit, protocol, shots),
        versions=provenance.versions(),
    )
