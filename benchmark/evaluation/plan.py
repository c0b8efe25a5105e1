"""`--dry-run`: what would be done, without doing it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TextIO

import soundfile

from earmark.benchmark import synthetic
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shards.dataset import DataError, Dataset, open_dataset
from earmark.benchmark.shards.shard import ShardError, ShardReader
from earmark.encoders import AudioEncoder, clip_dim
from earmark.encoders.device import choose_device, probe_device
from earmark.tasks import TaskSpec

_SAMPLED = 32  # clips a shard whose headers are read for the estimate of hours
_UNKNOWN_FRAMES = 1 << 40  # so many and more are no length
_ROW_OVERHEAD = 60  # bytes a clip in a manifest, about
_PASSES = 400  # over the data, all strengths of a split: 235 to 520 on spoken digits
_RATE_SIZE = 1536


@dataclass(frozen=True)
class TaskPlan:
    """Clips of a task, seconds of audio and items (crops) of them, estimated from a sample."""

    clips: int
    seconds: float
    items: int


def plan_task(spec: TaskSpec, settings: RunSettings) -> TaskPlan:
    """Count a task's clips and estimate its audio. Raises DataError or ShardError."""
    if settings.is_synthetic and not (settings.data_folder / spec.folder).is_dir():
        raise DataError("synthetic audio not made yet; a run would make it first")
    dataset = open_dataset(spec, settings.data_folder, limit=settings.limit)
    return _estimate(dataset)


def _estimate(dataset: Dataset) -> TaskPlan:
    seconds, items = 0.0, 0.0
    crop = dataset.spec.crop_seconds
    for part in dataset.shards:
        entries = [e for e in part.shard.entries if part.keys is None or e.key in part.keys]
        sample = entries[:: max(1, -(-len(entries) // _SAMPLED))]
        durations = []
        with contextlib.closing(ShardReader(part.shard.path)) as reader:
            for entry in sample:
                try:
                    info = soundfile.info(reader.open(entry.audio))
                    if info.frames < _UNKNOWN_FRAMES:  # a header need not state a length
                        durations.append(info.frames / info.samplerate)
                except (soundfile.LibsndfileError, OSError):
                    continue  # a run will count and name it
        if durations:
            share = len(entries) / len(durations)
            seconds += share * sum(durations)
            items += share * sum(max(1, int(d // crop)) if crop else 1 for d in durations)
    return TaskPlan(dataset.clips, seconds, round(items))


def print_plan(
    encoders: Sequence[AudioEncoder],
    specs: Sequence[TaskSpec],
    settings: RunSettings,
    stream: TextIO,
    to_fetch: Collection[str] = (),
) -> bool:
    """Print what each task would take; False where a task could not be planned.

    to_fetch: names of tasks whose data a run would fetch first.
    """
    complete = True
    clips, seconds, stored, operations = 0, 0.0, 0, 0
    heads = ("task", "clips", "items", "hours", "store")
    stream.write(f"{heads[0]:<22}{heads[1]:>9}{heads[2]:>9}{heads[3]:>9}{heads[4]:>12}\n")
    for spec in specs:
        if spec.name in to_fetch:
            stream.write(f"{spec.name:<22}  not there yet; a run would fetch it first\n")
            continue
        try:
            plan = plan_task(spec, settings)
        except (DataError, ShardError) as error:
            stream.write(f"{spec.name:<22}  cannot be planned: {error}\n")
            complete = complete and settings.is_synthetic and synthetic.has_twin(spec.name)
            continue
        bytes_a_task = sum(_stored(spec, plan, encoder) for encoder in encoders)
        clips, seconds, stored = clips + plan.clips, seconds + plan.seconds, stored + bytes_a_task
        operations += sum(probe_operations(spec, plan, encoder) for encoder in encoders)
        stream.write(_line(spec.name, plan.clips, plan.items, plan.seconds, bytes_a_task))
    stream.write(_line("together", clips, None, seconds, stored))
    stream.write(
        f"{len(encoders)} encoder(s): {', '.join(e.name for e in encoders)}; hours and bytes are "
        f"estimates; results to {settings.results}, store in {settings.cache / 'store'}\n"
    )
    if operations:
        rate = product_rate(settings.device)
        stream.write(
            f"linear probes of clips: about {operations / 1e12:.2g} TFLOP, "
            f"{operations / rate:.0f} s at the {rate / 1e9:.0f} GFLOP/s of a matrix product here "
            "(heads on frames, captions and transcripts come on top)\n"
        )
    return complete


def probe_operations(spec: TaskSpec, plan: TaskPlan, encoder: AudioEncoder) -> int:
    """Floating-point operations of the probe of a task of clips with classes, about."""
    if not spec.kind.of_clips:
        return 0
    splits = max(1, len(spec.folds))
    # of one split about half are trained on, of folds all but one
    items = plan.items * (1 - 1 / splits) * splits if spec.folds else plan.items / 2
    return round(4 * items * clip_dim(encoder) * spec.num_classes * _PASSES)


def product_rate(device: str) -> float:
    """Floating-point operations a second of a float32 matrix product on this machine."""
    import torch

    where = probe_device(choose_device(device))
    one = torch.randn(_RATE_SIZE, _RATE_SIZE, device=where)
    float((one @ one).sum())  # the first is slow
    started = time.perf_counter()
    product = one @ one @ one
    float(product.sum())  # a GPU answers before it is done
    return 4 * _RATE_SIZE**3 / (time.perf_counter() - started)


def _stored(spec: TaskSpec, plan: TaskPlan, encoder: AudioEncoder) -> int:
    """Bytes that one encoder's embeddings of a task take."""
    if spec.by_frame:
        values = 2 * plan.seconds * (encoder.frame_rate or 0) * encoder.embedding_dim
    else:
        values = 4 * plan.items * clip_dim(encoder)
    return round(values) + _ROW_OVERHEAD * plan.clips


def _line(name: str, clips: int, items: int | None, seconds: float, stored: int) -> str:
    shown = "" if items is None else str(items)
    return f"{name:<22}{clips:>9}{shown:>9}{seconds / 3600:>9.2f}{stored / 1e6:>9.1f} MB\n"
