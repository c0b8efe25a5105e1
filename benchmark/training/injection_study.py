"""Does acoustic injection work on encoders other than its authors'? The experiment, and answers.

For each encoder three latents are trained alike, each with a decoder of its own: the encoder's own
frames (semantic), the acoustic path alone, and their sum (unified), as in the ablation of arXiv
2602.23765. Probes say what was understood, codec metrics what can be heard. Two questions are
answered for each encoder and training seed, with intervals: what injection costs in what was
understood, and what it gains in what can be heard.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from earmark.benchmark.comparison.run import Comparison, compare
from earmark.benchmark.evaluation.run import evaluate
from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.paths import default_cache
from earmark.benchmark.reconstruction.result import ReconstructionResult, clips_of
from earmark.benchmark.reconstruction.run import reconstruct
from earmark.benchmark.result.schema import DONE, RunResult
from earmark.benchmark.settings import SYNTHETIC
from earmark.benchmark.training.run import read_settings, train
from earmark.benchmark.uncertainty.jackknife import spread_of
from earmark.encoders import load_encoder
from earmark.encoders.control import has_parameters
from earmark.encoders.dasheng.tokenizer import ACOUSTIC, SEMANTIC
from earmark.encoders.dasheng.training.config import UNIFIED_NAME, TrainingError

LATENTS = (SEMANTIC, ACOUSTIC, UNIFIED_NAME)
METRICS = {"pesq_wb": "PESQ", "stoi": "STOI", "mel_distance_16k": "mel distance"}
CONFIDENCE = 0.95


@dataclass(frozen=True)
class InjectionPlan:
    """What is injected into, trained and measured on what.

    encoders: names of frozen encoders. config: the injection's YAML file. data, held_out: audio as
    `earmark.train` takes it. test: audio that is encoded, decoded and measured. tasks: tasks on
    real audio under `task_data`. twins: synthetic twins. seeds: a training each. out: for
    checkpoints and result files; what is there already is not done again. baselines: codecs that
    are measured on the same audio. controls: probe each encoder's permuted weights too. threads,
    cache, device as everywhere; limit: clips of each place, for a trial.
    """

    encoders: Sequence[str]
    config: Path
    data: Sequence[str | Path]
    test: Sequence[str | Path]
    out: Path
    held_out: Sequence[str | Path] = ()
    tasks: Sequence[str] = ()
    task_data: Path | None = None
    twins: Sequence[str] = ()
    seeds: Sequence[int] = (1, 2)
    baselines: Sequence[str] = ()
    controls: bool = True
    readouts: Sequence[str] = ()
    device: str = "auto"
    cache: Path | None = None
    limit: int | None = None
    source_key: str | None = None


@dataclass(frozen=True)
class Gap:
    """A difference with its interval; low and high are None where there are too few sources."""

    value: float
    low: float | None
    high: float | None

    @property
    def differs(self) -> bool:
        """Whether 0 lies outside its interval."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass
class Trained:
    """A model of one encoder, latent and seed: its name and what was measured.

    probes: (data, task, readout) -> score by the linear probe. sound: metric -> mean.
    """

    encoder: str
    latent: str
    seed: int
    name: str
    probes: dict[tuple[str, str, str], float] = field(default_factory=dict)
    sound: dict[str, float] = field(default_factory=dict)
    clips: pd.DataFrame | None = None


@dataclass
class InjectionStudy:
    """Everything that was found.

    models: one for each encoder, latent and seed. controls: encoder -> its permuted weights'
    probes. sound: baseline -> metric -> mean. costs: (encoder, seed) -> task -> unified less
    semantic, with the interval of the paired test over sources. gains: (encoder, seed, latent) ->
    metric -> unified less that latent, paired over clips. faults: what failed, in a line each.
    """

    models: list[Trained] = field(default_factory=list)
    controls: dict[str, dict[tuple[str, str, str], float]] = field(default_factory=dict)
    sound: dict[str, dict[str, float]] = field(default_factory=dict)
    costs: dict[tuple[str, int], dict[str, Gap]] = field(default_factory=dict)
    gains: dict[tuple[str, int, str], dict[str, Gap]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def study_injection(
    plan: InjectionPlan,
    *,
    track: ProgressFactory = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> InjectionStudy:
    """Train what is not trained yet, measure what is not measured yet, and compare.

    Raises what `train`, `evaluate` and `reconstruct` raise.
    """
    found = InjectionStudy()
    if len(plan.test) != 1:
        raise TrainingError(
            f"the test audio is one folder, shard or manifest, not {len(plan.test)}"
        )
    for encoder in plan.encoders:
        read_settings(plan.config, encoder)  # a fault in the last must not cost the first
    for encoder in plan.encoders:
        for seed in plan.seeds:
            for latent in LATENTS:
                model = Trained(encoder, latent, seed, model_name(encoder, latent, seed))
                tell(f"training {model.name}")
                _train(plan, model, track, tell)
                found.models.append(model)
    for encoder in plan.encoders:
        tell(f"probing {encoder}")
        _probe(plan, encoder, found)
        tell(f"decoding {encoder}")
        _decode(plan, encoder, found, track)
    if plan.baselines:
        for result in _reconstruct(plan, list(plan.baselines), track):
            found.sound[result.codec.name] = _means(result)
    return found


def model_name(encoder: str, latent: str, seed: int) -> str:
    """Name of a model's folder: `dasheng-tiny:semantic` -> `dasheng-tiny-semantic-unified-1`."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(encoder).name.replace(".py", "")).strip("-")
    return f"{plain}-{latent}-{seed}"


def asked_as(plan: InjectionPlan, model: Trained) -> str:
    """The name by which a model's own latent is loaded, and decoded by its own decoder."""
    folder = f"injected:{plan.out / model.name}"
    return folder if model.latent == UNIFIED_NAME else f"{folder}:{model.latent}"


def shown_as(model: Trained) -> str:
    """Its column in tables."""
    own = f"injected:{model.name}"
    return own if model.latent == UNIFIED_NAME else f"{own}:{model.latent}"


def _train(
    plan: InjectionPlan, model: Trained, track: ProgressFactory, tell: Callable[[str], None]
) -> None:
    train(
        plan.config, plan.data, plan.out / model.name, semantic=model.encoder,
        latent=model.latent, seed=model.seed, held_out=plan.held_out, device=plan.device,
        cache=plan.cache, limit=plan.limit, track=track, tell=tell,
    )  # fmt: skip


def _probe(plan: InjectionPlan, encoder: str, found: InjectionStudy) -> None:
    """Probes of the encoder itself, its control, and the latents of each seed."""
    own = [model for model in found.models if model.encoder == encoder]
    folder = plan.out / "results"
    parts: list[tuple[Sequence[str], str | Path]] = [
        (plan.tasks, plan.task_data or Path("data")), (plan.twins, SYNTHETIC)
    ]  # fmt: skip
    for tasks, data in parts:
        if not tasks:
            continue
        names = [asked_as(plan, model) for model in own]
        results = evaluate(
            names, list(tasks), data=data, device=plan.device, results=folder, limit=plan.limit,
            cache=plan.cache or default_cache(), readouts=tuple(plan.readouts),
        )  # fmt: skip
        if plan.controls and has_parameters(load_encoder(encoder)):
            control = f"{encoder}:permuted"
            results += evaluate(
                control, list(tasks), data=data, device=plan.device, results=folder,
                limit=plan.limit, cache=plan.cache or default_cache(),
                readouts=tuple(plan.readouts),
            )  # fmt: skip
        for result in results:
            _keep_probes(result, own, encoder, found)
    for seed in plan.seeds:
        names_of = {model.latent: shown_as(model) for model in own if model.seed == seed}
        tables = compare(
            names_of[UNIFIED_NAME], names_of[SEMANTIC], folder, probe="linear",
            cache=plan.cache or default_cache(),
        )  # fmt: skip
        found.costs[encoder, seed] = _gaps(tables)


def _keep_probes(
    result: RunResult, own: Sequence[Trained], encoder: str, found: InjectionStudy
) -> None:
    if result.status != DONE:
        found.faults.append(f"{result.encoder.name} on {result.task.name}: {result.error}")
        return
    kind = SYNTHETIC if result.synthetic else "real"
    values = {(kind, result.task.title, "mean"): result.scores["linear"].value}
    for one in result.scores["linear"].readouts or ():
        values[kind, result.task.title, one.readout] = one.value
    for model in own:
        if shown_as(model) == result.encoder.name:
            model.probes |= values
            return
    found.controls.setdefault(encoder, {}).update(values)


def _gaps(tables: Sequence[Comparison]) -> dict[str, Gap]:
    """By task, and their mean."""
    gaps: dict[str, Gap] = {}
    for table in tables:
        kind = SYNTHETIC if table.synthetic else "real"
        for task in table.tasks:
            gap = task.difference
            gaps[f"{task.title} ({kind})"] = Gap(gap.value, gap.low, gap.high)
        if table.mean is not None:
            gaps[f"mean ({kind})"] = Gap(table.mean.value, table.mean.low, table.mean.high)
    return gaps


def _decode(
    plan: InjectionPlan, encoder: str, found: InjectionStudy, track: ProgressFactory
) -> None:
    own = [model for model in found.models if model.encoder == encoder]
    for model in own:
        (result,) = _reconstruct(plan, [asked_as(plan, model)], track)
        if result.status != DONE:
            found.faults.append(f"{model.name} on {result.data.name}: {result.error}")
            continue
        model.sound, model.clips = _means(result), clips_of(result)
    for seed in plan.seeds:
        by_latent = {model.latent: model for model in own if model.seed == seed}
        for other in (SEMANTIC, ACOUSTIC):
            first, second = by_latent[UNIFIED_NAME].clips, by_latent[other].clips
            if first is not None and second is not None:
                found.gains[encoder, seed, other] = {
                    metric: paired(first, second, metric)
                    for metric in METRICS
                    if metric in first and metric in second
                }


def _reconstruct(
    plan: InjectionPlan, names: Sequence[str], track: ProgressFactory
) -> list[ReconstructionResult]:
    return reconstruct(
        list(names), list(plan.test), device=plan.device, track=track, limit=plan.limit,
        results=plan.out / "results", source_key=plan.source_key,
        cache=plan.cache or default_cache(),
    )  # fmt: skip


def _means(result: ReconstructionResult) -> dict[str, float]:
    return {
        metric: result.scores[metric].value if metric in result.scores else math.nan
        for metric in METRICS
    }


def paired(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> Gap:
    """Mean over clips of first less second, with Student's interval over sources (jackknife).

    Both: columns `key`, `crop`, `source` and the metric. Clips that either lacks are left out.
    """
    both = first.merge(second, on=["key", "crop"], suffixes=("", "_other"))
    gaps = (both[metric] - both[f"{metric}_other"]).astype(float)
    both = both[gaps.notna()]
    gaps = gaps[gaps.notna()]
    if gaps.empty:
        return Gap(math.nan, None, None)
    groups = gaps.groupby(both["source"])
    sums, sizes = groups.sum().to_numpy(), groups.size().to_numpy()
    total, count = sums.sum(), sizes.sum()
    mean = total / count
    if len(sizes) < 2:
        return Gap(float(mean), None, None)
    without = (total - sums) / (count - sizes)
    spread = spread_of(np.concatenate([[mean], without]), sizes)
    if spread is None:
        return Gap(float(mean), None, None)
    half = spread.students((1 - CONFIDENCE) / 2) * math.sqrt(spread.variance)
    return Gap(float(mean), float(mean - half), float(mean + half))
