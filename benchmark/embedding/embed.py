"""Audio to embeddings: decode ahead in threads, batch by length, encode, keep in order.

The composition of every batch follows from the shard's content and the settings alone, never from
timing, so that a run that was killed and taken up again computes the same bits.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from earmark.benchmark.audio.containers import wav_without_size
from earmark.benchmark.audio.decode import AudioError
from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.audio.prefetch import prefetch
from earmark.benchmark.embedding.collectors import (
    WINDOW_BATCHES,
    DecodedClip,
    EmbeddingRequest,
    EmbedSettings,
    make_collectors,
)
from earmark.benchmark.shards.shard import ClipEntry, Shard, ShardReader
from earmark.benchmark.store import ShardEmbeddings

# Files larger than this are decoded one at a time, so that memory does not grow with the cores.
_LARGE_FILE = 32 << 20


class ShardJob(NamedTuple):
    """One shard to encode, in which ways, and the keys of its clips to encode (None: all)."""

    shard: Shard
    requests: tuple[EmbeddingRequest, ...]
    keys: frozenset[str] | None = None

    @property
    def entries(self) -> list[ClipEntry]:
        """By key; as they lie in the file where a request's batches follow that."""
        chosen = [e for e in self.shard.entries if self.keys is None or e.key in self.keys]
        if any(request.file_order is not None for request in self.requests):
            chosen.sort(key=lambda entry: entry.audio.offset)
        return chosen


def embed_shards(
    jobs: Sequence[ShardJob],
    settings: EmbedSettings,
    on_advance: Callable[[int, float], None] | None = None,
) -> Iterator[list[ShardEmbeddings]]:
    """Yield each job's embeddings, one a request, as soon as its shard is encoded, in order.

    Every clip is decoded once for all requests; those of equal crops whose encoders share a forward
    pass take one. All pipelines must decode alike. on_advance(clips, seconds of audio)
    is called after every batch. Raises EncoderError where an encoder breaks its contract; a clip
    on which it merely fails is named in `failures`.
    """
    if not jobs:
        return
    whole = {replace(v.pipeline, crop_seconds=None) for job in jobs for v in job.requests}
    (decoder,) = whole
    for encoder in {request.encoder for job in jobs for request in job.requests}:
        encoder.to(settings.device)
    budget = max(1, int(settings.batch_seconds * decoder.sample_rate))
    readers: dict[int, ShardReader] = {}
    one_at_a_time = threading.Lock()
    said = threading.Event()

    def tasks() -> Iterator[tuple[ShardReader, ClipEntry]]:
        for number, job in enumerate(jobs):
            reader = readers[number] = ShardReader(job.shard.path)
            for entry in job.entries:
                yield reader, entry

    def decode(task: tuple[ShardReader, ClipEntry]) -> DecodedClip:
        reader, entry = task
        if entry.audio.size > _LARGE_FILE:
            with one_at_a_time:
                return _decode(decoder, reader, entry, said)
        return _decode(decoder, reader, entry, said)

    clips = prefetch(
        tasks(),
        decode,
        size=lambda clip: len(clip.samples),
        budget=budget * WINDOW_BATCHES,
        workers=settings.workers,
    )
    try:
        for number, job in enumerate(jobs):
            collectors = make_collectors(job.shard.name, job.requests, budget, settings, on_advance)
            for _ in job.entries:
                clip = next(clips)
                for collector in collectors:
                    collector.add(clip)
            made = {
                request: entry
                for collector in collectors
                for request, entry in collector.finish().items()
            }
            yield [made[request] for request in job.requests]
            # all its clips have been read; a data set may have more shards than a process files
            if number in readers:
                readers.pop(number).close()
    finally:
        clips.close()
        for reader in readers.values():
            reader.close()


def _decode(
    decoder: AudioPipeline, reader: ShardReader, entry: ClipEntry, said: threading.Event
) -> DecodedClip:
    nothing = np.zeros(0, np.float32)
    try:
        data = reader.read(entry.audio)
        if wav_without_size(data) is not None and not said.is_set():
            said.set()
            with contextlib.suppress(OSError):  # nobody reads it any more
                sys.stderr.write(
                    f"{reader.path.name}/{entry.key}: a WAV that states 0 bytes of samples (a "
                    "recorder that died?) is read to its end; so are others\n"
                )
        samples, seconds = decoder.load(data)
        return DecodedClip(entry.key, samples, seconds, None)
    except AudioError as error:
        return DecodedClip(entry.key, nothing, 0.0, str(error))
    except (OSError, MemoryError) as error:
        return DecodedClip(
            entry.key, nothing, 0.0, f"{type(error).__name__}: {error}", transient=True
        )


def clip_count(jobs: Iterable[ShardJob]) -> int:
    """Clips that embedding these jobs will go through."""
    return sum(len(job.entries) for job in jobs)
