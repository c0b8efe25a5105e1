"""Embeddings in the order of the tar, worked out by hand in float64, one crop at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from clips import audio_bytes, clip_members, write_tar

from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.embedding.collectors import EmbeddingRequest, EmbedSettings, FileOrder
from earmark.benchmark.embedding.embed import ShardJob, embed_shards
from earmark.benchmark.shards.shard import read_shard
from earmark.benchmark.store import ShardEmbeddings
from earmark.encoders import AudioEncoder, Frames

RATE, HOP = 1000, 10
SETTINGS = EmbedSettings(device="cpu", workers=2)
Clips = Sequence[tuple[str, np.ndarray]]


def frames_of(waveforms: torch.Tensor) -> torch.Tensor:
    """One more than the mean of each 10 samples, and the largest: padding is no zero in it."""
    count = max(1, waveforms.shape[1] // HOP)
    blocks = waveforms[:, : count * HOP].reshape(len(waveforms), count, -1)
    return torch.stack([blocks.mean(dim=2) + 1, blocks.amax(dim=2)], dim=2)


class Recorder(AudioEncoder):
    """Keeps what it is given. refused: it raises where a clip holds this sample."""

    name, sample_rate, embedding_dim, frame_rate = "recorder", RATE, 2, RATE / HOP
    honours_lengths = True

    def __init__(self, refused: float | None = None) -> None:
        super().__init__()
        self.refused = refused
        self.seen: list[tuple[np.ndarray, list[int]]] = []

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        self.seen.append((waveforms.clone().numpy(), lengths.tolist()))
        if self.refused is not None and bool((waveforms == self.refused).any()):
            raise RuntimeError("not this one")
        return Frames(frames_of(waveforms), (lengths // HOP).clamp(min=1))


class Expected(NamedTuple):
    """batches: padded waveforms of each; rows: for each clip its crops' frames (F, 2)."""

    batches: list[np.ndarray]
    rows: dict[str, list[np.ndarray]]


def worked_out(clips: Clips, size: int, crop: int | None, first_only: bool) -> Expected:
    """As the package does it: crops in a row, cut into batches, one row a (clip, batch)."""
    crops: list[tuple[str, np.ndarray]] = []
    for key, samples in clips:
        whole = [samples]
        if crop is not None:
            whole = [samples[i : i + crop] for i in range(0, len(samples) - crop + 1, crop)]
            whole = whole or [np.concatenate([samples, np.zeros(crop - len(samples))])]
        crops += [(key, piece) for piece in whole]
    batches, rows = [], {}
    for number in range(0, len(crops), size):
        batch = crops[number : number + size]
        longest = max(len(piece) for _, piece in batch)
        padded = np.zeros((len(batch), longest))
        written = set()
        for row, (key, piece) in zip(padded, batch, strict=True):
            row[: len(piece)] = piece
            if key in written and first_only:
                continue
            written.add(key)
            blocks = [row[i : i + HOP] for i in range(0, longest - HOP + 1, HOP)] or [row]
            frames = [[np.mean(block) + 1, np.max(block)] for block in blocks]
            rows.setdefault(key, []).append(np.array(frames))
        batches.append(padded)
    return Expected(batches, rows)


def made(clips: Clips, folder: Path, extra: Any = (), at: int = 0) -> Path:
    """A tar of the clips as they come; extra: members put in before clip number `at`."""
    parts = [clip_members(key, audio_bytes(s, RATE, subtype="FLOAT"), {}) for key, s in clips]
    members = [member for part in [*parts[:at], list(extra), *parts[at:]] for member in part]
    return write_tar(folder / "clips.tar", members)


def embed(
    path: Path, *views: EmbeddingRequest, keys: frozenset[str] | None = None
) -> list[ShardEmbeddings]:
    (found,) = embed_shards([ShardJob(read_shard(path), views, keys)], SETTINGS)
    return found


def view(
    encoder: AudioEncoder, size: int, crop: float | None = None, *, frames: bool = False,
    first_only: bool = True,
) -> EmbeddingRequest:  # fmt: skip
    return EmbeddingRequest(
        encoder, AudioPipeline(RATE, crop, "torchaudio"), frames, FileOrder(size, first_only)
    )


def noise(*lengths: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-0.9, 0.9, n).astype(np.float32).astype(np.float64) for n in lengths]


def named(names: str, *lengths: int) -> list[tuple[str, np.ndarray]]:
    return list(zip(names, noise(*lengths), strict=True))


def check(found: ShardEmbeddings, clips: Clips, expected: Expected) -> None:
    assert found.keys == [key for key, _ in clips]
    assert found.crops == [len(expected.rows[key]) for key in found.keys]
    rows = [row for key in found.keys for row in expected.rows[key]]
    if found.frames is None:
        wanted = np.array([row.mean(axis=0) for row in rows])
        np.testing.assert_allclose(found.embeddings, wanted, rtol=1e-5, atol=1e-6)
    else:
        assert found.frames == [len(row) for row in rows]
        np.testing.assert_allclose(found.embeddings, np.concatenate(rows), atol=2e-3)


def check_batches(encoder: Recorder, expected: Expected) -> None:
    assert [waveforms.shape for waveforms, _ in encoder.seen] == [
        batch.shape for batch in expected.batches
    ]
    for (waveforms, lengths), batch in zip(encoder.seen, expected.batches, strict=True):
        np.testing.assert_allclose(waveforms, batch, atol=1e-7)
        assert lengths == [batch.shape[1]] * len(batch)  # nobody is told where a clip ends
