"""Any frozen encoder to inject into: its frames of the audio, computed once and kept.

What the encoder gives does not change while acoustic path and decoder learn, so it runs over the
corpus once. Where the disk has no room for its frames they are computed for every crop anew.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.embedding.batches import Want, encode_batch, plan_batches
from earmark.benchmark.embedding.windows import Piece, Placed, limits_of
from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.io.sealed import make_folder
from earmark.benchmark.paths import default_cache
from earmark.encoders.dasheng.training.config import InjectionTraining, TrainingError
from earmark.encoders.dasheng.training.corpus import FULL_SCALE, Corpus
from earmark.encoders.dasheng.training.processes import Processes
from earmark.encoders.encoder import AudioEncoder
from earmark.encoders.injection.geometry import geometry_of
from earmark.encoders.injection.sampler import FrameSource, Pieces, PieceSampler
from earmark.encoders.injection.stage import InjectionIntoStage

FORMAT = 1  # of what is kept
PIECE_SECONDS = 30.0  # the longest stretch that an encoder hears at once
BATCH_SECONDS = 120.0
_SHARE_OF_DISK = 0.5  # of what is free, which frames may take
_FRAMES, _COUNTS, _MANIFEST = "frames.npy", "counts.json", "frames.json"


class FrozenEncoder:
    """An encoder, frozen, with its frames of the audio that is trained on.

    encoder: any encoder of frames. semantic: its name, by which the finished model finds it again.
    device: where it runs. cache: where its frames are kept. track, tell: as of `train`.
    Raises TrainingError for an encoder into which nothing can be injected.
    """

    def __init__(
        self,
        encoder: AudioEncoder,
        semantic: str,
        config: InjectionTraining,
        *,
        device: str = "cpu",
        cache: Path | None = None,
        track: ProgressFactory = no_progress,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.encoder, self.semantic = encoder, semantic
        self.device, self.cache = device, cache or default_cache()
        self.track, self.tell = track, tell
        self.geometry = geometry_of(encoder, config.model)
        self.crop_frames = max(1, round(config.crop_seconds * self.geometry.frame_rate))
        longest = encoder.fixed_seconds or encoder.max_seconds
        self.piece_seconds = min(PIECE_SECONDS, longest or PIECE_SECONDS)
        if self.piece_seconds < config.crop_seconds:
            raise TrainingError(
                f"encoder {encoder.name!r} hears {self.piece_seconds:g} s at most; crop_seconds is "
                f"{config.crop_seconds:g}; make it shorter"
            )

    def sampler(
        self, corpus: Corpus, config: InjectionTraining, shares: Mapping[str, float]
    ) -> PieceSampler:
        """Crops of a corpus, with the frozen encoder's frames of them."""
        pieces, source = self._frames(corpus)
        return PieceSampler(
            corpus, pieces, source, self.geometry, shares, self.crop_frames, config.seed
        )

    def prepare(self, corpus: Corpus) -> None:
        """Have its frames of a corpus, before they are asked for."""
        self._frames(corpus)

    def stage(
        self, config: InjectionTraining, sampler: PieceSampler, group: Processes
    ) -> InjectionIntoStage:
        """What trains on them."""
        return InjectionIntoStage(
            config, self.encoder, self.semantic, self.geometry, sampler, group
        )

    def bytes_of(self, corpus: Corpus) -> int:
        """What its frames of a corpus take on the disk, roughly."""
        seconds = len(corpus.samples) / corpus.sample_rate
        return int(seconds * self.geometry.frame_rate * self.geometry.embed_dim * 2)

    def _frames(self, corpus: Corpus) -> tuple[Pieces, FrameSource]:
        clips, begins, ends = self._cut(corpus)
        folder = self.cache / "training"
        folder.mkdir(parents=True, exist_ok=True)
        room = shutil.disk_usage(folder).free * _SHARE_OF_DISK
        if self.bytes_of(corpus) > room:
            self.tell(
                f"the frames of {self.encoder.name} would take {self.bytes_of(corpus) / 1e9:.1f} "
                f"GB, more than half of what is free in {folder}; they are computed for every crop"
            )
            rate = self.geometry.frame_rate / self.geometry.sample_rate
            least = np.maximum(((ends - begins) * rate).astype(np.int64) - 2, self.crop_frames)
            pieces = Pieces(clips, begins, ends, least)
            return pieces, _Computed(self, corpus, pieces)
        key = f"{self.encoder.fingerprint()[:16]}-{corpus.digest[:16]}-{self.crop_frames}"
        kept = folder / f"frames-{key}-{self.encoder.compute_dtype(self.device)}"
        facts = {"format": FORMAT, "encoder": self.encoder.fingerprint(), "audio": corpus.digest}
        make_folder(kept, _MANIFEST, facts, lambda made: self._make(made, corpus, begins, ends))
        counts = np.array(json.loads((kept / _COUNTS).read_text(encoding="utf-8")))
        frames: NDArray[np.float16] = np.load(kept / _FRAMES, mmap_mode="r")
        return Pieces(clips, begins, ends, counts), _Stored(frames, counts)

    def _cut(
        self, corpus: Corpus
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Of which clip each piece is, and where it begins and ends."""
        longest = round(self.piece_seconds * corpus.sample_rate)
        rows = [
            (clip, begin, min(int(high), begin + longest))
            for clip, (low, high) in enumerate(
                zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True)
            )
            for begin in range(int(low), int(high), longest)
        ]
        clips, begins, ends = (np.array(column) for column in zip(*rows, strict=True))
        return clips, begins, ends

    def _make(
        self, folder: Path, corpus: Corpus, begins: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> None:
        """Run the encoder over all pieces, into an empty folder."""
        counts = np.zeros(len(begins), np.int64)
        raw = folder / "frames.raw"
        with (
            raw.open("wb") as file,
            self.track(f"frames of {self.encoder.name}", len(begins), "pieces") as progress,
        ):
            for number, frames in enumerate(self.encoded(corpus, begins, ends)):
                counts[number] = len(frames)
                file.write(np.ascontiguousarray(frames, np.float16).tobytes())
                seconds = (int(ends[number]) - int(begins[number])) / corpus.sample_rate
                progress.advance(1, seconds)
        shape = (int(counts.sum()), self.geometry.embed_dim)
        flat = np.memmap(raw, np.float16, "r", shape=shape)
        np.save(folder / _FRAMES, flat, allow_pickle=False)
        raw.unlink()
        (folder / _COUNTS).write_text(json.dumps(counts.tolist()), encoding="utf-8")

    def encoded(
        self, corpus: Corpus, begins: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> Iterator[NDArray[Any]]:
        """Frames (F, D) of each piece, in order; a short one is followed by silence.

        Raises TrainingError where the encoder fails on one.
        """
        self.encoder.to(self.device)
        shortest = int(self.geometry.samples_of(torch.tensor(self.crop_frames + 2)))
        window = 64  # pieces that are sorted by length before they are cut into batches
        for first in range(0, len(begins), window):
            crops = []
            for begin, end in zip(
                begins[first : first + window], ends[first : first + window], strict=True
            ):
                samples = corpus.samples[begin:end].astype(np.float32) / FULL_SCALE
                crops.append(np.pad(samples, (0, max(0, shortest - len(samples)))))
            yield from self._window(crops)

    def _window(self, crops: list[NDArray[np.float32]]) -> list[NDArray[Any]]:
        want = [Want(self.encoder, frames=True)]
        lengths = [len(crop) for crop in crops]
        budget = int(BATCH_SECONDS * self.geometry.sample_rate)
        equal, least = not self.encoder.honours_lengths, limits_of(self.encoder).least
        found: dict[int, NDArray[Any]] = {}
        for batch in plan_batches(lengths, budget, equal_lengths=equal):
            pieces = [Piece(crops[i], max(lengths[i], least)) for i in batch]
            made = encode_batch(want, pieces, self.device)
            for i, (encoded,) in zip(batch, made, strict=True):
                if isinstance(encoded, str):
                    raise TrainingError(f"{encoded}; nothing can be injected into it")
                frames = encoded.values if isinstance(encoded, Placed) else encoded
                if len(frames) < self.crop_frames:
                    raise TrainingError(
                        f"encoder {self.encoder.name!r} gives {len(frames)} frames of "
                        f"{lengths[i] / self.geometry.sample_rate:.2f} s; a crop needs "
                        f"{self.crop_frames}; correct its frame_rate"
                    )
                found[i] = frames
        return [found[i] for i in range(len(crops))]


class _Stored:
    """Frames of all pieces, one after another."""

    def __init__(self, frames: NDArray[np.float16], counts: NDArray[np.int64]) -> None:
        self.frames = frames
        self.begins = np.concatenate([[0], np.cumsum(counts)])

    def rows(self, piece: int, first: int, count: int) -> NDArray[np.float32]:
        begin = int(self.begins[piece]) + first
        return self.frames[begin : begin + count].astype(np.float32)


class _Computed:
    """Frames that are computed when they are asked for, of the piece that was asked for last."""

    def __init__(self, frozen: FrozenEncoder, corpus: Corpus, pieces: Pieces) -> None:
        self.frozen, self.corpus, self.pieces = frozen, corpus, pieces
        self.lock = threading.Lock()
        self.last: tuple[int, NDArray[np.float32]] | None = None

    def rows(self, piece: int, first: int, count: int) -> NDArray[np.float32]:
        with self.lock:
            if self.last is None or self.last[0] != piece:
                own = slice(piece, piece + 1)
                (frames,) = self.frozen.encoded(
                    self.corpus, self.pieces.begins[own], self.pieces.ends[own]
                )
                # as they come from the disk
                self.last = (piece, np.asarray(frames, np.float16).astype(np.float32))
            first = min(first, len(self.last[1]) - count)
            return self.last[1][first : first + count]
