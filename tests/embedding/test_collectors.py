"""Frames in the store: float16, memory-mapped, as many as they should be, and nothing lost."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from clips import audio_bytes, clip_members, write_tar
from frame_tasks import RATE, make_task, write_shards, write_task

from earmark import RunResult, evaluate
from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.embedding.collectors import EmbeddingRequest, EmbedSettings
from earmark.benchmark.embedding.embed import ShardJob, embed_shards
from earmark.benchmark.probe.items import join_items
from earmark.benchmark.shards.dataset import open_dataset
from earmark.benchmark.shards.labels import read_labels
from earmark.benchmark.shards.shard import read_shard
from earmark.benchmark.store import EmbeddingStore, ShardEmbeddings
from earmark.encoders import AudioEncoder, EncoderError, Frames, load_encoder
from earmark.tasks import read_task

HOP = 640  # samples of 16 kHz in a frame of logmel's
DIMENSION = 256


class Loudness(AudioEncoder):
    """Ten frames a second: the mean of the magnitude, 1e6 where a clip begins above 0.5."""

    name, sample_rate, embedding_dim, frame_rate = "loudness", RATE, 1, 10.0
    scale = 1e6

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        step = self.sample_rate // 10
        frames = (lengths // step).clamp(min=1)
        count = int(frames.max())
        padded = torch.nn.functional.pad(waveforms, (0, step))[:, : count * step]
        values = padded.abs().reshape(len(padded), count, step).mean(dim=2, keepdim=True)
        values[waveforms[:, 0] > 0.5] = self.scale
        return Frames(values, frames)


class Slower(Loudness):
    name, sample_rate = "slower", 11_025


def noise(length: int, seed: int = 0, first: float = 0.1) -> bytes:
    samples = np.random.default_rng(seed).uniform(-0.4, 0.4, length)
    samples[0] = first
    return audio_bytes(samples, RATE, "wav", "FLOAT")


def run(task: Path, folder: Path, encoder: Any = "logmel", **settings: Any) -> RunResult:
    facts = {"results": folder / "r", "cache": folder / "c", "seeds": 1, "device": "cpu"}
    (result,) = evaluate(encoder, str(task), **(facts | {"data": folder / "data"} | settings))
    return result


def entries(folder: Path) -> list[tuple[Path, dict[str, Any], np.ndarray]]:
    """Every entry of a store: its folder, its manifest and its array."""
    return [
        (path.parent, json.loads(path.read_text()), np.load(path.with_name("embeddings.npy")))
        for path in sorted((folder / "c" / "store").glob("??/*/manifest.json"))
    ]


def embed(
    folder: Path, clips: dict[str, bytes], *views: EmbeddingRequest, seconds: float = 4.0
) -> Any:
    members = [m for key, audio in clips.items() for m in clip_members(key, audio, {})]
    job = ShardJob(read_shard(write_tar(folder / "s.tar", members)), views)
    (found,) = embed_shards([job], EmbedSettings("cpu", seconds, 2, folder))
    return found


def test_the_store_holds_each_clip_as_it_is_encoded_alone(tmp_path):
    task = make_task(tmp_path, "events")
    assert run(task, tmp_path).error is None
    encoder = load_encoder("logmel")
    shards = {}
    for _, manifest, array in entries(tmp_path):
        assert array.dtype == np.float16
        assert array.shape == (sum(manifest["frames"]), DIMENSION)
        assert manifest["crops"] == [1] * len(manifest["keys"])
        shards[manifest["keys"][0].rstrip("0123456789")] = (manifest, array)
    assert sorted(shards) == ["test", "train", "valid"]
    for split, members in write_shards(tmp_path / "again", "events").items():
        manifest, array = shards[split]
        clips = {name[:-4]: audio for name, audio in members if name.endswith(".wav")}
        assert manifest["keys"] == sorted(clips)
        first = 0
        for key, count in zip(manifest["keys"], manifest["frames"], strict=True):
            samples, rate = soundfile.read(io.BytesIO(clips[key]), dtype="float32")
            assert rate == RATE
            assert count == len(samples) // HOP
            alone = encoder.encode(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
            assert alone.values.shape == (1, count, DIMENSION)
            expected = alone.values[0].detach().numpy()
            own = array[first : first + count]
            # half a unit of float16's last place, and float32's rounding in another batch
            assert (np.abs(own - expected) <= np.abs(expected) * 2.0**-11 + 1e-4).all()
            first += count
        assert first == len(array)


def test_frames_stay_on_the_disk(tmp_path):
    task = make_task(tmp_path, "events")
    run(task, tmp_path)
    spec = read_task(task)
    dataset = open_dataset(spec, tmp_path / "data")
    store = EmbeddingStore(tmp_path / "c" / "store")
    by_first = {}
    for folder, manifest, _ in entries(tmp_path):
        entry = store.get(folder.name)
        assert isinstance(entry, ShardEmbeddings)
        assert isinstance(entry.embeddings, np.memmap) and entry.embeddings.mode == "r"
        by_first[manifest["keys"][0]] = entry
    found = [by_first[min(part.shard.keys)] for part in dataset.shards]
    labels = [read_labels(part.shard, spec)[0] for part in dataset.shards]
    items = join_items(dataset, found, labels)
    assert len(items.frames) == len(items) == 15
    for frames in items.frames:
        assert any(np.shares_memory(frames, entry.embeddings) for entry in found)
    assert items.embeddings.nbytes == 0


def test_frames_that_are_made_now_stay_on_the_disk(tmp_path):
    view = EmbeddingRequest(load_encoder("logmel"), AudioPipeline(RATE), frames=True)
    (entry,) = embed(tmp_path, {f"k{i}": noise(9000 + i, i) for i in range(5)}, view)
    assert isinstance(entry.embeddings, np.memmap)
    assert entry.frames == [14] * 5 and entry.embeddings.shape == (70, DIMENSION)
    assert [path.name for path in tmp_path.iterdir()] == ["s.tar"]  # no leftover of the spill


def test_a_store_of_frames_is_small(tmp_path):
    """40 clips of 5 s, with names like DESED's: 2 x D bytes a frame and at most 1 % more."""
    clips = {f"Y{i:011d}_30.000_40.000": noise(5 * RATE, i) for i in range(40)}
    view = EmbeddingRequest(load_encoder("logmel"), AudioPipeline(RATE), frames=True)
    (entry,) = embed(tmp_path, clips, view, seconds=120.0)
    EmbeddingStore(tmp_path / "store").put("ab" * 32, entry)
    size = sum(p.stat().st_size for p in (tmp_path / "store").rglob("*") if p.is_file())
    bare = 40 * 125 * 2 * DIMENSION
    assert bare < size <= 1.01 * bare


@pytest.mark.parametrize("place", ["first", "header", "last", "manifest"])
def test_a_damaged_byte_is_noticed_and_the_entry_made_again(tmp_path, place):
    task = make_task(tmp_path, "events")
    run(task, tmp_path)
    folder = entries(tmp_path)[1][0]
    name = "manifest.json" if place == "manifest" else "embeddings.npy"
    good = (folder / name).read_bytes()
    at = {"first": 128, "header": 30, "last": len(good) - 1, "manifest": len(good) // 2}[place]
    (folder / name).write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    assert EmbeddingStore(tmp_path / "c" / "store").get(folder.name) is None
    first = run(task, tmp_path, results=tmp_path / "r2")
    assert first.error is None and first.run.encoded_audio_seconds > 1
    assert (folder / name).read_bytes() == good


def test_means_and_frames_of_one_shard_do_not_collide(tmp_path):
    """Two tasks over the same shards and the same crops; one wants means, one frames."""
    frames = make_task(tmp_path, "transcript")
    means = write_task(tmp_path, "gender", "transcript")
    means.write_text(means.read_text().replace("crop_seconds: 0.5\n", ""))
    for order in ((frames, means), (means, frames)):
        out = tmp_path / order[0].stem
        results = evaluate(
            "logmel", list(map(str, order)), data=tmp_path / "data", results=out / "r",
            cache=out / "c", seeds=1, device="cpu",
        )  # fmt: skip
        assert [result.error for result in results] == [None, None]
        found = entries(out)
        assert sorted(array.dtype.name for *_, array in found) == ["float16"] * 3 + ["float32"] * 3
        by_keys: dict[str, dict[str, np.ndarray]] = {}
        for _, manifest, array in found:
            by_keys.setdefault(str(manifest["keys"]), {})[array.dtype.name] = (array, manifest)
        assert len(by_keys) == 3
        for kinds in by_keys.values():
            (half, manifest), (whole, other) = kinds["float16"], kinds["float32"]
            assert other["frames"] is None and len(whole) == len(other["keys"])
            parts = np.split(half.astype(np.float64), np.cumsum(manifest["frames"])[:-1])
            assert np.allclose([part.mean(axis=0) for part in parts], whole, atol=2e-3)


def test_values_beyond_float16_are_a_named_failure(tmp_path):
    clips = {"a": noise(RATE), "b": noise(RATE, first=0.9), "c": noise(RATE)}
    encoder, pipeline = Loudness(), AudioPipeline(RATE)
    frames, means = embed(
        tmp_path,
        clips,
        EmbeddingRequest(encoder, pipeline, frames=True),
        EmbeddingRequest(encoder, pipeline),
    )
    assert frames.keys == ["a", "c"] and frames.frames == [10, 10]
    ((shard, key, reason),) = frames.failures
    assert (shard, key) == ("s.tar", "b")
    assert "loudness" in reason and "65504" in reason
    assert means.keys == ["a", "b", "c"] and means.embeddings[1, 0] == 1e6  # means are float32
    assert np.isfinite(frames.embeddings).all() and means.failures == []
    edge = Loudness()
    edge.scale = 65504.0
    (kept,) = embed(tmp_path, clips, EmbeddingRequest(edge, pipeline, frames=True))
    assert kept.keys == ["a", "b", "c"] and kept.embeddings.max() == 65504
    nan = Loudness()
    nan.scale = float("nan")
    (lost,) = embed(tmp_path, clips, EmbeddingRequest(nan, pipeline, frames=True))
    assert lost.keys == ["a", "c"] and "NaN or infinity" in lost.failures[0].reason


def test_a_drift_is_refused_where_frames_count_in_time(tmp_path):
    """96 frames in 10 s in place of 100: near enough for a mean, 0.4 s off at the end in time."""

    class Slow(Loudness):
        def encode(self, waveforms, lengths):
            made = super().encode(waveforms, lengths)
            return Frames(
                made.values[:, : int(made.lengths.max() * 0.96)], made.lengths * 96 // 100
            )

    encoder, pipeline = Slow(), AudioPipeline(RATE)
    clips = {"a": noise(10 * RATE)}
    (means,) = embed(tmp_path, clips, EmbeddingRequest(encoder, pipeline))
    assert means.keys == ["a"]
    with pytest.raises(EncoderError, match="claims 10 frames a second but returned 96 for 10"):
        embed(tmp_path, clips, EmbeddingRequest(encoder, pipeline, frames=True))


def test_values_beyond_float16_are_named_in_the_result(tmp_path):
    extra = clip_members(
        "loud", noise(RATE, first=0.9), [{"onset": 0.1, "offset": 0.5, "label": "low"}]
    )
    task = make_task(tmp_path, "events", extra={"test": extra})
    result = run(task, tmp_path, Loudness(), failed_share=0.1)
    assert result.status == "done" and result.data.failed_clips == 1
    (failure,) = result.data.failures
    assert (failure.shard, failure.key) == ("test-000.tar", "loud")
    assert "65504" in failure.reason
    assert result.scores["linear"].items == 4


@pytest.mark.parametrize("encoder", [Loudness(), Slower(), load_encoder("logmel")])
def test_seconds_are_the_files_own_whatever_the_encoders_rate(tmp_path, encoder):
    lengths = [16_001, 7_777, 23_456]
    clips = {f"k{i}": noise(n, i) for i, n in enumerate(lengths)}
    clips["k3"] = audio_bytes(np.zeros((44_099, 2)), 44_100, "flac")
    clips["k4"] = audio_bytes(np.full(1234, 0.1), 8000)
    pipeline = AudioPipeline(encoder.sample_rate)
    (entry,) = embed(tmp_path, clips, EmbeddingRequest(encoder, pipeline, frames=True))
    expected = [*(n / RATE for n in lengths), 44_099 / 44_100, 1234 / 8000]
    assert entry.seconds == expected
    EmbeddingStore(tmp_path / "store").put("ab" * 32, entry)
    again = EmbeddingStore(tmp_path / "store").get("ab" * 32)
    assert again is not None and again.seconds == expected and again.frames == entry.frames
