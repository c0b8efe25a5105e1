"""Print what readouts cost, beside what is aimed at (the spec of readouts).

    python tests/perf/readouts.py [--part embedding|probing ...] [--data DIR] [--repeats N]

`embedding`: seconds of spoken digits and ESC-10 through an encoder with mean, deviation and maximum
kept, and with the mean alone, in turn; the share of the speed that is left (to reach: 0.97).
`probing`: spoken digits, the linear probe on all five readouts and the best of them beside that on
the mean, CPU seconds (to reach: 4 times; the features together are 9 times as wide). Not a test:
times depend on the machine. Ratios are of one run, the median of those of the turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch
from figures import TASKS, items_of

from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.embedding import collectors
from earmark.benchmark.embedding.batches import Want
from earmark.benchmark.embedding.collectors import EmbeddingRequest, EmbedSettings
from earmark.benchmark.embedding.embed import ShardJob, embed_shards
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.readouts import READOUTS
from earmark.benchmark.score import score_items
from earmark.benchmark.score.readouts import add_readouts
from earmark.benchmark.shards.dataset import open_dataset
from earmark.encoders import load_encoder
from earmark.tasks import read_task

REPOSITORY = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--encoder", nargs="+", default=["logmel", "mfcc", "dasheng-tiny"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for part in arguments.part:
        for encoder in arguments.encoder:
            PARTS[part](encoder, arguments)


def embedding(name: str, arguments: argparse.Namespace) -> None:
    """Whole passes: decoding, encoding, pooling, what is handed to the store."""
    encoder = load_encoder(name).to(arguments.device)
    settings = EmbedSettings(device=arguments.device, workers=1)
    for task, path in TASKS.items():
        spec = read_task(path)
        pipeline = AudioPipeline(encoder.sample_rate, spec.crop_seconds)
        request = EmbeddingRequest(encoder, pipeline)
        shards = [part.shard for part in open_dataset(spec, arguments.data).shards]

        def whole(jobs: list[ShardJob], settings: EmbedSettings = settings) -> None:
            for _ in embed_shards(jobs, settings):
                pass

        jobs = [ShardJob(shard, (request,)) for shard in shards]

        def alone(jobs: list[ShardJob] = jobs) -> None:
            """As before there were readouts: nothing but the mean is computed."""
            with patch.object(collectors, "Want", _mean_alone):
                whole(jobs)

        alone()  # warm-up
        shares = []
        for turn in range(arguments.repeats):
            ways = (alone, lambda jobs=jobs: whole(jobs))
            spent = [seconds(way) for way in (ways if turn % 2 else ways[::-1])]
            first, second = spent if turn % 2 else spent[::-1]
            shares.append(first / second)
        print(
            f"embedding {task} by {name} with all three statistics: "
            f"{statistics.median(shares):.3f} of the speed with the mean alone "
            f"({min(shares):.3f} to {max(shares):.3f}; to reach: 0.97)",
            flush=True,
        )


def _mean_alone(encoder: object, frames: bool, spread: bool) -> Want:
    return Want(encoder, frames, False)  # type: ignore[arg-type]


def probing(name: str, arguments: argparse.Namespace) -> None:
    """The linear probe alone: no kNN."""
    spec = replace(read_task(TASKS["fsdd"]), knn=False)
    items = items_of(spec, arguments.data, load_encoder(name))
    ratios, shown = [], ""
    for _ in range(max(1, arguments.repeats // 2)):
        began = time.process_time()
        score = score_items(items, spec, STRICT, device=arguments.device).scores["linear"]
        one = time.process_time() - began
        add_readouts(score, items, spec, STRICT, READOUTS, device=arguments.device)
        every = time.process_time() - began
        ratios.append(every / one)
        shown = f"{one:.1f} and {every:.1f} s"
    print(
        f"probing fsdd by {name} ({items.embeddings.shape[1]} values) on all five readouts: "
        f"{statistics.median(ratios):.2f} times that on the mean ({shown}; to reach: 4)",
        flush=True,
    )


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


PARTS: dict[str, Callable[[str, argparse.Namespace], None]] = {
    "embedding": embedding, "probing": probing,
}  # fmt: skip

if __name__ == "__main__":
    main()
