"""What may be asked for beside a cell's scores: label efficiency and readouts.

Both are added to a result that is there already without computing its scores again.
"""

from __future__ import annotations

from earmark.benchmark import readouts
from earmark.benchmark.io.progress import ProgressFactory
from earmark.benchmark.probe.items import Items
from earmark.benchmark.result.schema import RunResult
from earmark.benchmark.score import add_shots
from earmark.benchmark.score.readouts import add_readouts
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shots import METRICS, has_all
from earmark.encoders.device import probe_device
from earmark.tasks import TaskSpec


def wants_spread(spec: TaskSpec, run: RunSettings) -> bool:
    """Whether a task's items need deviation and maximum beside the mean."""
    return spec.metric in METRICS and len(run.readouts) > 1


def is_complete(result: RunResult, spec: TaskSpec, run: RunSettings) -> bool:
    """Whether a result holds what is asked for beside its scores."""
    if spec.metric not in METRICS:
        return True
    linear = result.scores["linear"]
    return has_all(linear.shots, run.shots) and readouts.has_all(linear.readouts, run.readouts)


def complete(
    result: RunResult, items: Items, spec: TaskSpec, run: RunSettings, track: ProgressFactory
) -> None:
    """Compute what a result lacks of what is asked for."""
    if spec.metric not in METRICS:
        return
    linear, protocol = result.scores["linear"], run.protocol.for_task(spec)
    device = probe_device(run.device)
    if not has_all(linear.shots, run.shots):
        add_shots(linear, items, spec, protocol, run.shots, device=device, track=track)
    if not readouts.has_all(linear.readouts, run.readouts):
        add_readouts(linear, items, spec, protocol, run.readouts, device=device, track=track)
