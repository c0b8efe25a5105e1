"""Decoding, once, everything that is trained on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.audio.decode import AudioError
from earmark.benchmark.audio.pipeline import AudioPipeline
from earmark.benchmark.audio.prefetch import prefetch
from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.io.sealed import make_folder
from earmark.benchmark.paths import default_cache
from earmark.benchmark.reconstruction.clips import ClipFile, ClipSet, open_material
from earmark.benchmark.shards.dataset import DataError
from earmark.benchmark.shards.shard import Failure
from earmark.benchmark.synthetic import VERSION
from earmark.benchmark.training.synthetic import TRAINING_SEED, training_clips
from earmark.encoders.dasheng.config import SAMPLE_RATE
from earmark.encoders.dasheng.training import Corpus

SYNTHETIC = "synthetic"
FORMAT = 2  # of what is kept
FAILED_SHARE = 0.01
_SAMPLES, _CLIPS, _MANIFEST = "samples.npy", "clips.json", "corpus.json"
_AHEAD = 1 << 28  # bytes decoded before they are written


def make_corpus(
    places: Sequence[str | Path],
    *,
    cache: Path | None = None,
    limit: int | None = None,
    sample_rate: int = SAMPLE_RATE,
    track: ProgressFactory = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Corpus:
    """Mono audio of folders, shards, manifests and `synthetic`; decoded once, kept.

    The data sets are named by their folders or files. sample_rate: Hz, to which
    all is brought. cache: where it is kept, int16, by the hash
    of the files' bytes. limit: at most so many clips of each place (of `synthetic`: of each of its
    22 recipes), a fixed choice. tell: called with a line for each clip that is left out, whether it
    is decoded now or was before.

    Raises DataError where there is nothing, where two places have one name, and where more than
    1 % of the clips cannot be decoded.
    """
    materials = [_open(place, limit) for place in dict.fromkeys(places)]
    names = [material.name for material in materials]
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(f"two data sets are named {min(twice)!r}; rename one's folder")
    clips = [(number, clip) for number, one in enumerate(materials) for clip in one.clips]
    pipeline = AudioPipeline(sample_rate)
    digest = _digest(materials, pipeline)
    folder = (cache or default_cache()) / "training" / f"{digest[:32]}-{FORMAT}"
    make_folder(
        folder, _MANIFEST, {"format": FORMAT, "audio": digest},
        lambda made: _make(made, pipeline, materials, clips, track, tell),
    )  # fmt: skip
    kept = json.loads((folder / _CLIPS).read_text(encoding="utf-8"))
    for line in kept.get("left_out", ()):
        tell(line)
    return Corpus(
        np.load(folder / _SAMPLES, mmap_mode="r"), np.array(kept["offsets"]),
        np.array(kept["groups"]), names, digest,
        sample_rate,
    )  # fmt: skip


def _make(
    folder: Path,
    pipeline: AudioPipeline,
    materials: Sequence[ClipSet],
    clips: Sequence[tuple[int, ClipFile]],
    track: ProgressFactory,
    tell: Callable[[str], None],
) -> None:
    """Decode everything into an empty folder. Raises DataError."""
    failed = [failure for material in materials for failure in material.failures]
    kept, undecoded = _decode(clips, folder, pipeline, track)
    failed += undecoded
    lines = [f"{failure.key} is left out: {failure.reason}" for failure in failed]
    if len(failed) > FAILED_SHARE * len(clips):
        for line in lines:
            tell(line)
        raise DataError(
            f"{len(failed)} of {len(clips)} clips cannot be decoded, more than "
            f"{FAILED_SHARE:.0%}; the first: {failed[0].key}: {failed[0].reason}"
        )
    (folder / _CLIPS).write_text(json.dumps(kept | {"left_out": lines}), encoding="utf-8")


def _open(place: str | Path, limit: int | None) -> ClipSet:
    if place == SYNTHETIC and not isinstance(place, Path):
        return training_clips(limit)
    material = open_material(Path(place))
    if Path(place).is_file():
        material = replace(material, name=Path(place).stem)
    return material.limited(limit)


def _digest(materials: Sequence[ClipSet], pipeline: AudioPipeline) -> str:
    """Of what is decoded and how: names, keys and bytes; of made audio what makes it."""
    digest = hashlib.sha256(json.dumps(pipeline.facts(), sort_keys=True).encode())
    for material in materials:
        digest.update(json.dumps([material.name, len(material.clips)]).encode())
        if material.synthetic:
            digest.update(json.dumps([TRAINING_SEED, VERSION]).encode())
        for clip in material.clips:
            content = b"" if material.synthetic else _content(clip)
            stretch = json.dumps([clip.key, clip.start, clip.seconds]).encode()
            digest.update(hashlib.sha256(stretch + content).digest())
    return digest.hexdigest()


def _content(clip: ClipFile) -> bytes:
    try:
        return hashlib.sha256(clip.read()).digest()
    except OSError:  # told when it is to be decoded
        return b"cannot be read"


def _decode(
    clips: Sequence[tuple[int, ClipFile]],
    folder: Path,
    pipeline: AudioPipeline,
    track: ProgressFactory,
) -> tuple[dict[str, list[int]], list[Failure]]:
    """Write samples; returns where clips begin and their data sets, and what does not decode."""
    failures: list[Failure] = []
    lengths: list[int] = []
    groups: list[int] = []
    raw = folder / "samples.raw"
    with raw.open("wb") as file, track("audio", len(clips), "clips") as progress:
        for group, key, found in _in_turn(clips, pipeline):
            if isinstance(found, AudioError):
                failures.append(Failure("", key, str(found)))
            else:
                found.tofile(file)
                lengths.append(len(found))
                groups.append(group)
            progress.advance(
                1, 0.0 if isinstance(found, AudioError) else len(found) / pipeline.sample_rate
            )
    if not lengths:
        first = f"; the first: {failures[0].key}: {failures[0].reason}" if failures else ""
        raise DataError(f"there is no audio that decodes to train on{first}")
    flat: NDArray[np.int16] = np.memmap(raw, np.int16, "r")
    np.save(folder / _SAMPLES, flat, allow_pickle=False)
    raw.unlink()
    return {"offsets": [0, *np.cumsum(lengths).tolist()], "groups": groups}, failures


def _in_turn(
    clips: Sequence[tuple[int, ClipFile]], pipeline: AudioPipeline
) -> Iterator[tuple[int, str, NDArray[np.int16] | AudioError]]:
    def decoded(job: tuple[int, ClipFile]) -> tuple[int, str, NDArray[np.int16] | AudioError]:
        group, clip = job
        try:
            return group, clip.key, _stretch(clip, pipeline)
        except AudioError as error:
            return group, clip.key, error

    yield from prefetch(
        clips, decoded, size=lambda one: getattr(one[2], "nbytes", 0), budget=_AHEAD,
        workers=max(1, len(os.sched_getaffinity(0)) - 1),
    )  # fmt: skip


def _stretch(clip: ClipFile, pipeline: AudioPipeline) -> NDArray[np.int16]:
    """One clip's samples (n,). Raises AudioError."""
    try:
        content = clip.read()
    except OSError as error:
        raise AudioError(f"cannot be read: {error.strerror}") from error
    samples, rate = pipeline.load(content)[0], pipeline.sample_rate
    first = round(clip.start * rate)
    last = None if clip.seconds is None else first + round(clip.seconds * rate)
    samples = samples[first:last]
    if not len(samples):
        raise AudioError(f"holds nothing from {clip.start:g} s on")
    return np.clip(np.rint(samples * 32_768), -32_768, 32_767).astype(np.int16)
