"""One shard's clips on their way through encoders: gathered into batches, pooled, kept in order."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

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
    join,
    plan_batches,
)
from earmark.benchmark.embedding.clock import EmbeddingClock
from earmark.benchmark.embedding.windows import Limits, Piece, limits_of, pieces_of
from earmark.benchmark.settings import BATCH_SECONDS
from earmark.benchmark.shards.shard import Failure
from earmark.benchmark.store import ShardEmbeddings
from earmark.encoders import AudioEncoder, clip_dim

# A window is what is sorted by length before it is cut into batches; larger means less padding.
WINDOW_BATCHES = 4
# What an entry's `made` counts of clips that an encoder does not take as they are.
PADDED, CUT = "padded_clips", "cut_clips"


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
    alike: dict[tuple[AudioPipeline, FileOrder | None, Limits], list[EmbeddingRequest]] = {}
    for request in dict.fromkeys(requests):
        limits = limits_of(request.encoder)
        alike.setdefault((request.pipeline, request.file_order, limits), []).append(request)
    made: list[Collector] = []
    for (pipeline, order, limits), own in alike.items():
        gathered = [_Gathered(request, settings) for request in own]
        common = (shard, pipeline, limits, gathered, settings.device, None if made else on_advance)
        made.append(
            _ByLength(*common, budget=budget) if order is None else _InFileOrder(*common, order)
        )
    return made


@dataclass
class Collector(ABC):
    """Gathers one shard's clips and encodes them, for all requests of equal crops and batches.

    limits: of the encoders; crops are given to them in pieces.
    """

    shard: str
    pipeline: AudioPipeline
    limits: Limits
    gathered: list[_Gathered]
    device: str
    on_advance: OnAdvance | None
    clock: EmbeddingClock = field(default_factory=EmbeddingClock, init=False)

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
        facts = self.clock.facts(self.pipeline.sample_rate, self.device)
        return {one.request: one.finish(facts) for one in self.gathered}

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

    def _pieces(self, crop: Samples) -> list[Piece]:
        return pieces_of(crop, self.limits)

    def _joined(self, made: Sequence[list[Encoded]], pieces: Sequence[Piece]) -> list[Encoded]:
        """What was wanted of a crop, of what was made of each of its pieces."""
        return [join(want, parts, pieces) for want, *parts in zip(self._wants, *made, strict=True)]

    def _keep(
        self, clip: DecodedClip, rows: list[list[Encoded]], samples: int, crops: list[list[Piece]]
    ) -> None:
        """What was made of a clip: for each of its crops one element a request."""
        for column, one in enumerate(self.gathered):
            own = [row[column] for row in rows]
            errors = [row for row in own if isinstance(row, str)]
            if errors:
                transient = not isinstance(errors[0], Unfit)
                one.fail(Failure(self.shard, clip.key, str(errors[0])), transient=transient)
            else:
                one.add(clip, own, samples)
                one.note(crops)

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
        by_clip = [
            [self._pieces(crop) for crop in cut(clip.samples, self.pipeline.crop_samples)]
            for clip in self.window
        ]
        owners, pieces = [], []
        for number, crops in enumerate(by_clip):
            own = [piece for crop in crops for piece in crop]
            pieces += own
            owners += [number] * len(own)
        made = iter(self._encoded(pieces, owners))
        for clip, crops in zip(self.window, by_clip, strict=True):
            rows = [self._joined([next(made) for _ in crop], crop) for crop in crops]
            samples = sum(len(piece.samples) for crop in crops for piece in crop)
            self._keep(clip, rows, samples, crops)
        self.window, self.window_samples = [], 0

    def _encoded(self, pieces: Sequence[Piece], owners: Sequence[int]) -> list[list[Encoded]]:
        """What was made of each piece, one element a request. owners: the number of its clip."""
        wants = self._wants
        equal = not all(want.encoder.honours_lengths for want in wants)
        lengths = [piece.length for piece in pieces]
        batches = plan_batches(lengths, self.budget, equal_lengths=equal)
        own_pieces = [[pieces[i] for i in batch] for batch in batches]
        # a CPU that pads would not encode meanwhile; a GPU would wait
        encoded = encode_batches(wants, own_pieces, self.device, ahead=self.device != "cpu")
        found: dict[int, list[Encoded]] = {}
        for batch, made in zip(batches, self.clock.over(encoded), strict=True):
            found.update(zip(batch, made, strict=True))
            # a clip counts as done with its last piece
            done = sum(1 for i in batch if i + 1 == len(pieces) or owners[i + 1] != owners[i])
            samples = sum(len(pieces[i].samples) for i in batch)
            self.clock.samples += samples
            self._report(done, samples)
        return [found[i] for i in range(len(pieces))]


@dataclass
class _InFileOrder(Collector):
    """Batches as `FileOrder` has them."""

    order: FileOrder
    batch: list[tuple[DecodedClip, Samples, bool]] = field(default_factory=list)  # last of its clip
    rows: list[list[Encoded]] = field(default_factory=list)  # of the clip that is not done
    samples: int = 0  # in those rows
    pieces: list[list[Piece]] = field(default_factory=list)  # of which those are

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
        pieces = [self._pieces(crop) for crop in padded]
        # as they are of one length, so are their first pieces, their second, ...
        encoded = (
            encode_batch(self._wants, turn, self.device) for turn in zip(*pieces, strict=True)
        )
        turns = list(self.clock.over(encoded))
        self.clock.samples += sum(len(crop) for _, crop, _ in self.batch)
        made = [
            self._joined(parts, own)
            for parts, own in zip(zip(*turns, strict=True), pieces, strict=True)
        ]
        before = ""
        for (clip, crop, last), row, own in zip(self.batch, made, pieces, strict=True):
            if clip.key != before or not self.order.first_crop_only:
                self.rows.append(row)
                self.pieces.append(own)
                self.samples += len(crop)
            before = clip.key
            if last:
                self._keep(clip, self.rows, self.samples, self.pieces)
                self.rows, self.samples, self.pieces = [], 0, []
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
        self.fitted = (
            dict.fromkeys((PADDED, CUT), 0) if limits_of(request.encoder) != Limits() else {}
        )

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

    def note(self, crops: Sequence[Sequence[Piece]]) -> None:
        """Count a clip of these pieces where the encoder does not take it as it is."""
        if self.fitted:
            self.fitted[CUT] += any(len(pieces) > 1 for pieces in crops)
            self.fitted[PADDED] += any(len(pieces) == 1 and pieces[0].is_padded for pieces in crops)

    def finish(self, speed: dict[str, Any]) -> ShardEmbeddings:
        """What the shard gave. speed: how long it took, as `EmbeddingClock.facts` has it."""
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
                **self.fitted,
            },
            speed=speed,
        )

    def _matrices(
        self,
    ) -> tuple[NDArray[np.float32] | NDArray[np.float16], NDArray[np.float32] | None]:
        """Means (N, D) with deviations and maxima (N, 2, D); or frames (F, D) with None."""
        encoder = self.request.encoder
        dimension = encoder.embedding_dim if self.request.frames else clip_dim(encoder)
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
