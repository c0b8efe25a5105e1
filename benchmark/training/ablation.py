"""The paper's ablation: what a latent understands, and what can be decoded from it.

Source: arXiv 2602.23765: the semantic path alone, the acoustic path alone, and their sum, each
with a decoder trained for it. Probes measure the understanding, `reconstruct` the decoding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from earmark.benchmark.evaluation.run import evaluate
from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.paths import default_cache
from earmark.benchmark.reconstruction.run import reconstruct
from earmark.benchmark.result.schema import DONE, RunResult
from earmark.benchmark.settings import SYNTHETIC
from earmark.benchmark.training.run import train
from earmark.encoders.dasheng.training import read_training

LATENTS = ("semantic", "acoustic", "unified")
ENCODER_CONFIG, INJECTION_CONFIG = "encoder.yaml", "injection.yaml"
METRICS = {"mel_distance_16k": "mel distance", "pesq_wb": "PESQ", "stoi": "STOI"}


@dataclass(frozen=True)
class AblationPlan:
    """What is trained on what, and measured on what.

    configs: folder with `encoder.yaml` and `injection.yaml`. data, held_out: audio as
    `earmark.train` takes it. test: audio that is encoded, decoded and measured. tasks: tasks on
    real audio under `task_data`, beside the 22 synthetic twins, or what `twins` names of them.
    out: where checkpoints and result files are written, and what is there already is taken from.
    baselines: encoders that are probed too. threads, cache, device as everywhere; limit: clips of
    each split, place and recipe, for a trial.
    """

    configs: Path
    data: Sequence[str | Path]
    test: Sequence[str | Path]
    out: Path
    held_out: Sequence[str | Path] = ()
    tasks: Sequence[str] = ()
    task_data: Path | None = None
    twins: Sequence[str] = ("all",)
    baselines: Sequence[str] = ("logmel",)
    device: str = "auto"
    cache: Path | None = None
    limit: int | None = None
    source_key: str | None = None


@dataclass
class AblationRow:
    """A latent or a baseline. values: by column; NaN where it was not or could not be measured.

    faults: what failed, in a line each.
    """

    name: str
    values: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def ablate(
    plan: AblationPlan,
    *,
    track: ProgressFactory = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> list[AblationRow]:
    """Train what is not trained yet, measure what is not measured yet; a row for each latent.

    Columns: macro mean of the linear probe and of kNN over the twins and over each task on real
    audio, mel distance, PESQ and STOI over the test audio. Trainings that were interrupted go on.

    Raises what `train`, `evaluate` and `reconstruct` raise.
    """
    train_all(plan, track=track, tell=tell)
    rows = []
    for name in (*plan.baselines, *LATENTS):
        row = AblationRow(name)
        weights = plan.out / name if name in LATENTS else None
        encoder = name if weights is None else _encoder_of(name)
        tell(f"probing {name}")
        _probe(row, encoder, weights, plan)
        if weights is not None:
            tell(f"decoding {name}")
            _decode(row, encoder, weights, plan, track)
        rows.append(row)
    return rows


def train_all(
    plan: AblationPlan,
    *,
    track: ProgressFactory = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """The semantic encoder into `out/encoder`, then each latent's model into `out/LATENT`."""
    for config in (ENCODER_CONFIG, INJECTION_CONFIG):
        read_training(plan.configs / config)  # a fault in the second must not cost the first
    for name in ("encoder", *LATENTS):
        tell(f"training {name}")
        first = name == "encoder"
        train(
            plan.configs / (ENCODER_CONFIG if first else INJECTION_CONFIG), plan.data,
            plan.out / name, semantic=None if first else plan.out / "encoder",
            latent=None if first else name, held_out=plan.held_out, device=plan.device,
            cache=plan.cache, limit=plan.limit, track=track, tell=tell,
        )  # fmt: skip


def table_of(rows: Sequence[AblationRow]) -> pd.DataFrame:
    """Rows by name, a column for each measurement."""
    table = pd.DataFrame({row.name: row.values for row in rows}).T
    return table.rename_axis("latent")


def to_markdown(rows: Sequence[AblationRow]) -> str:
    """The table as Markdown; three digits, a dash where there is no value."""
    table = table_of(rows)
    head = ["latent", *(str(column) for column in table.columns)]
    lines = [head, ["---", *["---:"] * len(table.columns)]]
    lines += [[name, *(_shown(v) for v in values)] for name, *values in table.itertuples()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else rounded(value)


def _encoder_of(latent: str) -> str:
    return "dasheng" if latent == "unified" else f"dasheng:{latent}"


def _probe(row: AblationRow, encoder: str, weights: Path | None, plan: AblationPlan) -> None:
    """Macro means over the twins, and over the tasks on real audio."""
    parts: list[tuple[str, Sequence[str], str | Path]] = [("twins", plan.twins, SYNTHETIC)]
    if plan.tasks:
        parts.append(("real", plan.tasks, plan.task_data or Path("data")))
    for name, tasks, data in parts:
        results = evaluate(
            encoder, list(tasks), data=data, weights=weights, device=plan.device,
            results=plan.out / "results" / row.name, limit=plan.limit,
            cache=plan.cache or default_cache(),
        )  # fmt: skip
        row.faults += [f"{one.task.name}: {one.error}" for one in results if one.status != DONE]
        title = name if name == "twins" else ", ".join(one.task.name for one in results)
        row.values |= {f"{title} {probe}": value for probe, value in _means(results).items()}


def _means(results: Sequence[RunResult]) -> dict[str, float]:
    """Probe -> mean over the tasks that it measures; NaN where one of them failed."""
    found: dict[str, float] = {}
    for table in Leaderboard(results).tables:
        for probe in table.probes:
            means = table.means(probe)["mean of all"]
            for column in table.columns:  # the encoder's; what a guess scores is beside them
                mean = means[column]
                found[probe] = mean.value if mean.tasks == mean.of else math.nan
    return found


def _decode(
    row: AblationRow, encoder: str, weights: Path, plan: AblationPlan, track: ProgressFactory
) -> None:
    (result,) = reconstruct(
        encoder, list(plan.test), weights=weights, device=plan.device, track=track,
        results=plan.out / "results" / row.name, limit=plan.limit, source_key=plan.source_key,
        cache=plan.cache or default_cache(),
    )  # fmt: skip
    if result.status != DONE:
        row.faults.append(f"{result.data.name}: {result.error}")
    for metric, title in METRICS.items():
        score = result.scores.get(metric)
        row.values[title] = math.nan if score is None else score.value
