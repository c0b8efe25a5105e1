"""Tasks over the same shards: each clip is decoded once, and nothing comes out differently."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clips import audio_bytes, clip_members, write_tar
from frame_tasks import RATE, make_task, write_shards, write_task

from earmark import RunResult, evaluate
from earmark.benchmark.audio.decode import Samples
from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.conformance.checks import IN_TIME_LENGTHS
from earmark.benchmark.conformance.trial import make_clip
from earmark.benchmark.embedding.collectors import EmbeddingRequest, EmbedSettings
from earmark.benchmark.embedding.embed import ShardJob, embed_shards
from earmark.benchmark.identity.behaviour import SIGNALS
from earmark.benchmark.shards.shard import read_shard
from earmark.benchmark.store import SPEED
from earmark.encoders import AudioEncoder, Frames
from earmark.encoders.logmel import LogMel
from earmark.encoders.shared import OutputEncoder, SharedPass

CLIPS = 15  # of `frame_tasks.COUNTS`


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """How often each file was decoded."""
    counts: Counter[bytes] = Counter()
    load = AudioPipeline.load

    def counted(self: AudioPipeline, data: bytes) -> tuple[Samples, float]:
        counts[data] += 1
        return load(self, data)

    monkeypatch.setattr(AudioPipeline, "load", counted)
    return counts


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, Path]:
    """As LibriSpeech-100h and LibriSpeech-MF: one wants frames, one crops of the same shards."""
    return {
        "transcript": make_task(tmp_path, "transcript", shards=2),
        "gender": write_task(tmp_path, "gender", "transcript"),
    }


def run(tasks: Sequence[Path], folder: Path, out: str, **settings: Any) -> list[RunResult]:
    facts: dict[str, Any] = {
        "data": folder / "data", "results": folder / out / "r", "cache": folder / out / "c",
        "seeds": 2, "device": "cpu", "batch_seconds": 2.0,
    }  # fmt: skip
    results = evaluate("logmel", [str(task) for task in tasks], **(facts | settings))
    assert [result.error for result in results] == [None] * len(tasks)
    return results


def kinds(folder: Path, out: str) -> Counter[str]:
    """Types of the entries in a store."""
    paths = (folder / out / "c" / "store").glob("??/*/embeddings.npy")
    return Counter(np.load(path, mmap_mode="r").dtype.name for path in paths)


def left(folder: Path, out: str) -> dict[str, Any]:
    """Every file of store and results, times aside."""
    found: dict[str, Any] = {}
    for path in sorted((folder / out).rglob("*")):
        name = str(path.relative_to(folder / out))
        if path.is_dir() or "shard-digests" in name or path.name == SPEED:
            continue
        found[name] = path.read_bytes()
        if name.startswith("r") and path.suffix == ".json":
            found[name] = json.loads(found[name])
            del found[name]["run"]
    return found


@pytest.mark.parametrize("order", [("transcript", "gender"), ("gender", "transcript")])
@pytest.mark.parametrize("limit", [None, 3])
def test_two_tasks_decode_each_clip_once(tmp_path, pair, decoded, order, limit):
    tasks = [pair[name] for name in order]
    first, second = run(tasks, tmp_path, "both", limit=limit)
    assert len(decoded) == (CLIPS if limit is None else 9)
    assert set(decoded.values()) == {1}
    assert first.run.encoded_audio_seconds > 1 and second.run.encoded_audio_seconds == 0
    stored = kinds(tmp_path, "both")
    assert stored["float16"] == stored["float32"] > 2
    for task in tasks:
        run([task], tmp_path, "apart", limit=limit)
    assert set(decoded.values()) == {3}  # once together, and once for each apart
    assert left(tmp_path, "both") == left(tmp_path, "apart")


@pytest.mark.parametrize("order", [("transcript", "gender"), ("gender", "transcript")])
def test_nothing_is_encoded_for_a_task_whose_result_is_valid(tmp_path, pair, decoded, order):
    tasks = [pair[name] for name in order]
    run(tasks[1:], tmp_path, "out")
    shutil.rmtree(tmp_path / "out" / "c" / "store")
    decoded.clear()
    run(tasks, tmp_path, "out")
    assert set(decoded.values()) == {1} and len(decoded) == CLIPS
    assert kinds(tmp_path, "out") == {"float16" if order[0] == "transcript" else "float32": 6}


def test_what_the_store_has_for_the_other_is_not_made_again(tmp_path, pair, monkeypatch):
    run([pair["gender"]], tmp_path, "out")
    shutil.rmtree(tmp_path / "out" / "r")
    before = left(tmp_path, "out")
    heard: list[int] = []
    encode = LogMel.encode

    def counted(self: LogMel, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        heard.append(int(lengths.sum()))
        return encode(self, waveforms, lengths)

    monkeypatch.setattr(LogMel, "encode", counted)
    first, _ = run([pair["transcript"], pair["gender"]], tmp_path, "out")
    # as much as whole clips are long, and what it is known and checked by: no crop beside
    known_by = sum(len(signal(RATE)) for signal in SIGNALS.values())
    checked_by = sum(len(make_clip(name, RATE)) for name in IN_TIME_LENGTHS)
    assert (sum(heard) - known_by - checked_by) / RATE == pytest.approx(
        first.data.seconds, abs=1e-3
    )
    now = left(tmp_path, "out")
    assert all(now[name] == before[name] for name in before if "store" in name)


def test_forced_runs_decode_once_too(tmp_path, pair, decoded):
    tasks = list(pair.values())
    run(tasks, tmp_path, "out")
    expected = left(tmp_path, "out")
    decoded.clear()
    results = run(tasks, tmp_path, "out", force=True)
    assert len(decoded) == CLIPS and set(decoded.values()) == {1}
    assert [result.run.encoded_audio_seconds > 1 for result in results] == [True, False]
    assert left(tmp_path, "out") == expected


def test_tasks_of_other_shards_or_splits_do_not_share(tmp_path, pair, decoded):
    """Same shards, but train and test change places: its clips are its own to choose."""
    turned = write_task(tmp_path, "gender", "transcript")
    text = turned.read_text()
    text = text.replace("train: train-", "train: TEST-").replace("test: test-", "test: train-")
    turned.write_text(text.replace("TEST-", "test-"))
    run([pair["transcript"], turned], tmp_path, "both", limit=3)
    limited = dict(decoded)
    assert max(limited.values()) <= 2
    for task in (pair["transcript"], turned):
        run([task], tmp_path, "apart", limit=3)
    assert left(tmp_path, "both") == left(tmp_path, "apart")  # nothing was made in vain either


def test_nothing_is_encoded_for_a_task_of_other_shards(tmp_path, pair):
    run([make_task(tmp_path, "events"), pair["gender"]], tmp_path, "out")
    assert kinds(tmp_path, "out") == {"float16": 3, "float32": 6}  # events have one shard a split


def test_a_task_whose_data_is_missing_does_not_disturb_the_other(tmp_path, pair):
    lost = write_task(tmp_path, "gender", "nowhere")
    results = evaluate(
        "logmel", [str(pair["transcript"]), str(lost)], data=tmp_path / "data",
        results=tmp_path / "r", cache=tmp_path / "c", seeds=1, device="cpu",
    )  # fmt: skip
    assert [result.status for result in results] == ["done", "failed"]


# ---- encoders that share a forward pass


class Net(SharedPass):
    """Mean magnitude of 100 samples (`loud`) and twice as much (`twice`)."""

    def __init__(self) -> None:
        super().__init__()
        self.passes: list[tuple[tuple[str, ...], int]] = []

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> dict[str, Frames]:
        self.passes.append((tuple(outputs), len(lengths)))
        frames = (lengths // 100).clamp(min=1)
        count = int(frames.max())
        padded = torch.nn.functional.pad(waveforms, (0, 100))[:, : count * 100]
        loud = padded.abs().reshape(len(padded), count, 100).mean(dim=2, keepdim=True)
        both = {"loud": loud, "twice": torch.cat([2 * loud, 2 * loud], dim=2)}
        return {name: Frames(both[name], frames) for name in outputs}


class Output(OutputEncoder):
    sample_rate, frame_rate = RATE, RATE / 100

    def __init__(self, shared: SharedPass, output: str, dimension: int) -> None:
        super().__init__(shared, output)
        self.name, self.embedding_dim = output, dimension


def embed(folder: Path, views: tuple[EmbeddingRequest, ...]) -> Any:
    rng = np.random.default_rng(3)
    members = []
    for i, n in enumerate((4000, 1600, 4000, 2500, 799, 4000)):
        audio = audio_bytes(rng.uniform(-0.5, 0.5, n), RATE, "wav", "FLOAT")
        members += clip_members(f"k{i}", audio, {})
    job = ShardJob(read_shard(write_tar(folder / "s.tar", members)), views)
    (found,) = embed_shards([job], EmbedSettings("cpu", 0.3, 2, folder))
    return found


def test_encoders_over_one_network_take_one_pass(tmp_path, decoded):
    net = Net()
    loud, twice = Output(net, "loud", 1).eval(), Output(net, "twice", 2).eval()
    whole, cropped = AudioPipeline(RATE), AudioPipeline(RATE, 0.1)
    views = (
        EmbeddingRequest(loud, whole),
        EmbeddingRequest(twice, whole, frames=True),
        EmbeddingRequest(twice, whole),
    )
    together = embed(tmp_path, views)
    assert set(decoded.values()) == {1} and len(decoded) == 6
    assert {names for names, _ in net.passes} == {("loud", "twice")}
    assert sum(count for _, count in net.passes) == 6
    for view, entry in zip(views, together, strict=True):
        (alone,) = embed(tmp_path, (view,))
        assert entry.embeddings.tobytes() == alone.embeddings.tobytes()
        assert entry.embeddings.shape[1] == view.encoder.embedding_dim
        assert (entry.keys, entry.frames) == (alone.keys, alone.frames)
    assert np.allclose(together[2].embeddings, 2 * together[0].embeddings)
    # crops of another length are another pass, of the same decoding
    net.passes.clear()
    decoded.clear()
    mixed = embed(tmp_path, (EmbeddingRequest(loud, whole), EmbeddingRequest(twice, cropped)))
    assert set(decoded.values()) == {1}
    assert {names for names, _ in net.passes} == {("loud",), ("twice",)}
    assert mixed[0].crops == [1] * 6 and mixed[1].crops == [2, 1, 2, 1, 1, 2]
    assert mixed[0].embeddings.tobytes() == together[0].embeddings.tobytes()


def test_networks_that_are_not_the_same_are_not_joined(tmp_path):
    one, other = Net(), Net()
    pipeline = AudioPipeline(RATE)
    encoders: list[AudioEncoder] = [Output(one, "loud", 1), Output(other, "twice", 2)]
    embed(tmp_path, tuple(EmbeddingRequest(encoder.eval(), pipeline) for encoder in encoders))
    assert {names for names, _ in one.passes} == {("loud",)}
    assert {names for names, _ in other.passes} == {("twice",)}


def test_shards_are_written_alike_each_time(tmp_path):
    """What the comparisons above rest on."""
    assert write_shards(tmp_path / "a", "transcript") == write_shards(tmp_path / "b", "transcript")
