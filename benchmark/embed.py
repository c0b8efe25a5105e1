"""Audio to embeddings: decode ahead in threads, batch by length, encode, keep in order.

The composition of every batch follows from the shard's content and the settings alone, never from
timing, so that a run that was killed and taken up again computes the same bits.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.audio import AudioError, AudioPipeline, Samples, cut
from benchmark.batches import Encoded, Unfit, Want, encode_batch, plan_batches
from benchmark.prefetch import prefetch
from benchmark.shards import ClipEntry, Failure, Shard, ShardReader
from benchmark.store import ShardEmbeddings
from encoders import AudioEncoder, EncoderError

# A window is what is sorted by length before it is cut into batches; larger means less padding.
WINDOW_BATCHES = 4
# Files larger than this are decoded one at a time, so that memory does not grow with the cores.
_LARGE_FILE = 32 << 20


@dataclass(frozen=True)
class EmbedSettings:
    """How to encode; none of these changes an embedding by more than rounding.

    device: `cpu` or `cuda`. batch_seconds: audio in one batch, padding counted.
    workers: threads that decode and resample while the encoder works.
    spill: folder for frames until their shard is done; None: the system's.
    """

    device: str = "cpu"
    batch_seconds: float = 120.0
    workers: int = 2
    spill: Path | None = None


class View(NamedTuple):
    """One way to embed clips: by which encoder, of which crops, the mean or the frames."""

    encoder: AudioEncoder
    pipeline: AudioPipeline
    frames: bool = False


class ShardJob(NamedTuple):
    """One shard to encode, in which ways, and the keys of its clips to encode (None: all)."""

    shard: Shard
    views: tuple[View, ...]
    keys: frozenset[str] | None = None

    @property
    def entries(self) -> list[ClipEntry]:
        return [e for e in self.shard.entries if self.keys is None or e.key in self.keys]


class _Clip(NamedTuple):
    """A decoded clip, or why there is none. seconds: its own length, before resampling."""

    key: str
    samples: Samples
    seconds: float
    error: str | None
    passing: bool = False  # the error is not of the file


def embed_shards(
    jobs: Sequence[ShardJob],
    settings: EmbedSettings,
    on_clips: Callable[[int, float], None] | None = None,
) -> Iterator[list[ShardEmbeddings]]:
    """Yield each job's embeddings, one a view, as soon as its shard is encoded, in order.

    Every clip is decoded once for all views; views of equal crops whose encoders share a forward
    pass take one. All pipelines must have the same sample rate. on_clips(clips, seconds of audio)
    is called after every batch. Raises EncoderError where an encoder breaks its contract; a clip
    on which it merely fails is named in `failures`.
    """
    if not jobs:
        return
    rates = {view.pipeline.sample_rate for job in jobs for view in job.views}
    (rate,) = rates
    for encoder in {view.encoder for job in jobs for view in job.views}:
        encoder.to(settings.device)
    decoder = AudioPipeline(rate)
    budget = max(1, int(settings.batch_seconds * rate))
    readers: dict[int, ShardReader] = {}
    one_at_a_time = threading.Lock()

    def tasks() -> Iterator[tuple[ShardReader, ClipEntry]]:
        for number, job in enumerate(jobs):
            reader = readers[number] = ShardReader(job.shard.path)
            for entry in job.entries:
                yield reader, entry

    def decode(task: tuple[ShardReader, ClipEntry]) -> _Clip:
        reader, entry = task
        if entry.audio.size > _LARGE_FILE:
            with one_at_a_time:
                return _decode(decoder, reader, entry)
        return _decode(decoder, reader, entry)

    clips = prefetch(
        tasks(),
        decode,
        size=lambda clip: len(clip.samples),
        budget=budget * WINDOW_BATCHES,
        workers=settings.workers,
    )
    try:
        for number, job in enumerate(jobs):
            collectors = _collectors(job, budget, settings, on_clips)
            for _ in job.entries:
                clip = next(clips)
                for collector in collectors:
                    collector.add(clip)
            made = {
                view: entry
                for collector in collectors
                for view, entry in collector.finish().items()
            }
            yield [made[view] for view in job.views]
            # all its clips have been read; a data set may have more shards than a process files
            if number in readers:
                readers.pop(number).close()
    finally:
        clips.close()
        for reader in readers.values():
            reader.close()


def _decode(decoder: AudioPipeline, reader: ShardReader, entry: ClipEntry) -> _Clip:
    nothing = np.zeros(0, np.float32)
    try:
        samples, seconds = decoder.load(reader.read(entry.audio))
        return _Clip(entry.key, samples, seconds, None)
    except AudioError as error:
        return _Clip(entry.key, nothing, 0.0, str(error))
    except (OSError, MemoryError) as error:
        return _Clip(entry.key, nothing, 0.0, f"{type(error).__name__}: {error}", passing=True)


def _collectors(
    job: ShardJob,
    budget: int,
    settings: EmbedSettings,
    on_clips: Callable[[int, float], None] | None,
) -> list[_Collector]:
    """One for each length of crop; the first of them reports."""
    by_crop: dict[AudioPipeline, list[View]] = {}
    for view in dict.fromkeys(job.views):
        by_crop.setdefault(view.pipeline, []).append(view)
    return [
        _Collector(
            job.shard.name, pipeline, [_Gathered(view, settings) for view in views], budget,
            settings.device, on_clips if number == 0 else None,
        )
        for number, (pipeline, views) in enumerate(by_crop.items())
    ]  # fmt: skip


@dataclass
class _Collector:
    """Gathers one shard's clips into windows and encodes them, for all views of equal crops."""

    shard: str
    pipeline: AudioPipeline
    gathered: list[_Gathered]
    budget: int
    device: str
    on_clips: Callable[[int, float], None] | None
    window: list[_Clip] = field(default_factory=list)
    window_samples: int = 0

    def add(self, clip: _Clip) -> None:
        if clip.error is not None:
            for one in self.gathered:
                one.fail(Failure(self.shard, clip.key, clip.error), passing=clip.passing)
            self._report(1, 0)
            return
        self.window.append(clip)
        self.window_samples += len(clip.samples)
        if self.window_samples >= self.budget * WINDOW_BATCHES:
            self._encode_window()

    def finish(self) -> dict[View, ShardEmbeddings]:
        self._encode_window()
        return {one.view: one.finish() for one in self.gathered}

    def _encode_window(self) -> None:
        by_clip = [cut(clip.samples, self.pipeline.crop_samples) for clip in self.window]
        crops = [crop for own in by_clip for crop in own]
        owners = [i for i, own in enumerate(by_clip) for _ in own]
        wants = [Want(one.view.encoder, one.view.frames) for one in self.gathered]
        equal = not all(want.encoder.honours_lengths for want in wants)
        found: dict[int, list[Encoded]] = {}
        for batch in plan_batches([len(crop) for crop in crops], self.budget, equal_lengths=equal):
            made = encode_batch(wants, [crops[i] for i in batch], self.device)
            found.update(zip(batch, made, strict=True))
            # a clip counts as done with its last crop
            done = sum(1 for i in batch if i + 1 == len(crops) or owners[i + 1] != owners[i])
            self._report(done, sum(len(crops[i]) for i in batch))
        for column, one in enumerate(self.gathered):
            rows: list[list[Encoded]] = [[] for _ in self.window]
            for i, owner in enumerate(owners):
                rows[owner].append(found[i][column])
            for clip, own in zip(self.window, rows, strict=True):
                errors = [row for row in own if isinstance(row, str)]
                if errors:
                    passing = not isinstance(errors[0], Unfit)
                    one.fail(Failure(self.shard, clip.key, str(errors[0])), passing=passing)
                else:
                    kept = sum(len(crop) for crop in cut(clip.samples, self.pipeline.crop_samples))
                    one.add(clip, own, kept)
        self.window, self.window_samples = [], 0

    def _report(self, clips: int, samples: int) -> None:
        if self.on_clips is not None:
            self.on_clips(clips, samples / self.pipeline.sample_rate)


class _Gathered:
    """One view of a shard as it grows, clips in the order of their keys; frames go to the disk."""

    def __init__(self, view: View, settings: EmbedSettings) -> None:
        self.view, self.settings = view, settings
        self.rows: list[NDArray[np.float32]] = []
        self.spilled: IO[bytes] | None = None
        if view.frames:
            if settings.spill is not None:
                settings.spill.mkdir(parents=True, exist_ok=True)
            self.spilled = tempfile.TemporaryFile(dir=settings.spill)  # noqa: SIM115
        self.keys: list[str] = []
        self.crops: list[int] = []
        self.frames: list[int] = []
        self.seconds: list[float] = []
        self.failures: list[Failure] = []
        self.passing = False

    def fail(self, failure: Failure, *, passing: bool) -> None:
        self.passing = self.passing or passing
        self.failures.append(failure)

    def add(self, clip: _Clip, rows: Sequence[Encoded], samples: int) -> None:
        """rows: one a crop. samples: in all its crops."""
        self.keys.append(clip.key)
        self.crops.append(len(rows))
        for row in rows:
            if self.spilled is None:
                self.rows.append(np.asarray(row, np.float32))
            else:
                self.frames.append(len(row))
                self.spilled.write(np.asarray(row, np.float16).tobytes())
        encoded = samples / self.view.pipeline.sample_rate
        # by frame the file's own length, which is the same for encoders of any sample rate
        self.seconds.append(round(encoded, 3) if self.spilled is None else clip.seconds)

    def finish(self) -> ShardEmbeddings:
        return ShardEmbeddings(
            embeddings=self._matrix(),
            keys=self.keys,
            crops=self.crops,
            frames=None if self.spilled is None else self.frames,
            failures=sorted(self.failures),
            seconds=self.seconds,
            passing=self.passing,
            made={
                "encoder": self.view.encoder.name,
                "device": self.settings.device,
                "torch": torch.__version__,
                "batch_seconds": self.settings.batch_seconds,
            },
        )

    def _matrix(self) -> NDArray[np.float32] | NDArray[np.float16]:
        dimension = self.view.encoder.embedding_dim
        if self.spilled is None:
            return np.stack(self.rows) if self.rows else np.zeros((0, dimension), np.float32)
        if not self.frames:
            return np.zeros((0, dimension), np.float16)
        self.spilled.flush()
        return np.memmap(self.spilled, np.float16, "r", shape=(sum(self.frames), dimension))


def clip_count(jobs: Iterable[ShardJob]) -> int:
    """Clips that embedding these jobs will go through."""
    return sum(len(job.entries) for job in jobs)


def parameter_count(encoder: AudioEncoder) -> int:
    """Number of the encoder's weights."""
    return sum(parameter.numel() for parameter in encoder.parameters())


def choose_device(wanted: str) -> str:
    """`auto` -> `cuda` where there is a GPU, else `cpu`; others as they are."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise EncoderError("device cuda: torch finds no GPU here; use --device cpu")
    return wanted
