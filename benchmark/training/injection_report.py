"""What the experiment of injection found, as tables and a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from earmark.benchmark.io.markdown import bullets, escape
from earmark.benchmark.io.markdown import row as markdown_row
from earmark.benchmark.io.rounding import rounded
from earmark.benchmark.training.injection_study import (
    LATENTS,
    METRICS,
    Gap,
    InjectionStudy,
    Trained,
)

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_MARKS = {"semantic": "s", "acoustic": "^", "unified": "o"}


def to_markdown(study: InjectionStudy) -> str:
    """Answers first, then what they were made from; failures at the end."""
    return "\n".join([
        "**What injection costs**: unified less semantic, linear probe on the mean over frames.",
        "", *_costs(study), "",
        "**What injection gains**: unified less the other latent, each by a decoder of its own.",
        "", *_gains(study), "",
        "**Probes**: linear, by readout; each encoder's permuted weights beside it.", "",
        *_probes(study), "",
        "**Sound**: means over the test clips.", "", *_sound(study), "",
        *bullets([f"failed: {one}" for one in study.faults]),
        "Intervals at 95 %, in brackets: of costs over the tasks' sources (paired jackknife), of "
        "gains over the sources of the test clips; `*`: 0 is outside. A row a training seed: how "
        "much another seed changes is seen between rows, and is not in the intervals.",
    ]) + "\n"  # fmt: skip


def _costs(study: InjectionStudy) -> list[str]:
    tasks = list(dict.fromkeys(task for gaps in study.costs.values() for task in gaps))
    rows = [
        [escape(encoder), str(seed), *(_gap(gaps.get(task)) for task in tasks)]
        for (encoder, seed), gaps in study.costs.items()
    ]
    return _table(["encoder", "seed", *map(escape, tasks)], rows)


def _gains(study: InjectionStudy) -> list[str]:
    rows = [
        [escape(encoder), str(seed), other, *(_gap(gaps.get(metric)) for metric in METRICS)]
        for (encoder, seed, other), gaps in study.gains.items()
    ]
    return _table(["encoder", "seed", "less", *METRICS.values()], rows)


def _probes(study: InjectionStudy) -> list[str]:
    keys = list(dict.fromkeys(key for model in study.models for key in model.probes))
    heads = [f"{task} ({kind}), {readout}" for kind, task, readout in keys]
    rows: list[list[str]] = []
    for encoder in dict.fromkeys(model.encoder for model in study.models):
        for model in (one for one in study.models if one.encoder == encoder):
            if model.latent == "semantic" and _known(rows, encoder, model, keys):
                continue  # the encoder's own frames, whatever the seed
            seed = "" if model.latent == "semantic" else f" {model.seed}"
            values = [_value(model.probes.get(key)) for key in keys]
            rows.append([escape(encoder), f"{model.latent}{seed}", *values])
        control = study.controls.get(encoder, {})
        if control:
            values = [_value(control.get(key)) for key in keys]
            rows.append([escape(encoder), "permuted weights", *values])
    return _table(["encoder", "latent", *map(escape, heads)], rows)


def _known(
    rows: Sequence[Sequence[str]],
    encoder: str,
    model: Trained,
    keys: Sequence[tuple[str, str, str]],
) -> bool:
    shown = [escape(encoder), model.latent, *(_value(model.probes.get(key)) for key in keys)]
    return shown in [list(row) for row in rows]


def _sound(study: InjectionStudy) -> list[str]:
    rows = [
        [escape(model.encoder), f"{model.latent} {model.seed}", *_means(model.sound)]
        for model in study.models
        if model.sound
    ]
    rows += [[escape(name), "", *_means(values)] for name, values in study.sound.items()]
    return _table(["encoder", "latent", *METRICS.values()], rows)


def _means(sound: dict[str, float]) -> list[str]:
    return [_value(sound.get(metric)) for metric in METRICS]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    words = sum(1 for head in heads if head in ("encoder", "seed", "latent", "less"))
    marks = ["---"] * words + ["---:"] * (len(heads) - words)
    return [markdown_row(list(heads)), markdown_row(marks), *(markdown_row(list(r)) for r in rows)]


def _gap(gap: Gap | None) -> str:
    if gap is None or math.isnan(gap.value):
        return "–"
    shown = rounded(gap.value, sign=True)
    if gap.low is None or gap.high is None:
        return f"{shown} (too few)"
    mark = "*" if gap.differs else ""
    return f"{shown}{mark} [{rounded(gap.low, sign=True)} {rounded(gap.high, sign=True)}]"


def _value(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else rounded(value)


def draw(study: InjectionStudy, path: Path) -> bool:
    """Understanding over PESQ, three points an encoder and seed; False without matplotlib.

    Understanding: the mean over tasks of the linear probe on the mean over frames. As the paper has
    it, unified is to the right of semantic and no lower.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    encoders = list(dict.fromkeys(model.encoder for model in study.models))
    for number, encoder in enumerate(encoders):
        colour = _COLOURS[number % len(_COLOURS)]
        own = [model for model in study.models if model.encoder == encoder]
        for seed in dict.fromkeys(model.seed for model in own):
            points = {one.latent: _point(one) for one in own if one.seed == seed}
            line = [points[one] for one in ("semantic", "unified", "acoustic") if one in points]
            axes.plot(*zip(*line, strict=True), color=colour, alpha=0.35, linewidth=1)
        for model in own:
            axes.plot(*_point(model), _MARKS[model.latent], color=colour, markersize=7)
    for number, encoder in enumerate(encoders):
        axes.plot([], [], color=_COLOURS[number % len(_COLOURS)], label=encoder)
    for latent in LATENTS:
        axes.plot([], [], _MARKS[latent], color="#555555", label=latent)
    axes.set_xlabel("PESQ (wide-band)")
    axes.set_ylabel("linear probe, mean over tasks")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, ncols=2)
    FigureCanvasAgg(figure).print_png(str(path))
    return True


def _point(model: Trained) -> tuple[float, float]:
    scores = [value for (_, _, readout), value in model.probes.items() if readout == "mean"]
    return model.sound.get("pesq_wb", math.nan), float(np.mean(scores)) if scores else math.nan
