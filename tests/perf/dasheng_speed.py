"""Print how fast DashengTokenizer's real size encodes, and how much of that it has to take.

    python tests/perf/dasheng_speed.py [--seconds 60] [--threads 2] [--repeats 3] [--tiny]

CPU: weights drawn at random are written in the checkpoint's layout (3.2 GB, in the folder for
temporary files), loaded as any checkpoint is by a process of its own, and encode one clip; beside
it, in turn, the matrix products that any implementation must do, of the same shapes and with the
same weights. GPU, where there is one: a shard of 10 s clips through the benchmark's whole path
(read, decode, encode, pool) beside a bare loop of forward passes over the same batches. Not a
test: times depend on the machine. --tiny shrinks the network, to try the script itself.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import soundfile
import torch

from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.embedding.collectors import EmbeddingRequest, EmbedSettings
from earmark.benchmark.embedding.embed import ShardJob, embed_shards
from earmark.benchmark.embedding.pooling import pool
from earmark.benchmark.shards.shard import read_shard
from earmark.encoders.dasheng import TokenizerConfig, load, random_weights, save_checkpoint
from earmark.encoders.dasheng.config import CHUNK_TOKENS, HOP, SAMPLE_RATE
from earmark.encoders.dasheng.tokenizer import DashengTokenizer
from earmark.encoders.device import parameter_count

TINY = TokenizerConfig(
    embed_dim=64, depth=2, num_heads=4, decoder_embed_dim=48, decoder_depth=2,
    decoder_intermediate_size=80,
)  # fmt: skip
CLIP_SECONDS, CLIPS_IN_BATCH = 10, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        on_cpu(arguments.child, arguments.seconds, arguments.threads, arguments.repeats)
        return
    config = TINY if arguments.tiny else TokenizerConfig()
    with tempfile.TemporaryDirectory() as name:
        folder = save_checkpoint(Path(name), config, random_weights(config))
        # a process of its own: its peak memory is not that of drawing the weights
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--child", name], check=True)
        if torch.cuda.is_available():
            on_gpu(folder, arguments.repeats)
        else:
            print("GPU: none here")


def on_cpu(folder: Path, length: int, threads: int, repeats: int) -> None:
    torch.set_num_threads(threads)
    start = time.perf_counter()
    (encoder,) = load(weights=folder)
    loading = time.perf_counter() - start
    network = encoder.shared
    assert isinstance(network, DashengTokenizer)
    waveforms = 0.1 * torch.randn(1, length * SAMPLE_RATE)
    lengths = torch.tensor([waveforms.shape[1]])
    ours, bare = [], []
    with torch.inference_mode():
        products = matrix_products(network, length)
        for _ in range(repeats + 1):  # the first also reads the weights from the disk
            ours.append(timed(lambda: encoder.encode(waveforms, lengths)))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            bare.append(timed(products))
    ratios = [a / b for a, b in zip(ours[1:], bare[1:], strict=True)]
    print(
        f"CPU, {threads} threads, float32, {parameter_count(encoder) / 1e6:.0f} M parameters: "
        f"loaded in {loading:.1f} s; {length} s of audio encoded in {median(ours[1:]):.1f} s (the "
        f"first time {ours[0]:.1f} s), peak {peak:.2f} GB; the bare matrix products take "
        f"{median(bare[1:]):.1f} s; ratio {median(ratios):.2f} "
        f"({', '.join(f'{ratio:.2f}' for ratio in ratios)})",
        flush=True,
    )


def matrix_products(network: DashengTokenizer, length: int) -> Callable[[], None]:
    """The products of one clip of so many seconds: no norm, no activation, no addition."""
    mel_frames = 1 + length * SAMPLE_RATE // HOP
    tokens = mel_frames // 4
    semantic, acoustic = network.semantic, network.acoustic
    weights = [acoustic.patch_embed.weight.flatten(1), semantic.patch_embed.weight.flatten(1)]
    for block in semantic.blocks:
        weights += [block.attn.qkv.weight, block.attn.proj.weight]
        weights += [block.mlp.fc1.weight, block.mlp.fc2.weight]
    inputs = {width: torch.randn(tokens, width) for width in {w.shape[1] for w in weights}}
    spectra = [torch.rand(mel_frames, path.mel.filters.shape[0]) for path in (semantic, acoustic)]
    heads = semantic.blocks[0].attn.heads
    size = semantic.norm.normalized_shape[0] // heads
    chunks = -(-tokens // CHUNK_TOKENS)
    query = torch.randn(chunks * heads, tokens // chunks, size)
    key = torch.randn(chunks * heads, size, tokens // chunks)

    def run() -> None:
        for spectrum, path in zip(spectra, (semantic, acoustic), strict=True):
            torch.mm(spectrum, path.mel.filters)
        for weight in weights:
            torch.mm(inputs[weight.shape[1]], weight.T)
        for _ in semantic.blocks:
            torch.bmm(torch.bmm(query, key), query)  # a value is as large as a query

    return run


def on_gpu(folder: Path, repeats: int) -> None:
    (encoder,) = load(weights=folder, precision="bf16")
    encoder = encoder.to("cuda")
    clips = 8 * CLIPS_IN_BATCH
    shard = read_shard(write_shard(folder / "clips.tar", clips))
    settings = EmbedSettings(
        device="cuda", batch_seconds=CLIP_SECONDS * CLIPS_IN_BATCH, workers=os.cpu_count() or 1
    )
    waveforms = 0.1 * torch.randn(CLIPS_IN_BATCH, CLIP_SECONDS * SAMPLE_RATE, device="cuda")
    lengths = torch.full((CLIPS_IN_BATCH,), waveforms.shape[1], device="cuda")

    def whole() -> None:
        for _ in embed_shards(
            [ShardJob(shard, (EmbeddingRequest(encoder, AudioPipeline(SAMPLE_RATE)),))], settings
        ):
            pass

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(clips // CLIPS_IN_BATCH):
                pool(encoder.encode(waveforms, lengths))
        torch.cuda.synchronize()

    whole()
    bare()  # warm-up
    pairs = [(timed(whole), timed(bare)) for _ in range(repeats)]
    speed = median([clips * CLIP_SECONDS / ours for ours, _ in pairs])
    share = median([loop / ours for ours, loop in pairs])
    print(
        f"{torch.cuda.get_device_name()}, bf16, {CLIP_SECONDS} s clips, batch {CLIPS_IN_BATCH}: "
        f"{speed:.0f} x real time; {share:.3f} of a bare forward loop's speed (to reach: 0.95); "
        f"peak {torch.cuda.max_memory_allocated() / 1e9:.2f} GB"
    )


def write_shard(path: Path, clips: int) -> Path:
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w") as tar:
        for number in range(clips):
            samples = 0.1 * rng.standard_normal(CLIP_SECONDS * SAMPLE_RATE)
            audio = io.BytesIO()
            soundfile.write(audio, samples, SAMPLE_RATE, format="WAV")
            label = json.dumps({"label": 0}).encode()
            for suffix, data in (("wav", audio.getvalue()), ("json", label)):
                member = tarfile.TarInfo(f"{number:04d}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


median = statistics.median

if __name__ == "__main__":
    main()
