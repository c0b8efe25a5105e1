"""What may be asked for beside a cell's scores: label efficiency, readouts, windows of frames.

Both are added to a result that is there already without computing its scores again.
"""

from __future__ import annotations

from earmark.benchmark import readouts
from earmark.benchmark.io.progress import ProgressFactory
from earmark.benchmark.probe.items import Items
from earmark.benchmark.result.schema import RunResult
from earmark.benchmark.score import add_shots
from earmark.benchmark.score.readouts import add_readouts
from earmark.benchmark.score.windows import WAYS, add_windows
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shots import METRICS, has_all
from earmark.encoders.device import probe_device
from earmark.tasks import TaskSpec


def wants_spread(spec: TaskSpec, run: RunSettings) -> bool:
    """Whether a task's items need deviation and maximum beside the mean."""
    return spec.metric in METRICS and len(readouts_of(spec, run)) > 1


def readouts_of(spec: TaskSpec, run: RunSettings) -> tuple[str, ...]:
    """Those asked for that a task has."""
    if spec.metric in METRICS:
        return readouts.clip_readouts(run.readouts)
    return readouts.windows_of(run.readouts) if has_windows(spec) else ()


def has_windows(spec: TaskSpec) -> bool:
    """Whether a task is scored by frames, so that windows of them are its readouts."""
    return spec.label.kind in WAYS


def is_complete(result: RunResult, spec: TaskSpec, run: RunSettings) -> bool:
    """Whether a result holds what is asked for beside its scores."""
    linear = result.scores["linear"]
    if not readouts.has_all(linear.readouts, readouts_of(spec, run)):
        return False
    return spec.metric not in METRICS or has_all(linear.shots, run.shots)


def complete(
    result: RunResult, items: Items, spec: TaskSpec, run: RunSettings, track: ProgressFactory
) -> None:
    """Compute what a result lacks of what is asked for."""
    linear, protocol = result.scores["linear"], run.protocol.for_task(spec)
    device, by_class = probe_device(run.device), spec.metric in METRICS
    if by_class and not has_all(linear.shots, run.shots):
        add_shots(linear, items, spec, protocol, run.shots, device=device, track=track)
    asked = readouts_of(spec, run)
    if readouts.has_all(linear.readouts, asked):
        return
    if by_class:
        add_readouts(linear, items, spec, protocol, asked, device=device, track=track)
    else:
        add_windows(
            linear, items, spec, protocol, asked, frame_rate=result.encoder.frame_rate or 0.0,
            device=device, track=track,
        )  # fmt: skip
