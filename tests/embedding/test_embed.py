"""Embedding: batches, pooling, padding that never leaks, and encoders that break their word."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
import torch
from clips import audio_bytes, clip_members, write_tar
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.embedding.batches import Want, encode_batches, pad, plan_batches
from earmark.benchmark.embedding.collectors import EmbeddingRequest, EmbedSettings
from earmark.benchmark.embedding.embed import ShardJob, embed_shards
from earmark.benchmark.embedding.pooling import pool
from earmark.benchmark.embedding.windows import whole
from earmark.benchmark.shards.shard import read_shard
from earmark.benchmark.store import ShardEmbeddings
from earmark.encoders import AudioEncoder, EncoderError, Frames, load_encoder

RATE = 16_000
ONE_BY_ONE, SOME, ALL = 0.001, 2.0, 10_000.0


class Means(AudioEncoder):
    """Means and loudness of 100 samples, less the mean of all it was given: padding does leak."""

    name, sample_rate, embedding_dim, frame_rate = "means", RATE, 2, RATE / 100

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[int]] = []

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        self.seen.append(lengths.tolist())
        loud = waveforms.abs()
        centred = waveforms - loud.mean(dim=1, keepdim=True)
        frames = (lengths // 100).clamp(min=1)
        missing = max(0, int(frames.max()) * 100 - waveforms.shape[1])
        parts = [
            torch.nn.functional.pad(x, (0, missing))[:, : int(frames.max()) * 100]
            .reshape(len(x), -1, 100).mean(dim=2)
            for x in (centred, loud)
        ]  # fmt: skip
        return Frames(torch.stack(parts, dim=2), frames)


class Fails(Means):
    """Cannot stand clips that begin with a value above 0.5; says so in two lines."""

    honours_lengths = True
    error: type[Exception] = RuntimeError

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        if (waveforms[:, 0] > 0.5).any():
            raise self.error("too loud\nto bear")
        return super().encode(waveforms, lengths)


class NotANumber(Means):
    honours_lengths = True

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        frames = super().encode(waveforms, lengths)
        frames.values[waveforms[:, 0] > 0.5, 0, 0] = torch.nan
        return frames


class LittleMemory(Means):
    """Has room for two clips, less those of earlier passes that something still holds."""

    honours_lengths = True

    def __init__(self) -> None:
        super().__init__()
        self.held: WeakSet[torch.Tensor] = WeakSet()

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        made = waveforms.clone()
        self.held.add(made)
        if sum(len(one) for one in self.held) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return super().encode(waveforms, lengths)


def noise_clips(lengths: list[int], seed: int = 0, loud: tuple[int, ...] = ()) -> dict[str, bytes]:
    rng = np.random.default_rng(seed)
    clips = {}
    for i, n in enumerate(lengths):
        samples = rng.uniform(-0.4, 0.4, n)
        samples[0] = 0.9 if i in loud else 0.1
        clips[f"k{i:02d}"] = audio_bytes(samples, RATE, "wav", "FLOAT")
    return clips


def embed(
    folder: Path,
    clips: dict[str, bytes],
    encoder: AudioEncoder,
    batch_seconds: float = SOME,
    crop_seconds: float | None = None,
    order: list[int] | None = None,
    workers: int = 2,
) -> ShardEmbeddings:
    names = list(clips)
    names = names if order is None else [names[i] for i in order]
    members = [m for name in names for m in clip_members(name, clips[name], {})]
    view = EmbeddingRequest(encoder.eval(), AudioPipeline(encoder.sample_rate, crop_seconds))
    job = ShardJob(read_shard(write_tar(folder / "s.tar", members)), (view,))
    done: list[tuple[int, float]] = []
    ((entry,),) = embed_shards(
        [job],
        EmbedSettings("cpu", batch_seconds, workers),
        lambda count, seconds: done.append((count, seconds)),
    )
    assert sum(count for count, _ in done) == len(clips)
    assert entry.embeddings.shape == (sum(entry.crops), encoder.embedding_dim)
    assert entry.embeddings.dtype == np.float32
    return entry


# ---- batches


@settings(max_examples=200)
@given(
    lengths=st.lists(st.integers(1, 60), max_size=50),
    budget=st.integers(1, 300),
    equal=st.booleans(),
)
def test_plan_batches(lengths, budget, equal):
    batches = plan_batches(lengths, budget, equal_lengths=equal)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        sizes = [lengths[i] for i in batch]
        assert len(batch) == 1 or len(batch) * max(sizes) <= budget
        assert not equal or len(set(sizes)) == 1
    flat = [lengths[i] for batch in batches for i in batch]
    assert flat == sorted(flat)
    if equal:  # no two batches could have been one
        for one, other in itertools.pairwise(batches):
            longest = lengths[other[0]]
            assert lengths[one[0]] != longest or (len(one) + 1) * longest > budget


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    extra=st.integers(0, 3),
    poison=st.sampled_from([np.nan, np.inf, 1e30]),
    kind=st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64]),
)
def test_pool_is_the_mean_of_valid_frames(lengths, extra, poison, kind):
    rng = np.random.default_rng(len(lengths))
    values = torch.tensor(rng.standard_normal((len(lengths), max(lengths) + extra, 5)), dtype=kind)
    expected = [values[i, :n].double().numpy().mean(axis=0) for i, n in enumerate(lengths)]
    for i, n in enumerate(lengths):
        values[i, n:] = poison
    pooled = pool(Frames(values, torch.tensor(lengths)))
    assert pooled.dtype == torch.float32
    assert np.allclose(pooled.numpy(), np.array(expected), rtol=1e-6, atol=1e-6)


# ---- independence of batches, order and threads

MIXED = [1, 99, 500, 16_000, 16_000, 7777, 40_000, 640, 641, 24_000, 16_000, 3]


@pytest.mark.parametrize("name", ["logmel", "mfcc"])
def test_batch_size_does_not_matter(tmp_path, name):
    clips, encoder = noise_clips(MIXED), load_encoder(name)
    alone, some, together = (embed(tmp_path, clips, encoder, s) for s in (ONE_BY_ONE, SOME, ALL))
    assert alone.keys == some.keys == together.keys == sorted(clips)
    for entry in (some, together):
        assert np.allclose(entry.embeddings, alone.embeddings, rtol=1e-5, atol=1e-5)
    assert np.abs(alone.embeddings - alone.embeddings[0]).max() > 1


@pytest.mark.parametrize("encoder", [Means(), load_encoder("logmel")], ids=["means", "logmel"])
def test_order_in_the_tar_and_threads_change_no_bit(tmp_path, encoder):
    clips = noise_clips(MIXED)
    first = embed(tmp_path, clips, encoder)
    for seed, workers in ((0, 1), (1, 5)):
        order = np.random.default_rng(seed).permutation(len(clips)).tolist()
        again = embed(tmp_path, clips, encoder, order=order, workers=workers)
        assert again.keys == first.keys
        assert again.embeddings.tobytes() == first.embeddings.tobytes()


@pytest.mark.parametrize("crop_seconds", [None, 0.25])
def test_an_encoder_that_ignores_lengths_never_sees_padding(tmp_path, crop_seconds):
    clips, encoder = noise_clips(MIXED), Means()
    alone = embed(tmp_path, clips, encoder, ONE_BY_ONE, crop_seconds)
    encoder.seen.clear()
    together = embed(tmp_path, clips, encoder, ALL, crop_seconds)
    assert all(len(set(lengths)) == 1 for lengths in encoder.seen)
    assert max(map(len, encoder.seen)) >= 3
    assert np.allclose(together.embeddings, alone.embeddings, rtol=1e-5, atol=1e-6)

    class Careless(Means):
        honours_lengths = True

    leaked = embed(tmp_path, clips, Careless(), ALL, crop_seconds)
    assert np.abs(leaked.embeddings - alone.embeddings).max() > 0.01


def test_crops_are_rows_in_order(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.4, 0.4, (3, 9000))
    clips = {f"k{i}": audio_bytes(s[:n], RATE, "wav", "FLOAT")
             for i, (s, n) in enumerate(zip(samples, (9000, 1500, 4100), strict=True))}  # fmt: skip
    entry = embed(tmp_path, clips, Means(), ALL, crop_seconds=0.125)
    assert (entry.keys, entry.crops) == (["k0", "k1", "k2"], [4, 1, 2])
    pieces = [samples[0, i * 2000 : (i + 1) * 2000] for i in range(4)]
    pieces += [samples[1, :1500], samples[2, :2000], samples[2, 2000:4000]]
    loudness = np.array([np.abs(piece.astype(np.float32)).mean() for piece in pieces])
    assert np.allclose(entry.embeddings[:, 1], loudness, atol=1e-6)
    assert sum(entry.seconds) == pytest.approx((8000 + 1500 + 4000) / RATE, abs=1e-3)


def test_several_shards_and_chosen_keys(tmp_path):
    jobs = []
    for name, keys in (("a", None), ("b", frozenset({"k01"})), ("c", frozenset()), ("d", None)):
        clips = noise_clips([800, 900, 1000], seed=ord(name))
        members = [m for key in clips for m in clip_members(key, clips[key], {})]
        shard = read_shard(write_tar(tmp_path / f"{name}.tar", members if name != "d" else []))
        jobs.append(ShardJob(shard, (EmbeddingRequest(Means(), AudioPipeline(RATE)),), keys))
    settings_ = EmbedSettings("cpu", ALL, 3)
    entries = [entry for (entry,) in embed_shards(jobs, settings_)]
    assert [entry.keys for entry in entries] == [["k00", "k01", "k02"], ["k01"], [], []]
    alone = [entry for (entry,) in embed_shards(jobs[1:2], settings_)]
    assert np.allclose(alone[0].embeddings, entries[1].embeddings)


# ---- clips that fail


@pytest.mark.parametrize("batch_seconds", [ONE_BY_ONE, SOME, ALL])
def test_only_clips_at_fault_are_lost(tmp_path, batch_seconds):
    lengths = [3000, 4000, 5000, 3000, 8000]
    clips = noise_clips(lengths, loud=(1, 3))
    good = embed(tmp_path, clips, Means(), ONE_BY_ONE)
    keep = [0, 2, 4]
    for encoder, words in ((Fails(), "RuntimeError: too loud to bear"), (NotANumber(), "NaN")):
        encoder.honours_lengths = False
        entry = embed(tmp_path, clips, encoder, batch_seconds)
        assert entry.keys == ["k00", "k02", "k04"]
        assert [(f.shard, f.key) for f in entry.failures] == [("s.tar", "k01"), ("s.tar", "k03")]
        for failure in entry.failures:
            assert words in failure.reason and encoder.name in failure.reason
            assert "\n" not in failure.reason
        assert np.allclose(entry.embeddings, good.embeddings[keep], atol=1e-6)
        assert entry.seconds == pytest.approx([lengths[i] / RATE for i in keep], abs=1e-3)
        # what an encoder raises may pass, so it is not stored; what it made of the audio will not
        assert entry.transient == (words != "NaN")


def test_a_clip_with_one_bad_crop_is_lost_whole(tmp_path):
    samples = np.full(6000, 0.1)
    samples[2000] = 0.9  # begins the second crop
    good, bad = (audio_bytes(s, RATE, "wav", "FLOAT") for s in (np.full(4000, 0.2), samples))
    entry = embed(tmp_path, {"a": good, "b": bad, "c": good}, Fails(), ALL, crop_seconds=0.125)
    assert (entry.keys, entry.crops) == (["a", "c"], [2, 2])
    assert [failure.key for failure in entry.failures] == ["b"]


def test_audio_that_cannot_be_decoded_is_named(tmp_path):
    clips = noise_clips([1000] * 4) | {"k01": b"junk", "k03": b""}
    entry = embed(tmp_path, clips, Means())
    assert entry.keys == ["k00", "k02"]
    reasons = {failure.key: failure.reason for failure in entry.failures}
    assert sorted(reasons) == ["k01", "k03"] and reasons["k03"] == "empty file"
    nothing = embed(tmp_path, {"a": b"", "b": b"junk"}, Means())
    assert nothing.embeddings.shape == (0, 2) and len(nothing.failures) == 2


def test_out_of_memory_halves_the_batch(tmp_path):
    clips = noise_clips([1000] * 9)
    encoder = LittleMemory()
    entry = embed(tmp_path, clips, encoder, ALL)
    assert entry.failures == [] and max(map(len, encoder.seen)) == 2
    assert np.allclose(entry.embeddings, embed(tmp_path, clips, Means()).embeddings, atol=1e-6)


@pytest.mark.parametrize("kind", [Means, Fails, NotANumber, LittleMemory])
def test_batches_padded_ahead_are_those_padded_when_they_are_needed(kind):
    """As a GPU has them: the same bits and words for every crop, in order."""
    rng = np.random.default_rng(3)
    sizes = [[900], [400, 350, 500], [100, 120], [1600, 1500, 1400, 1300], [50]]
    batches = [[whole(rng.uniform(-0.6, 0.6, n).astype(np.float32)) for n in own] for own in sizes]
    made = [
        list(encode_batches([Want(kind().eval())], batches, "cpu", ahead=ahead))
        for ahead in (False, True)
    ]
    assert [len(rows) for rows in made[1]] == [len(own) for own in sizes]
    for plain, ahead in zip(itertools.chain(*made[0]), itertools.chain(*made[1]), strict=True):
        assert type(plain[0]) is type(ahead[0]) and np.array_equal(plain[0], ahead[0])
    assert list(encode_batches([Want(Means())], [], "cpu", ahead=True)) == []


def test_no_padding_is_made_more_than_one_batch_ahead(monkeypatch):
    padded, seen = [], []

    class Watches(Means):
        def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
            seen.append(len(padded))
            return super().encode(waveforms, lengths)

    def counted(crops, device):
        padded.append(len(crops))
        return pad(crops, device)

    monkeypatch.setattr("earmark.benchmark.embedding.batches.pad", counted)
    batches = [[whole(np.ones(100 * (i + 1), np.float32))] for i in range(6)]
    assert len(list(encode_batches([Want(Watches())], batches, "cpu", ahead=True))) == 6
    assert all(done <= number + 2 for number, done in enumerate(seen)) and len(padded) == 6


# ---- encoders that break their contract


@dataclasses.dataclass(eq=False)
class Wrong(Means):
    change: str = ""
    honours_lengths = True

    def __post_init__(self) -> None:
        super().__init__()

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        frames = super().encode(waveforms, lengths)
        values, found = frames.values, frames.lengths
        match self.change:
            case "dimension":
                return Frames(torch.cat([values, values], dim=2), found)
            case "flat":
                return Frames(values.mean(dim=1), found)
            case "batch":
                return Frames(values[:1], found)
            case "half rate":
                return Frames(values[:, ::2], (found + 1) // 2)
            case "zero length":
                return Frames(values, found * 0)
            case "too long":
                return Frames(values, found + values.shape[1])
            case "one length":
                return Frames(values, found[:1])
            case "samples":
                return Frames(values, lengths)
        return frames


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("dimension", "embedding_dim"),
        ("flat", "shape (3, 2)"),
        ("batch", "shape (1, 100, 2)"),
        ("half rate", "claims 160 frames a second but returned 50 for 0.62 s"),
        ("zero length", "frame lengths [0, 0, 0]"),
        ("too long", "frame lengths"),
        ("one length", "each clip's own number"),
        ("samples", "frame lengths"),
    ],
)
def test_a_broken_promise_stops_the_task_in_one_line(tmp_path, change, words):
    clips = noise_clips([10_000] * 3)
    assert embed(tmp_path, clips, Wrong(), ALL).failures == []
    with pytest.raises(EncoderError) as caught:
        embed(tmp_path, clips, Wrong(change), ALL)
    message = str(caught.value)
    assert words in message and "'means'" in message and "\n" not in message
