"""One shard's clips on their way through encoders: gathered into batches, pooled, kept in order."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.audio.decode import Samples
from earmark.benchmark.audio.pipeline import AudioPipeline, cut
from earmark.benchmark.embedding.batches import (
    Encoded,
    Unfit,
    Want,
    encode_batch,
    encode_batches,
    plan_batches,
)
from earmark.benchmark.settings import BATCH_SECONDS
from earmark.benchmark.shards.shard import Failure
from earmark.benchmark.store import ShardEmbeddings
from earmark.encoders import AudioEncoder

# A window is what is sorted by length before it is cut into batches; larger means less padding.
WINDOW_BATCHES = 4


@dataclass(frozen=True)
class EmbedSettings:
    """How to encode; none of these changes an embedding by more than rounding.

    device: `cpu`, `cuda`, `cuda:1` or `mps`. batch_seconds: audio in one batch, padding counted.
    workers: threads that decode and resample while the encoder works.
    spill: folder for frames until their shard is done; None: the system's.
    """

    device: str = "cpu"
    batch_seconds: float = BATCH_SECONDS
    workers: int = 2
    spill: Path | None = None


class FileOrder(NamedTuple):
    """Batches of so many crops as they follow each other in the shard's file, without lengths.

    All are zero-padded to the longest of the batch (one shorter than a crop to the crop), and the
    frames of the padding are kept. first_crop_only: of a clip's crops in one batch only the first
    is kept. A batch ends with its shard.
    """

    size: int
    first_crop_only: bool


class EmbeddingRequest(NamedTuple):
    """One way to embed clips: by which encoder, of which crops, the mean or the frames.

    file_order: None: batches by length, and padding never reaches a mean or a frame.
    """

    encoder: AudioEncoder
    pipeline: AudioPipeline
    frames: bool = False
    file_order: FileOrder | None = None


class DecodedClip(NamedTuple):
    """A decoded clip, or why there is none. seconds: its own length, before resampling."""

    key: str
    samples: Samples
    seconds: float
    error: str | None
    transient: bool = False  # the error is not of the file


OnAdvance = Callable[[int, float], None]  # clips, seconds of audio


def make_collectors(
    shard: str,
    requests: Sequence[EmbeddingRequest],
    budget: int,
    settings: EmbedSettings,
    on_advance: OnAdvance | None,
) -> list[Collector]:
    """One for all requests of equal crops and batches; the first of them reports.

    budget: samples in a batch by length.
    """
    alike: dict[tuple[AudioPipeline, FileOrder | None], list[EmbeddingRequest]] = {}
    for request in dict.fromkeys(requests):
        alike.setdefault((request.pipeline, request.file_order), []).append(request)
    made: list[Collector] = []
    for (pipeline, order), own in alike.items():
        gathered = [_Gathered(request, settings) for request in own]
        common = (shard, pipeline, gathered, settings.device, None if made else on_advance)
        made.append(
            _ByLength(*common, budget=budget) if order is None else _InFileOrder(*common, order)
        )
    return made


@dataclass
class Collector(ABC):
    """Gathers one shard's clips and encodes them, for all requests of equal crops and batches."""

    shard: str
    pipeline: AudioPipeline
    gathered: list[_Gathered]
    device: str
    on_advance: OnAdvance | None

    def add(self, clip: DecodedClip) -> None:
        """The next clip."""
        if clip.error is not None:
            for one in self.gathered:
                one.fail(Failure(self.shard, clip.key, clip.error), transient=clip.transient)
            self._report(1, 0)
            return
        self._take(clip)

    def finish(self) -> dict[EmbeddingRequest, ShardEmbeddings]:
        """Encode what is left, and return what each request holds of the shard."""
        self._flush()
        return {one.request: one.finish() for one in self.gathered}

    @abstractmethod
    def _take(self, clip: DecodedClip) -> None: ...

    @abstractmethod
    def _flush(self) -> None: ...

    @property
    def _wants(self) -> list[Want]:
        return [
            # padded frames have a mean that a protocol defines, and no other statistics
            Want(one.request.encoder, one.request.frames, one.request.file_order is None)
            for one in self.gathered
        ]

    def _keep(self, clip: DecodedClip, rows: list[list[Encoded]], samples: int) -> None:
        """What was made of a clip: for each of its crops one element a request."""
        for column, one in enumerate(self.gathered):
            own = [row[column] for row in rows]
            errors = [row for row in own if isinstance(row, str)]
            if errors:
                transient = not isinstance(errors[0], Unfit)
                one.fail(Failure(self.shard, clip.key, str(errors[0])), transient=transient)
            else:
                one.add(clip, own, samples)

    def _report(self, clips: int, samples: int) -> None:
        if self.on_advance is not None:
            self.on_advance(clips, samples / self.pipeline.sample_rate)


@dataclass
class _ByLength(Collector):
    """Batches of similar length, cut from windows of several batches."""

    budget: int
    window: list[DecodedClip] = field(default_factory=list)
    window_samples: int = 0

    def _take(self, clip: DecodedClip) -> None:
        self.window.append(clip)
        self.window_samples += len(clip.samples)
        if self.window_samples >= self.budget * WINDOW_BATCHES:
            self._flush()

    def _flush(self) -> None:
        by_clip = [cut(clip.samples, self.pipeline.crop_samples) for clip in self.window]
        crops = [crop for own in by_clip for crop in own]
        owners = [i for i, own in enumerate(by_clip) for _ in own]
        wants = self._wants
        equal = not all(want.encoder.honours_lengths for want in wants)
        found: dict[int, list[Encoded]] = {}
        lengths = [len(crop) for crop in crops]
        batches = plan_batches(lengths, self.budget, equal_lengths=equal)
        own_crops = [[crops[i] for i in batch] for batch in batches]
        # a CPU that pads would not encode meanwhile; a GPU would wait
        encoded = encode_batches(wants, own_crops, self.device, ahead=self.device != "cpu")
        for batch, made in zip(batches, encoded, strict=True):
            found.update(zip(batch, made, strict=True))
            # a clip counts as done with its last crop
            done = sum(1 for i in batch if i + 1 == len(crops) or owners[i + 1] != owners[i])
            self._report(done, sum(len(crops[i]) for i in batch))
        rows: list[list[list[Encoded]]] = [[] for _ in self.window]
        for i, owner in enumerate(owners):
            rows[owner].append(found[i])
        for clip, own, kept in zip(self.window, rows, by_clip, strict=True):
            self._keep(clip, own, sum(len(crop) for crop in kept))
        self.window, self.window_samples = [], 0


@dataclass
class _InFileOrder(Collector):
    """Batches as `FileOrder` has them."""

    order: FileOrder
    batch: list[tuple[DecodedClip, Samples, bool]] = field(default_factory=list)  # last of its clip
    rows: list[list[Encoded]] = field(default_factory=list)  # of the clip that is not done
    samples: int = 0  # in those rows

    def _take(self, clip: DecodedClip) -> None:
        crops = cut(clip.samples, self.pipeline.crop_samples)
        for number, crop in enumerate(crops, start=1):
            self.batch.append((clip, crop, number == len(crops)))
            if len(self.batch) == self.order.size:
                self._flush()

    def _flush(self) -> None:
        if not self.batch:
            return
        longest = max(len(crop) for _, crop, _ in self.batch)
        longest = max(longest, self.pipeline.crop_samples or 0)
        padded = [np.pad(crop, (0, longest - len(crop))) for _, crop, _ in self.batch]
        made = encode_batch(self._wants, padded, self.device)
        before = ""
        for (clip, crop, last), row in zip(self.batch, made, strict=True):
            if clip.key != before or not self.order.first_crop_only:
                self.rows.append(row)
                self.samples += len(crop)
            before = clip.key
            if last:
                self._keep(clip, self.rows, self.samples)
                self.rows, self.samples = [], 0
        self._report(sum(last for _, _, last in self.batch), len(padded) * longest)
        self.batch = []


class _Gathered:
    """One request of a shard as it grows, clips as they come; frames go to the disk."""

    def __init__(self, request: EmbeddingRequest, settings: EmbedSettings) -> None:
        self.request, self.settings = request, settings
        self.rows: list[NDArray[np.float32]] = []
        self.spilled: IO[bytes] | None = None
        if request.frames:
            if settings.spill is not None:
                settings.spill.mkdir(parents=True, exist_ok=True)
            self.spilled = tempfile.TemporaryFile(dir=settings.spill)  # noqa: SIM115
        self.keys: list[str] = []
        self.crops: list[int] = []
        self.frames: list[int] = []
        self.seconds: list[float] = []
        self.failures: list[Failure] = []
        self.transient = False

    def fail(self, failure: Failure, *, transient: bool) -> None:
        self.transient = self.transient or transient
        self.failures.append(failure)

    def add(self, clip: DecodedClip, rows: Sequence[Encoded], samples: int) -> None:
        """rows: one a crop. samples: in all its crops."""
        self.keys.append(clip.key)
        self.crops.append(len(rows))
        for row in rows:
            if self.spilled is None:
                self.rows.append(np.asarray(row, np.float32))
            else:
                self.frames.append(len(row))
                self.spilled.write(np.asarray(row, np.float16).tobytes())
        encoded = samples / self.request.pipeline.sample_rate
        # by frame the file's own length, which is the same for encoders of any sample rate
        self.seconds.append(round(encoded, 3) if self.spilled is None else clip.seconds)

    def finish(self) -> ShardEmbeddings:
        embeddings, spread = self._matrices()
        return ShardEmbeddings(
            embeddings=embeddings,
            spread=spread,
            keys=self.keys,
            crops=self.crops,
            frames=None if self.spilled is None else self.frames,
            failures=sorted(self.failures),
            seconds=self.seconds,
            transient=self.transient,
            made={
                "encoder": self.request.encoder.name,
                "device": self.settings.device,
                "torch": torch.__version__,
                "batch_seconds": self.settings.batch_seconds,
            },
        )

    def _matrices(
        self,
    ) -> tuple[NDArray[np.float32] | NDArray[np.float16], NDArray[np.float32] | None]:
        """Means (N, D) with deviations and maxima (N, 2, D); or frames (F, D) with None."""
        dimension = self.request.encoder.embedding_dim
        if self.spilled is None:
            count = 3 if self.request.file_order is None else 1
            empty = np.zeros((0, count, dimension), np.float32)
            rows: NDArray[np.float32] = np.stack(self.rows) if self.rows else empty
            spread = np.ascontiguousarray(rows[:, 1:]) if count == 3 else None
            return np.ascontiguousarray(rows[:, 0]), spread
        if not self.frames:
            return np.zeros((0, dimension), np.float16), None
        self.spilled.flush()
        frames = np.memmap(self.spilled, np.float16, "r", shape=(sum(self.frames), dimension))
        return frames, None
