"""Audio to embeddings: decode ahead in threads, batch by length, encode, pool, store.

The composition of every batch follows from the shard's content and the settings alone, never from
timing, so that a run that was killed and taken up again computes the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.audio import AudioError, AudioPipeline, Samples
from benchmark.prefetch import prefetch
from benchmark.shards import ClipEntry, Failure, Shard, ShardReader
from benchmark.store import ShardEmbeddings
from encoders import AudioEncoder, EncoderError, Frames

# A window is what is sorted by length before it is cut into batches; larger means less padding.
WINDOW_BATCHES = 4
# How far the number of frames may be off what frame_rate promises: edges of windows, rounding.
FRAME_SLACK = 2.0
FRAME_SLACK_SHARE = 0.02


@dataclass(frozen=True)
class EmbedSettings:
    """How to encode; none of these changes an embedding by more than rounding.

    device: `cpu` or `cuda`. batch_seconds: audio in one batch, padding counted.
    workers: threads that decode and resample while the encoder works.
    """

    device: str = "cpu"
    batch_seconds: float = 120.0
    workers: int = 2


class ShardJob(NamedTuple):
    """One shard to encode, and the keys of its clips to encode (None: all)."""

    shard: Shard
    keys: frozenset[str] | None = None

    @property
    def entries(self) -> list[ClipEntry]:
        return [e for e in self.shard.entries if self.keys is None or e.key in self.keys]


class _Clip(NamedTuple):
    """A decoded clip: its crops, or why there are none."""

    key: str
    crops: list[Samples]
    error: str | None
    passing: bool = False  # the error is not of the file

    @property
    def samples(self) -> int:
        return sum(len(crop) for crop in self.crops)


def embed_shards(
    jobs: Sequence[ShardJob],
    encoder: AudioEncoder,
    pipeline: AudioPipeline,
    settings: EmbedSettings,
    on_clips: Callable[[int, float], None] | None = None,
) -> Iterator[ShardEmbeddings]:
    """Yield each job's embeddings as soon as its shard is encoded, in the order of the jobs.

    on_clips(clips, seconds of audio) is called after every batch. Raises EncoderError where the
    encoder breaks its contract; a clip on which it merely fails is named in `failures`.
    """
    encoder = encoder.to(settings.device)
    budget = max(1, int(settings.batch_seconds * pipeline.sample_rate))
    readers: dict[int, ShardReader] = {}

    def tasks() -> Iterator[tuple[ShardReader, ClipEntry]]:
        for number, job in enumerate(jobs):
            reader = readers[number] = ShardReader(job.shard.path)
            for entry in job.entries:
                yield reader, entry

    def decode(task: tuple[ShardReader, ClipEntry]) -> _Clip:
        reader, entry = task
        try:
            return _Clip(entry.key, pipeline.crops(reader.read(entry.audio)), None)
        except AudioError as error:
            return _Clip(entry.key, [], str(error))
        except (OSError, MemoryError) as error:
            return _Clip(entry.key, [], f"{type(error).__name__}: {error}", passing=True)

    clips = prefetch(
        tasks(),
        decode,
        size=lambda clip: clip.samples,
        budget=budget * WINDOW_BATCHES,
        workers=settings.workers,
    )
    try:
        for number, job in enumerate(jobs):
            collector = _ShardCollector(job, encoder, budget, settings, on_clips)
            for _ in job.entries:
                collector.add(next(clips))
            yield collector.finish()
            # all its clips have been read; a data set may have more shards than a process files
            if number in readers:
                readers.pop(number).close()
    finally:
        clips.close()
        for reader in readers.values():
            reader.close()


@dataclass
class _ShardCollector:
    """Gathers one shard's clips into windows, encodes them, and keeps the rows in order."""

    job: ShardJob
    encoder: AudioEncoder
    budget: int
    settings: EmbedSettings
    on_clips: Callable[[int, float], None] | None
    keys: list[str] = field(default_factory=list)
    rows: list[list[NDArray[np.float32] | None]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    window: list[_Clip] = field(default_factory=list)
    window_samples: int = 0
    seconds: list[float] = field(default_factory=list)
    passing: bool = False

    def add(self, clip: _Clip) -> None:
        if clip.error is not None:
            self.passing = self.passing or clip.passing
            self.failures.append(Failure(self.job.shard.name, clip.key, clip.error))
            self._report(1, 0)
            return
        self.window.append(clip)
        self.window_samples += clip.samples
        if self.window_samples >= self.budget * WINDOW_BATCHES:
            self._encode_window()

    def finish(self) -> ShardEmbeddings:
        self._encode_window()
        flat = [row for rows in self.rows for row in rows if row is not None]
        embeddings = (
            np.stack(flat) if flat else np.zeros((0, self.encoder.embedding_dim), np.float32)
        )
        return ShardEmbeddings(
            embeddings=embeddings,
            keys=self.keys,
            crops=[len(rows) for rows in self.rows],
            failures=sorted(self.failures),
            seconds=self.seconds,
            passing=self.passing,
            made={
                "encoder": self.encoder.name,
                "device": self.settings.device,
                "torch": torch.__version__,
                "batch_seconds": self.settings.batch_seconds,
            },
        )

    def _encode_window(self) -> None:
        crops = [crop for clip in self.window for crop in clip.crops]
        owners = [i for i, clip in enumerate(self.window) for _ in clip.crops]
        rows: list[list[NDArray[np.float32] | None]] = [[] for _ in self.window]
        pooled: dict[int, NDArray[np.float32] | str] = {}
        plan = plan_batches(
            [len(crop) for crop in crops],
            self.budget,
            equal_lengths=not self.encoder.honours_lengths,
        )
        for batch in plan:
            found = _encode_batch(self.encoder, [crops[i] for i in batch], self.settings.device)
            pooled.update(zip(batch, found, strict=True))
            # a clip counts as done with its last crop
            done = sum(1 for i in batch if i + 1 == len(crops) or owners[i + 1] != owners[i])
            self._report(done, sum(len(crops[i]) for i in batch))
        errors: dict[int, str] = {}
        for i, owner in enumerate(owners):
            row = pooled[i]
            if isinstance(row, str):
                errors.setdefault(owner, row)
            else:
                rows[owner].append(row)
        for i, clip in enumerate(self.window):
            if i in errors:
                self.passing = True
                self.failures.append(Failure(self.job.shard.name, clip.key, errors[i]))
                continue
            self.keys.append(clip.key)
            self.rows.append(rows[i])
            self.seconds.append(round(clip.samples / self.encoder.sample_rate, 3))
        self.window, self.window_samples = [], 0

    def _report(self, clips: int, samples: int) -> None:
        if self.on_clips is not None:
            self.on_clips(clips, samples / self.encoder.sample_rate)


def plan_batches(
    lengths: Sequence[int], budget: int, *, equal_lengths: bool = False
) -> list[list[int]]:
    """Indices of `lengths` in batches: similar lengths together, padded size at most `budget`.

    Every index once; shortest first; a batch holds one item at least, however long it is. With
    `equal_lengths` all items of a batch are of exactly the same length.
    """
    batches: list[list[int]] = []
    current: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        longest = lengths[index]
        full = (len(current) + 1) * longest > budget
        other = equal_lengths and bool(current) and lengths[current[0]] != longest
        if current and (full or other):
            batches.append(current)
            current = []
        current.append(index)
    if current:
        batches.append(current)
    return batches


def pool(frames: Frames) -> torch.Tensor:
    """Mean over each clip's valid frames: (B, F, D) with lengths (B,) -> (B, D) float32."""
    values, lengths = frames.values, frames.lengths.to(frames.values.device)
    beyond = torch.arange(values.shape[1], device=values.device) >= lengths[:, None]
    # not a product with a mask: what lies beyond may be NaN
    total = values.float().masked_fill(beyond[:, :, None], 0.0).sum(dim=1)
    return total / lengths[:, None]


def _encode_batch(
    encoder: AudioEncoder, crops: Sequence[Samples], device: str
) -> list[NDArray[np.float32] | str]:
    """Each crop's embedding (D,), or in words why it has none.

    Out of memory on the GPU: the batch is halved. Any other failure: one clip at a time, so that
    only the clip at fault is lost, and it is named.
    """
    try:
        embeddings = _forward(encoder, crops, device)
    except EncoderError:
        raise
    except Exception as error:  # noqa: BLE001 - an encoder may raise anything
        if len(crops) == 1:
            reason = " ".join(str(error).split())[:200]
            return [f"encoder {encoder.name}: {type(error).__name__}: {reason}"]
        torch.cuda.empty_cache()
        halve = isinstance(error, torch.OutOfMemoryError)
        step = (len(crops) + 1) // 2 if halve else 1
        parts = [crops[i : i + step] for i in range(0, len(crops), step)]
        return [row for part in parts for row in _encode_batch(encoder, part, device)]
    finite = [bool(np.isfinite(row).all()) for row in embeddings]
    return [
        row if good else f"encoder {encoder.name}: NaN or infinity in its output"
        for row, good in zip(embeddings, finite, strict=True)
    ]


def _forward(encoder: AudioEncoder, crops: Sequence[Samples], device: str) -> NDArray[np.float32]:
    """(B, D) float32 embeddings of one batch."""
    lengths = torch.tensor([len(crop) for crop in crops])
    waveforms = torch.zeros(len(crops), int(lengths.max()))
    for row, crop in zip(waveforms.numpy(), crops, strict=True):
        row[: len(crop)] = crop
    with torch.inference_mode():
        frames = encoder.encode(waveforms.to(device), lengths.to(device))
        _check_frames(encoder, frames, lengths)
        embeddings: NDArray[np.float32] = pool(frames).cpu().numpy()
    return embeddings


def _check_frames(encoder: AudioEncoder, frames: Frames, lengths: torch.Tensor) -> None:
    """What the encoder claims against what it returned. Raises EncoderError on a breach."""
    who = f"encoder {encoder.name!r}"
    shape = tuple(frames.values.shape)
    if len(shape) != 3 or shape[0] != len(lengths) or shape[2] != encoder.embedding_dim:
        raise EncoderError(
            f"{who} returned values of shape {shape}; expected ({len(lengths)}, F, "
            f"{encoder.embedding_dim}), by its embedding_dim"
        )
    got = frames.lengths.cpu()
    if got.shape != lengths.shape or not bool(((got >= 1) & (got <= shape[1])).all()):
        raise EncoderError(
            f"{who} returned frame lengths {got.tolist()[:8]} for {shape[1]} frames; each clip "
            "needs its own, from 1 up to the number of frames"
        )
    expected = lengths.double() / encoder.sample_rate * encoder.frame_rate
    off = (got.double() - expected).abs() - (FRAME_SLACK + FRAME_SLACK_SHARE * expected)
    worst = int(off.argmax())
    if off[worst] > 0:
        seconds = float(lengths[worst]) / encoder.sample_rate
        raise EncoderError(
            f"{who} claims {encoder.frame_rate:g} frames a second but returned {int(got[worst])} "
            f"for {seconds:.2f} s; correct its frame_rate or its lengths"
        )


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
