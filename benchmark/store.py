"""EmbeddingStore: what has been encoded already, content-addressed, one entry a shard.

An entry is a folder that appears whole or not at all:

    <root>/<first two hex digits of the key>/<key>/embeddings.npy
                                                   spread.npy
                                                   manifest.json
                                                   speed.json

The array holds one row a crop, the mean over its frames (float32), and `spread.npy` their standard
deviation and maximum; where a task needs them, the frames themselves, one crop after the other
(float16; the manifest has how many each has). Entries of before there was a spread have none: they
are read where the mean is enough. What embedding took (`embedding/clock.py`) lies outside of what
the manifest seals: it differs from run to run where nothing else does.

The key is a SHA-256 over everything that decides the numbers: the encoder's fingerprint, the
audio pipeline, how frames are pooled, how batches are padded, the shard's own hash, and which of
its clips were asked for. Two tasks over the same shards with equal crops share entries.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.io.files import folder_written_whole, remove_leftovers
from earmark.benchmark.io.sealed import say_bad
from earmark.benchmark.shards.shard import Failure

FORMAT = 1
SPREAD = "spread.npy"
SPEED = "speed.json"
_ABANDONED_S = 24 * 3600.0


@dataclass
class ShardEmbeddings:
    """One shard's clips as one encoder hears them.

    embeddings: (N, D) float32, the mean over each crop's valid frames; or float16 frames, one
        crop's after the other. Clips in the order of `keys`, their crops by number.
    keys: the clips' keys, sorted, or as in the shard's file where batches follow that; crops: how
        many crops each has, in the same order.
    failures: clips that could not be decoded or encoded.
    seconds: audio encoded of each clip; by frame, the length of its file.
    frames: how many frames each crop has; None where rows are means.
    spread: (N, 2, D) float32, standard deviation and maximum over each crop's valid frames; None by
        frame, and where it was not asked for or an older version wrote the entry.
    made: where and with what it was made; information, not part of the key.
    speed: how long it took, as an `EmbeddingClock` has it; empty where that is not known.
    transient: a clip failed for a reason that may pass (the encoder, memory, the disk) and not
        because of its audio. Such an entry is used but never stored.
    """

    embeddings: NDArray[np.float32] | NDArray[np.float16]
    keys: list[str]
    crops: list[int]
    failures: list[Failure]
    seconds: list[float]
    frames: list[int] | None = None
    spread: NDArray[np.float32] | None = None
    made: dict[str, Any] = field(default_factory=dict)
    speed: dict[str, Any] = field(default_factory=dict)
    transient: bool = False


class EmbeddingStore:
    """Entries under one folder. Safe for several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @staticmethod
    def key(
        *,
        encoder_fingerprint: str,
        audio: dict[str, Any],
        batches: str,
        shard_sha256: str,
        clips: Sequence[str] | None = None,
        frames: bool = False,
        compute: str = "float32",
    ) -> str:
        """Key of an entry. clips: keys of a part of the shard, in order; None: the whole shard.

        batches: how they are made, in words. frames: whether the frames themselves are kept, not
        their mean. compute: what the encoder computes in on the device at hand.
        """
        facts = {
            "format": FORMAT,
            "encoder": encoder_fingerprint,
            "audio": audio,
            "pooling": "none: frames as float16" if frames else "mean over valid frames",
            "batches": batches,
            "compute": compute,
            "shard": shard_sha256,
            "clips": None if clips is None else list(clips),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def folder(self, key: str) -> Path:
        return self.root / key[:2] / key

    def get(self, key: str, *, spread: bool = False) -> ShardEmbeddings | None:
        """The entry, or None where there is none or it is damaged (said; it is then made again).

        spread: whether deviation and maximum are wanted too; an entry without them is None then.
        """
        folder = self.folder(key)
        if spread and self.has(key) and not self.has(key, spread=True):
            return None
        entry = self._read(folder, key, spread)
        if entry is None and os.path.lexists(folder):
            say_bad(folder, "is damaged")
        return entry

    def _read(self, folder: Path, key: str, spread: bool) -> ShardEmbeddings | None:
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            stated = manifest.pop("sha256")
            # opened once: by the time of a second look another process may have replaced it
            with (folder / "embeddings.npy").open("rb") as file:
                # by its key too: the entry of another lies elsewhere
                if _digest(file, _to_text(manifest)) != stated or manifest["key"] != key:
                    return None
                # means are small, and a map keeps its file open
                embeddings = _map(file) if manifest["frames"] else np.array(_map(file), np.float32)
            return ShardEmbeddings(
                embeddings=embeddings,
                spread=_whole(folder / SPREAD, manifest["spread"]) if spread else None,
                keys=manifest["keys"],
                crops=manifest["crops"],
                failures=[Failure(*failure) for failure in manifest["failures"]],
                seconds=manifest["seconds"],
                frames=manifest["frames"],
                made=manifest["made"],
                speed=_speed(folder / SPEED),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def has(self, key: str, *, spread: bool = False) -> bool:
        """Whether there is an entry (with its spread), intact or not: quicker than to get it."""
        folder = self.folder(key)
        return (folder / "manifest.json").is_file() and (not spread or (folder / SPREAD).is_file())

    def put(self, key: str, entry: ShardEmbeddings) -> None:
        """Write an entry; an intact one that another process wrote meanwhile stays.

        An entry with failures that may pass is not written: they would outlast their cause.
        """
        if entry.transient:
            return
        folder = self.folder(key)
        damaged_or_forced = os.path.lexists(folder)
        with folder_written_whole(folder, replace=damaged_or_forced) as temporary:
            np.save(temporary / "embeddings.npy", entry.embeddings, allow_pickle=False)
            manifest: dict[str, Any] = {
                "format": FORMAT,
                "key": key,
                "seconds": entry.seconds,
                "made": entry.made,
                "failures": entry.failures,
                "frames": entry.frames,
                "crops": entry.crops,
                "keys": entry.keys,
            }
            if entry.spread is not None:
                np.save(temporary / SPREAD, entry.spread, allow_pickle=False)
                with (temporary / SPREAD).open("rb") as file:
                    manifest["spread"] = hashlib.file_digest(file, "sha256").hexdigest()
            if entry.speed:
                (temporary / SPEED).write_text(_to_text(entry.speed), encoding="utf-8")
            with (temporary / "embeddings.npy").open("rb") as file:
                manifest["sha256"] = _digest(file, _to_text(manifest))
            (temporary / "manifest.json").write_text(_to_text(manifest), encoding="utf-8")

    def remove_leftovers(self) -> None:
        """Remove what killed runs left behind, a day after they stopped writing."""
        for folder in self.root.glob("??"):
            remove_leftovers(folder, _ABANDONED_S)


def _speed(path: Path) -> dict[str, Any]:
    """What was noted of an entry's making; nothing where there is none, or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _map(file: BufferedReader) -> NDArray[np.float32] | NDArray[np.float16]:
    """The array of an open .npy file, memory-mapped."""
    file.seek(0)
    np.lib.format.read_magic(file)
    shape, _, kind = np.lib.format.read_array_header_1_0(file)
    return np.memmap(file, dtype=kind, mode="r", offset=file.tell(), shape=shape)


def _whole(path: Path, sha256: str) -> NDArray[np.float32]:
    """The array of a .npy file. Raises ValueError where the file is not of this SHA-256."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise ValueError(f"{path} is damaged")
        return np.array(_map(file), np.float32)


def _to_text(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, ensure_ascii=False, separators=(",", ":"))


def _digest(file: BufferedReader, manifest: str) -> str:
    """SHA-256 (hex) of an entry: the array's file, then the manifest without this digest."""
    digest = hashlib.file_digest(file, "sha256")
    digest.update(manifest.encode())
    return digest.hexdigest()
