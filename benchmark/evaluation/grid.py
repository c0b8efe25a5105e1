"""The cell of an encoder's best layer: chosen fold by fold, with the readout, by validation.

`--layer all` and two readouts or more together give a grid; its best is a column of its own,
`NAME:layer-best`, made from the layers' results and from what is stored of them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from earmark.benchmark.evaluation.assemble import cell_data
from earmark.benchmark.evaluation.cell import TaskEvaluator
from earmark.benchmark.evaluation.inputs import Shards
from earmark.benchmark.evaluation.joined import Joined
from earmark.benchmark.evaluation.shuffled import applies
from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.readouts import BEST_LAYER, clip_readouts
from earmark.benchmark.result import provenance
from earmark.benchmark.result.facts import AuditFacts
from earmark.benchmark.result.files import still_valid
from earmark.benchmark.result.schema import Predictions, RunResult
from earmark.benchmark.score.grid import score_grid
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shards.dataset import DataError
from earmark.encoders import OutputEncoder
from earmark.encoders.device import probe_device
from earmark.encoders.family import ALL_LAYERS
from earmark.encoders.spec import Asked, parsed
from earmark.tasks import TaskSpec


def grids(
    evaluators: Sequence[TaskEvaluator],
    group: Sequence[object],
    weights: str | Path | None,
    run: RunSettings,
) -> Iterator[GridEvaluator]:
    """The best layers of encoders that were loaded together, where all layers were asked for.

    evaluators: of the encoders. group: how they were asked for.
    """
    asked = [str(name) for name in group if parsed(str(name)).base.endswith(f":{ALL_LAYERS}")]
    layers = [one for one in evaluators if _layer_of(one) and not one.shuffled_labels]
    if asked and len(layers) > 1 and len(clip_readouts(run.readouts)) > 1:
        yield GridEvaluator(layers, provenance.asked_for(asked[0], weights))


def _layer_of(evaluator: TaskEvaluator) -> str:
    """`layer-3`; empty where the encoder is no hidden layer."""
    encoder = evaluator.encoder
    output = encoder.output if isinstance(encoder, OutputEncoder) else ""
    return output if output.removeprefix("layer-").isdecimal() else ""


class GridEvaluator(TaskEvaluator):
    """Evaluates the best layer of an encoder, once its layers have been evaluated."""

    def __init__(self, layers: Sequence[TaskEvaluator], asked: str) -> None:
        super().__init__(layers[0].encoder, layers[0].together)
        self.layers = {_layer_of(one): one for one in layers}
        name = parsed(self.encoder.name)
        base = name.base.rpartition(":")[0]
        words = "layers " + " ".join(one.fingerprint for one in layers)
        self.fingerprint = hashlib.sha256(words.encode()).hexdigest()
        self.facts = replace(
            self.facts, name=Asked(f"{base}:{BEST_LAYER}", name.draw).name, spec=asked,
            fingerprint=self.fingerprint,
        )  # fmt: skip

    def has_task(self, spec: TaskSpec) -> bool:
        return applies(spec)

    def _computed(
        self, spec: TaskSpec, shards: Shards, inputs: str, audit: AuditFacts | None
    ) -> tuple[RunResult, Predictions, dict[str, Any]]:
        began = time.monotonic()
        scores = {}
        for layer, one in self.layers.items():
            found = still_valid(one._path(spec), one._inputs(spec, shards))
            if found is None:
                raise DataError(f"{layer} has no whole result to choose from; see its own failure")
            scores[layer] = found.scores["linear"]
        joined: dict[str, Joined] = {}

        def items_of(layer: str) -> Any:
            joined[layer] = self.layers[layer]._joined(spec, shards)[0]
            return joined[layer].items

        scored = score_grid(
            scores, items_of, spec, self.run.protocol.for_task(spec),
            device=probe_device(self.run.device), track=self._progress(spec),
        )  # fmt: skip
        result = self._empty(spec)
        result.scores = scored.scores
        result.inputs = inputs
        result.data = cell_data(spec, self.run, next(iter(joined.values())), scored, shards, audit)
        spent = {"probe_seconds": round(time.monotonic() - began, 3)}
        return result, scored.predictions, spent

    def _brought_up_to_date(
        self, known: RunResult, spec: TaskSpec, shards: Shards, path: Path, audit: AuditFacts | None
    ) -> RunResult:
        current = self._empty(spec)
        data = known.data if audit is None else replace(known.data, audit=audit)
        now = (current.task, data, current.command)
        if (known.task, known.data, known.command) != now:
            known.task, known.data, known.command = now
            write_atomically(path, known.to_json().encode())
        return known

    def _inputs(self, spec: TaskSpec, shards: Shards) -> str:
        facts = [[layer, one._inputs(spec, shards)] for layer, one in self.layers.items()]
        text = json.dumps([facts, clip_readouts(self.run.readouts)])
        return hashlib.sha256(text.encode()).hexdigest()

    def _empty(
        self, spec: TaskSpec, error: str | None = None, *, applies: bool = True
    ) -> RunResult:
        made = super()._empty(spec, error, applies=applies)
        made.task.probes = ["linear"]
        return made
