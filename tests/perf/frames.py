"""Print the figures of tasks by frames: what the store takes, and memory for long recordings.

    python tests/perf/frames.py [--data DIR] [--minutes M]

Not a test. The long recording (44.1 kHz, stereo) is made here and now.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from earmark.benchmark.embedding.cached import request_of
from earmark.benchmark.embedding.collectors import EmbedSettings
from earmark.benchmark.embedding.embed import ShardJob, embed_shards
from earmark.benchmark.shards.shard import read_shard
from earmark.benchmark.store import EmbeddingStore
from earmark.encoders import load_encoder
from earmark.tasks import read_task

REPOSITORY = Path(__file__).parents[2]
RATE = 44_100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--minutes", type=float, default=45.0)
    arguments = parser.parse_args()
    store_size(arguments.data / "librispeech")
    for suffix in ("flac", "wav"):
        memory(arguments.minutes, suffix)


def store_size(folder: Path) -> None:
    """Bytes of the frame store beyond 2 x D a frame, in %."""
    encoder = load_encoder("logmel")
    view = request_of(read_task(REPOSITORY / "tasks" / "librispeech_100h.yaml"), encoder)
    paths = sorted(folder.glob("*.tar"))
    jobs = [ShardJob(read_shard(path), (view,)) for path in paths]
    frames, total = 0, 0
    with tempfile.TemporaryDirectory() as root:
        store = EmbeddingStore(Path(root))
        for number, (entry,) in enumerate(embed_shards(jobs, EmbedSettings(spill=store.root))):
            store.put(f"{number:064x}", entry)
            frames += len(entry.embeddings)
        total = sum(path.stat().st_size for path in Path(root).rglob("*") if path.is_file())
    bare = 2 * encoder.embedding_dim * frames
    print(
        f"Frame store, {len(paths)} LibriSpeech shards by logmel: {frames} frames, "
        f"2 x D + {100 * (total / bare - 1):.3f} % a frame (to reach: 1 %)"
    )


def memory(minutes: float, suffix: str) -> None:
    """Peak of a run, encoding and training, on a task whose one training file is long."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        for split, length in (("train", minutes), ("valid", 0.5), ("test", 0.5)):
            write_shard(data / "maestro" / f"maestro_{split}-0.tar", 60 * length, suffix)
        size = (data / "maestro" / "maestro_train-0.tar").stat().st_size
        started = time.time()
        subprocess.run(
            [sys.executable, "run_bench.py", "--encoder", "logmel", "--tasks", "maestro",
             "--data", str(data), "--results", folder, "--cache", folder, "--device", "cpu"],
            cwd=REPOSITORY, check=True, capture_output=True,
        )  # fmt: skip
        spent = time.time() - started
    # of all children so far, which only makes it larger
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    print(
        f"Peak memory of a run on a recording of {minutes:g} minutes ({suffix}, "
        f"{size / 1e6:.0f} MB): {peak:.2f} GB (to reach: 4 GB), in {spent:.0f} s"
    )


def write_shard(path: Path, seconds: float, suffix: str) -> None:
    """One stereo recording of notes that follow each other every quarter of a second."""
    rng = np.random.default_rng(list(path.name.encode()))  # splits must differ
    notes = []
    audio = io.BytesIO()
    with soundfile.SoundFile(audio, "w", RATE, 2, format=suffix.upper(), subtype="PCM_16") as file:
        for i in range(int(4 * seconds)):
            pitch = int(rng.integers(21, 108))
            notes.append({"start": i / 4, "end": (i + 1) / 4, "note": pitch})
            hertz = 440 * 2 ** ((pitch - 69) / 12)
            tone = 0.3 * np.sin(2 * np.pi * hertz * np.arange(RATE // 4) / RATE)
            file.write(np.stack([tone, 0.5 * tone], axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, raw in (
            (f"piece.{suffix}", audio.getvalue()), ("piece.json", json.dumps(notes).encode()),
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))


if __name__ == "__main__":
    main()
