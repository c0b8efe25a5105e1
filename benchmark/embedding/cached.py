"""Embeddings on demand: from the store where they are, else encoded now and stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.embedding.collectors import EmbeddingRequest, EmbedSettings, FileOrder
from earmark.benchmark.embedding.embed import ShardJob, clip_count, embed_shards
from earmark.benchmark.embedding.windows import FITTING, limits_of
from earmark.benchmark.io.progress import Progress
from earmark.benchmark.protocol import STRICT, Protocol
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shards.dataset import DataError, Dataset, DatasetShard
from earmark.benchmark.shards.shard import shard_digest
from earmark.benchmark.store import EmbeddingStore, ShardEmbeddings
from earmark.encoders import AudioEncoder
from earmark.encoders.device import device_kind
from earmark.tasks import TaskSpec


class CachedClips(NamedTuple):
    """One entry a shard, in their order; seconds of audio that were encoded for it now."""

    entries: list[ShardEmbeddings]
    encoded_seconds: float


class CachedEmbedder:
    """What encoders made of shards. run.device must be chosen by now (not `auto`).

    fingerprints: of every encoder that requests may name.
    """

    def __init__(self, fingerprints: dict[AudioEncoder, str], run: RunSettings) -> None:
        self.fingerprints, self.run = fingerprints, run
        self.store = EmbeddingStore(run.cache / "store")
        self.store.remove_leftovers()
        self.made: set[str] = set()  # keys of this run, which need not be forced again

    def key(
        self, request: EmbeddingRequest, sha256: str, clips: Sequence[str] | None = None
    ) -> str:
        """The store's key of one shard, or of some of its clips."""
        return self.store.key(
            encoder_fingerprint=self.fingerprints[request.encoder],
            audio=request.pipeline.facts(),
            batches=_batches(request),
            shard_sha256=sha256,
            clips=clips,
            frames=request.frames,
            compute=request.encoder.compute_dtype(device_kind(self.run.device)),
        )

    def entries(
        self,
        dataset: Dataset,
        digests: Sequence[str],
        request: EmbeddingRequest,
        label: str,
        others: Sequence[EmbeddingRequest] = (),
        *,
        spread: bool = False,
    ) -> CachedClips:
        """Every shard's entry of a request.

        digests: the shards'. others: requests of the same clips that other cells of this run will
        want; what has to be decoded now is encoded for them too, and stored. spread: deviation and
        maximum are wanted too; entries without them, of an older version, are made again. Raises
        DataError where a shard was replaced meanwhile, and EncoderError.
        """
        entries: dict[int, ShardEmbeddings] = {}
        jobs: list[ShardJob] = []
        numbers: list[int] = []
        for number, (part, sha256) in enumerate(zip(dataset.shards, digests, strict=True)):
            key = self._key_of(request, part, sha256)
            known = None if self._forced(key) else self.store.get(key, spread=spread)
            if known is not None and _covers(known, part):
                entries[number] = known
                continue
            wanted = []
            for other in others:
                key = self._key_of(other, part, sha256)
                if self._forced(key) or not self.store.has(key, spread=spread and not other.frames):
                    wanted.append(other)
            jobs.append(ShardJob(part.shard, (request, *wanted), part.keys))
            numbers.append(number)
        settings = EmbedSettings(
            self.run.device, self.run.seconds_in_batch, self.run.workers, self.store.root
        )
        encoded = 0.0
        with Progress(label, clip_count(jobs), "clips") as bar:
            made = embed_shards(jobs, settings, bar.advance)
            for number, job, found in zip(numbers, jobs, made, strict=True):
                part, sha256 = dataset.shards[number], digests[number]
                if shard_digest(part.shard.path, self.run.cache) != sha256:
                    raise DataError(f"shard {part.shard.path} was replaced meanwhile; run it again")
                for one, entry in zip(job.requests, found, strict=True):
                    key = self._key_of(one, part, sha256)
                    self.store.put(key, entry)
                    if not entry.transient:  # else it is not in the store
                        self.made.add(key)
                encoded += sum(found[0].seconds)
                # from the store where it is: else frames would lie on the disk twice
                mine = (
                    None
                    if found[0].transient
                    else self.store.get(self._key_of(request, part, sha256), spread=spread)
                )
                entries[number] = mine or found[0]
        return CachedClips([entries[number] for number in range(len(dataset.shards))], encoded)

    def _forced(self, key: str) -> bool:
        """Whether an entry is to be made though the store may have it."""
        return self.run.force and key not in self.made

    def _key_of(self, request: EmbeddingRequest, part: DatasetShard, sha256: str) -> str:
        return self.key(request, sha256, None if part.keys is None else sorted(part.keys))


def _covers(entry: ShardEmbeddings, part: DatasetShard) -> bool:
    """Whether an entry has every clip asked for; an older version may have read a shard's names
    otherwise, and what it did not see would be missing without a word."""
    seen = {*entry.keys, *(failure.key for failure in entry.failures)}
    return all(
        one.key in seen for one in part.shard.entries if part.keys is None or one.key in part.keys
    )


def request_of(
    spec: TaskSpec, encoder: AudioEncoder, protocol: Protocol = STRICT
) -> EmbeddingRequest:
    """How a task wants its clips embedded under a protocol."""
    pipeline = AudioPipeline(encoder.sample_rate, spec.crop_seconds, protocol.resampler)
    order = None
    if protocol.padding == "averaged":
        order = FileOrder(protocol.batch_of(spec.name), protocol.crops == "first in batch")
    return EmbeddingRequest(encoder, pipeline, spec.by_frame, order)


def _batches(request: EmbeddingRequest) -> str:
    """How a request's batches are made, in words of the store's key."""
    order = request.file_order
    if order is not None:
        kept = "first crop of a clip" if order.first_crop_only else "all crops"
        return f"{order.size} in file order, padding kept, {kept}{_fitting(request.encoder)}"
    encoder = request.encoder
    said = "padded, lengths given" if encoder.honours_lengths else "clips of equal length"
    return f"{said}{_fitting(encoder)}"


def _fitting(encoder: AudioEncoder) -> str:
    """What is done to clips that an encoder does not take as they are, in words of that key."""
    said = limits_of(encoder).in_words(encoder.sample_rate)
    return f"; {said}, revision {FITTING}" if said else ""
