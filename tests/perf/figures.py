"""Print the figures that Earmark is held to, measured here and now on ../shared/data.

Those of the linear probe are printed by `tests/perf/probe.py`.

    python tests/perf/figures.py [--data DIR] [--repeats N]

Not a test: times depend on the machine. Ratios compare two ways of doing the same in one run, in
turn, and the median of the ratios is printed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from earmark import evaluate
from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.embedding.batches import plan_batches
from earmark.benchmark.embedding.collectors import EmbeddingRequest, EmbedSettings
from earmark.benchmark.embedding.embed import WINDOW_BATCHES, ShardJob, embed_shards
from earmark.benchmark.embedding.pooling import pool
from earmark.benchmark.probe.items import Items, join_items
from earmark.benchmark.shards.dataset import open_dataset
from earmark.benchmark.shards.labels import read_labels
from earmark.benchmark.shards.shard import ShardReader
from earmark.encoders import AudioEncoder, load_encoder
from earmark.tasks import TaskSpec, read_task

REPOSITORY = Path(__file__).parents[2]
TASKS = {
    "esc50": REPOSITORY / "tasks" / "esc50.yaml",
    "fsdd": REPOSITORY / "tests" / "data" / "fsdd.yaml",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    specs = {name: read_task(path) for name, path in TASKS.items()}
    with tempfile.TemporaryDirectory() as folder:
        scores(specs, arguments.data, Path(folder))
        store_size(specs["fsdd"], arguments.data, Path(folder))
    for name in specs:
        embedding(specs[name], arguments.data, arguments.repeats)
    memory(arguments.data)


def scores(specs: dict[str, TaskSpec], data: Path, folder: Path) -> None:
    print("Scores, protocol strict")
    results = evaluate(
        ["logmel", "mfcc"], list(specs.values()), data=data, results=folder, cache=folder
    )
    for result in results:
        if result.error is not None:
            raise SystemExit(f"{result.task.name}: {result.error}")
        for probe, score in result.scores.items():
            low, high = score.interval or (np.nan, np.nan)
            print(
                f"  {result.encoder.name:7}{result.task.name:7}{probe:7}{score.value:.3f}"
                f" [{low:.3f}, {high:.3f}]  {score.items} items, {score.sources} sources"
            )


def store_size(spec: TaskSpec, data: Path, folder: Path) -> None:
    # both encoders and both tasks are in this store; only entries of fsdd's shards count
    dataset = open_dataset(spec, data)
    keys = {entry.key for part in dataset.shards for entry in part.shard.entries}
    for dimension in (256, 80):
        total = 0
        for manifest in folder.glob("store/*/*/manifest.json"):
            array = np.load(manifest.with_name("embeddings.npy"), mmap_mode="r")
            if array.shape[1] == dimension and any(
                f'"{key}"' in manifest.read_text() for key in keys
            ):
                total += sum(file.stat().st_size for file in manifest.parent.iterdir())
        print(
            f"Store, fsdd, D = {dimension}: 4 x D + {total / dataset.clips - 4 * dimension:.0f} "
            "bytes a clip (to reach: 4 x D + 200)"
        )


def items_of(spec: TaskSpec, data: Path, encoder: AudioEncoder) -> Items:
    dataset = open_dataset(spec, data)
    pipeline = AudioPipeline(encoder.sample_rate, spec.crop_seconds)
    jobs = [ShardJob(part.shard, (EmbeddingRequest(encoder, pipeline),)) for part in dataset.shards]
    entries = [entry for (entry,) in embed_shards(jobs, EmbedSettings())]
    labels = [read_labels(part.shard, spec)[0] for part in dataset.shards]
    return join_items(dataset, entries, labels)


def embedding(spec: TaskSpec, data: Path, repeats: int) -> None:
    encoder = load_encoder("logmel")
    dataset = open_dataset(spec, data)
    pipeline = AudioPipeline(encoder.sample_rate, spec.crop_seconds)
    jobs = [ShardJob(part.shard, (EmbeddingRequest(encoder, pipeline),)) for part in dataset.shards]
    settings = EmbedSettings(workers=os.cpu_count() or 1)

    def ours() -> None:
        for _ in embed_shards(jobs, settings):
            pass

    def bare() -> None:
        bare_loop(jobs, encoder, pipeline, settings)

    bare()  # warm-up
    ratios, speeds = [], []
    hours = sum(sum(entry.seconds) for (entry,) in embed_shards(jobs, settings)) / 3600
    for _ in range(repeats):
        spent = seconds(ours)
        ratios.append(spent / seconds(bare))
        speeds.append(hours * 3600 / spent)
    print(
        f"Embedding {spec.name} ({dataset.clips} clips, {hours:.2f} h) by logmel: "
        f"{statistics.median(ratios):.2f} times a bare loop (to reach: 1.15); "
        f"{statistics.median(speeds):.0f} x real time"
    )


def bare_loop(
    jobs: list[ShardJob], encoder: AudioEncoder, pipeline: AudioPipeline, settings: EmbedSettings
) -> None:
    """Decode, resample and encode the same clips in the same batches, one thing after another."""
    budget = int(settings.batch_seconds * pipeline.sample_rate)
    for job in jobs:
        reader = ShardReader(job.shard.path)
        window: list[np.ndarray] = []
        for number, entry in enumerate(job.entries, start=1):
            window += pipeline.crops(reader.read(entry.audio))
            full = sum(len(crop) for crop in window) >= budget * WINDOW_BATCHES
            if full or number == len(job.entries):
                for batch in plan_batches([len(crop) for crop in window], budget):
                    lengths = torch.tensor([len(window[i]) for i in batch])
                    waveforms = torch.zeros(len(batch), int(lengths.max()))
                    for row, i in zip(waveforms, batch, strict=True):
                        row[: len(window[i])] = torch.from_numpy(window[i])
                    with torch.inference_mode():
                        pool(encoder.encode(waveforms, lengths)).numpy()
                window = []
        reader.close()


def memory(data: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        subprocess.run(
            [sys.executable, "run_bench.py", "--encoder", "logmel", "--tasks", str(TASKS["fsdd"]),
             "--data", str(data), "--results", folder, "--cache", folder],
            cwd=REPOSITORY, check=True, capture_output=True,
        )  # fmt: skip
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"Peak memory of the whole fsdd run: {max(before, peak) / 1e6:.2f} GB (to reach: 1.5 GB)")


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
