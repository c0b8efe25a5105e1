"""How fast the 805 M encoder embeds 10 s clips, and what share of a bare loop's speed that is.

Three loops over the same batches take turns: forward passes and means alone, on audio that lies
on the device; the benchmark's own way with decoded clips in memory; and all of it, from a shard.
"""

from __future__ import annotations

import io
import json
import statistics
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from gpu_encoder import CLIP_SECONDS, codecs, full, noise, operations_a_second
from gpu_machine import clocks, product_rate, repeated, timed, wait
from gpu_record import AT_LEAST, Facts, Figure, Measured, Settings

from earmark.benchmark.audio.decode import Samples
from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.embedding.batches import pad
from earmark.benchmark.embedding.collectors import (
    WINDOW_BATCHES,
    DecodedClip,
    EmbeddingRequest,
    EmbedSettings,
    make_collectors,
)
from earmark.benchmark.embedding.embed import ShardJob, embed_shards
from earmark.benchmark.embedding.pooling import deviation_and_maximum, pool
from earmark.benchmark.embedding.windows import whole
from earmark.benchmark.settings import RunSettings
from earmark.benchmark.shards.shard import Shard, ShardReader, read_shard
from earmark.encoders import Frames
from earmark.encoders.dasheng import TokenizerCodec
from earmark.encoders.dasheng.config import SAMPLE_RATE
from earmark.encoders.dasheng.tokenizer import DashengTokenizer

SHARE = 0.95  # of a bare loop's speed
DEFAULT_BATCH = int(RunSettings(device="cuda").seconds_in_batch) // CLIP_SECONDS  # clips
DIFFERENT = 96  # clips; more would only fill the memory
PASS_SECONDS = 1.5  # of the bare loop


@dataclass(frozen=True)
class Loop:
    """What is timed: an encoder, so many clips, batches of so many seconds."""

    encoder: TokenizerCodec
    settings: EmbedSettings
    samples: list[Samples]
    shard: Shard
    clips: int

    @property
    def view(self) -> EmbeddingRequest:
        return EmbeddingRequest(self.encoder, AudioPipeline(SAMPLE_RATE))

    @property
    def batch(self) -> int:
        """Clips in a batch."""
        return int(self.settings.batch_seconds * SAMPLE_RATE) // len(self.samples[0])

    def in_memory(self) -> None:
        """The benchmark's own way from decoded clips to rows."""
        budget = int(self.settings.batch_seconds * SAMPLE_RATE)
        (collector,) = make_collectors("memory", (self.view,), budget, self.settings, None)
        for number in range(self.clips):
            samples = self.samples[number % len(self.samples)]
            collector.add(DecodedClip(f"{number:06d}", samples, float(CLIP_SECONDS), None))
        (made,) = collector.finish().values()
        if made.failures or len(made.keys) != self.clips:
            raise RuntimeError(f"{len(made.failures)} clips failed: {made.failures[:1]}")

    def from_shard(self) -> None:
        """All of it: read, decode, encode, pool."""
        jobs = [ShardJob(self.shard, (self.view,))] * max(1, self.clips // len(self.samples))
        for (made,) in embed_shards(jobs, self.settings):
            if made.failures:
                raise RuntimeError(f"{len(made.failures)} clips failed: {made.failures[:1]}")

    def bare(self, batches: list[torch.Tensor]) -> None:
        """Forward passes and means over batches that lie on the device."""
        lengths = torch.full((self.batch,), batches[0].shape[1], device=batches[0].device)
        with torch.inference_mode():
            for number in range(self.clips // self.batch):
                pool(self.encoder.encode(batches[number % len(batches)], lengths))

    def on_device(self) -> list[torch.Tensor]:
        """A few different batches, (B, T) each."""
        count = max(1, len(self.samples) // self.batch)
        parts = [self.samples[i * self.batch : (i + 1) * self.batch] for i in range(count)]
        return [torch.from_numpy(np.stack(part)).to(self.settings.device) for part in parts]


def measure(settings: Settings) -> Measured:
    """In bf16 with the default batch and a larger one, and in float32."""
    if settings.device == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # as a run does
    config = full(settings)
    (encoder,) = codecs(config)
    encoder.to(settings.device)
    weights = sum(parameter.numel() for parameter in encoder.parameters())
    yield Figure("weights of the encoder with its decoder", weights / 1e6, "million")
    seconds = 1 if settings.tiny else CLIP_SECONDS
    different = 12 if settings.tiny else DIFFERENT
    samples = [noise(seconds * SAMPLE_RATE, seed) for seed in range(different)]
    operations = operations_a_second(config)
    yield Figure("operations for a second of audio", operations / 1e9, "GFLOP")
    default = RunSettings(device="cuda").seconds_in_batch
    kinds = [("bf16", default, 4), ("bf16", 120.0, 2), ("fp32", default, 2)]
    if settings.tiny:
        kinds = [("fp32", 3.0, 1)]
    with tempfile.TemporaryDirectory() as folder:
        shard = read_shard(write_shard(Path(folder) / "clips.tar", samples))
        for precision, batch_seconds, repeats in kinds:
            network = encoder.shared
            assert isinstance(network, DashengTokenizer)
            network.precision = precision
            loop = Loop(encoder, own_settings(settings, batch_seconds), samples, shard, different)
            loop = enough(loop, settings)
            yield from compare(loop, settings, precision, repeats, operations)
        if settings.device == "cuda":
            yield Facts({"clocks_after_speed": clocks()})
        network.precision = kinds[0][0]
        yield longest_kernels(replace(loop, settings=own_settings(settings, kinds[0][1])), settings)


def own_settings(settings: Settings, batch_seconds: float) -> EmbedSettings:
    """As a run has them by default, but for the batch."""
    return EmbedSettings(settings.device, batch_seconds, RunSettings.workers)


def enough(loop: Loop, settings: Settings) -> Loop:
    """With so many clips that a bare pass takes a while; whole windows, and whole shards."""
    if settings.tiny:
        return loop
    batches = loop.on_device()
    loop.bare(batches)
    spent = timed(lambda: loop.bare(batches), settings.device)
    whole = np.lcm(len(loop.samples), loop.batch * WINDOW_BATCHES)
    wanted = loop.clips * PASS_SECONDS / spent
    clips = int(max(1, round(wanted / whole)) * whole)
    return replace(loop, clips=clips)


def compare(
    loop: Loop, settings: Settings, precision: str, repeats: int, operations: float
) -> Measured:
    """The three loops in turn; a share is the median of those of each turn."""
    batches = loop.on_device()
    works: list[Callable[[], None]] = [
        lambda: loop.bare(batches), loop.in_memory, loop.from_shard,
    ]  # fmt: skip
    for work in works[1:] if settings.device == "cuda" else ():
        work()  # warm-up; `enough` has warmed up the first
    turns = [[timed(work, settings.device) for work in works] for _ in range(repeats)]
    audio = loop.clips * len(loop.samples[0]) / SAMPLE_RATE
    bare, memory, shard = (statistics.median(column) for column in zip(*turns, strict=True))
    what = f"{precision}, batch {loop.batch}"
    clips = f"{loop.clips} clips"
    yield Figure(f"{what}: bare loop", audio / bare, "x real", note=clips)
    yield Figure(f"{what}: clips in memory", audio / memory, "x real", note=clips)
    yield Figure(f"{what}: from a shard of WAV", audio / shard, "x real", note=clips)
    for name, column in (("clips in memory", 1), ("from a shard", 2)):
        shares = [turn[0] / turn[column] for turn in turns]
        goal = (
            None if settings.tiny or precision == "fp32" or loop.batch != DEFAULT_BATCH else SHARE
        )
        note = f"turns {min(shares):.3f} to {max(shares):.3f}"
        share = statistics.median(shares)
        yield Figure(f"{what}: {name} beside bare", share, "share", goal, AT_LEAST, note)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    rate = product_rate(settings.device, dtype, 256 if settings.tiny else 8192)
    reached = operations * audio / bare
    yield Figure(f"{what}: bare loop beside matrix products", reached / rate, "share")
    yield from stages(loop, settings, batches, what)


def stages(loop: Loop, settings: Settings, batches: list[torch.Tensor], what: str) -> Measured:
    """Milliseconds a batch of each thing done for it, alone: where time goes that is lost."""
    device, batch = settings.device, loop.batch
    pieces = [whole(samples) for samples in loop.samples[:batch]]
    waveforms = pad(pieces, "cpu").waveforms
    lengths = torch.full((batch,), waveforms.shape[1], device=device)
    with closing(ShardReader(loop.shard.path)) as reader:
        wav = reader.read(loop.shard.entries[0].audio)
    pipeline = AudioPipeline(SAMPLE_RATE)
    works: dict[str, Callable[[], object]] = {
        "padding": lambda: pad(pieces, device),
        "copy to the device, not pinned": lambda: waveforms.to(device),
        "forward and mean": lambda: pool(loop.encoder.encode(batches[0], lengths)),
        "forward, mean, deviation and maximum": lambda: statistics_of(
            loop.encoder.encode(batches[0], lengths)
        ),
        "decoding by one thread": lambda: [pipeline.load(wav) for _ in range(batch)],
    }
    if device == "cuda":
        pinned = waveforms.pin_memory()
        works["copy to the device, pinned"] = lambda: pinned.to(device, non_blocking=True)
    with torch.inference_mode():
        for name, work in works.items():
            seconds = repeated(work, device, 0.05 if settings.tiny else 0.25)
            yield Figure(f"{what}: {name}", 1000 * seconds, "ms/batch")


def statistics_of(frames: Frames) -> torch.Tensor:
    """What the store keeps of each clip."""
    return deviation_and_maximum(frames, pool(frames))


def longest_kernels(loop: Loop, settings: Settings) -> Facts:
    """What a bare pass over four batches spends its time in."""
    batches = loop.on_device()
    on_gpu = settings.device == "cuda"
    activity = torch.profiler.ProfilerActivity
    few = replace(loop, clips=4 * loop.batch)
    with torch.profiler.profile(
        activities=[activity.CPU, *([activity.CUDA] if on_gpu else [])]
    ) as profiler:
        few.bare(batches)
        wait(settings.device)
    kind = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    spent = [(getattr(one, kind), one) for one in profiler.key_averages()]
    spent.sort(key=lambda pair: -pair[0])
    rows = [f"{us / 1000:.3f} ms in {one.count} of {one.key[:100]}" for us, one in spent[:20]]
    return Facts({"longest_kernels": rows})


def write_shard(path: Path, clips: list[Samples]) -> Path:
    """Clips as WAV files of 16 bits."""
    with tarfile.open(path, "w") as tar:
        for number, samples in enumerate(clips):
            audio = io.BytesIO()
            soundfile.write(audio, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
            label = json.dumps({"label": 0}).encode()
            for suffix, data in (("wav", audio.getvalue()), ("json", label)):
                member = tarfile.TarInfo(f"{number:04d}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path
