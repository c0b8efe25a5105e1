"""The thread through a data set: read ahead, encode and decode, measure in other processes."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import tempfile
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from earmark.benchmark.audio.decode import AudioError, decode
from earmark.benchmark.audio.pipeline import cut
from earmark.benchmark.audio.prefetch import prefetch
from earmark.benchmark.io.progress import ProgressFactory
from earmark.benchmark.reconstruction.clips import ClipFile, ClipSet
from earmark.benchmark.reconstruction.codec import CodecFailedError, round_trip
from earmark.benchmark.reconstruction.journal import Journal
from earmark.benchmark.reconstruction.metric.alignment import Samples, fit, resample
from earmark.benchmark.reconstruction.workers import Workers
from earmark.benchmark.shards.shard import Failure
from earmark.encoders import Codec

# Decoded audio that waits for the codec, in samples: 10 min at 44.1 kHz.
_AHEAD = 600 * 44_100
_LARGE_FILE = 32 << 20  # such files are decoded one at a time


class ItemRecord(NamedTuple):
    """One clip, or one crop of it, as measured.

    key, crop, source: which. seconds: its length. values, reasons, length_difference, delay,
    delay_correlation: see `Measured`.
    """

    key: str
    crop: int
    source: str
    seconds: float
    values: dict[str, float]
    reasons: dict[str, str]
    length_difference: int
    delay: float
    delay_correlation: float


@dataclass
class Measurements:
    """All of a data set. digests: (key, identity) of each clip asked for, failed or not."""

    records: list[ItemRecord] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    digests: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class MeasureOptions:
    """metrics: names; rates: see `all_metrics`. threads: that decode.

    save_audio, plots: folders for pairs to listen to and to look at, or None.
    """

    metrics: tuple[str, ...]
    rates: tuple[int, ...]
    threads: int
    save_audio: Path | None = None
    plots: Path | None = None


class _Loaded(NamedTuple):
    """A file read: its identity, its crops at its own rate unless they are known already."""

    clip: ClipFile
    identity: str
    crops: list[Samples]
    rate: int
    known: list[dict[str, Any]] | None = None
    error: str | None = None


def measure_material(
    codec: Codec,
    material: ClipSet,
    journal: Journal,
    wishes: MeasureOptions,
    workers: Workers,
    *,
    device: str,
    scratch: Path,
    track: ProgressFactory,
) -> Measurements:
    """Measure every clip, what the journal knows excepted; clips in the material's order.

    scratch: folder for audio on its way to the workers. Raises EncoderError where the
    codec breaks its contract.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    large = threading.Lock()

    def load(clip: ClipFile) -> _Loaded:
        return _load(clip, material, journal, wishes, codec.name, large)

    label = f"{codec.name} · {material.name}"
    with (
        tempfile.TemporaryDirectory(prefix=".tmp-pairs-", dir=scratch) as folder,
        track(label, len(material.clips), "clips") as bar,
    ):
        run = _Run(codec, material, journal, wishes, device, Path(folder), workers)
        loaded = prefetch(
            material.clips,
            load,
            size=lambda one: sum(len(crop) for crop in one.crops),
            budget=_AHEAD,
            workers=wishes.threads,
        )
        with contextlib.closing(loaded):
            for one in loaded:
                run.take(one)
                bar.advance(1, sum(len(crop) for crop in one.crops) / max(one.rate, 1))
        return run.finish()


def _load(
    clip: ClipFile,
    material: ClipSet,
    journal: Journal,
    wishes: MeasureOptions,
    codec: str,
    large: threading.Lock,
) -> _Loaded:
    try:
        data = clip.read()
    except OSError as error:
        return _Loaded(clip, "", [], 0, error=f"cannot be read: {error.strerror or error}")
    stretch = f"{clip.start:g}+{clip.seconds}/{material.crop_seconds}"
    identity = f"{hashlib.sha256(data).hexdigest()}:{stretch}"
    known = journal.of(identity)
    if known is not None and all(
        path.is_file()
        for crop in range(len(known))
        for path in _outputs(wishes, codec, material, clip.key, crop)
    ):
        return _Loaded(clip, identity, [], 0, known)
    try:
        with large if len(data) > _LARGE_FILE else contextlib.nullcontext():
            samples, rate = decode(data)
        start = round(clip.start * rate)
        length = None if clip.seconds is None else round(clip.seconds * rate)
        stretch_of = samples[start:] if length is None else samples[start : start + length]
        if not len(stretch_of):
            return _Loaded(clip, identity, [], 0, error=f"it ends before {clip.start:g} s")
        crop = material.crop_seconds
        crops = cut(stretch_of, None if crop is None else round(crop * rate))
        return _Loaded(clip, identity, crops, rate)
    except AudioError as error:
        return _Loaded(clip, identity, [], 0, error=str(error))
    except MemoryError as error:
        return _Loaded(clip, identity, [], 0, error=f"MemoryError: {error}")


class _Pending(NamedTuple):
    """A crop that is being measured. files: its audio on the way."""

    clip: ClipFile
    identity: str
    crop: int
    crops: int
    seconds: float
    files: tuple[Path, ...]
    answer: Future[dict[str, Any]]


class _Run:
    """One data set through one codec."""

    def __init__(
        self,
        codec: Codec,
        material: ClipSet,
        journal: Journal,
        wishes: MeasureOptions,
        device: str,
        folder: Path,
        workers: Workers,
    ) -> None:
        self.codec, self.material, self.journal, self.wishes = codec, material, journal, wishes
        self.device, self.folder, self.workers = device, folder, workers
        self.found = Measurements(failures=list(material.failures))
        self.found.digests += [(failed.key, "") for failed in material.failures]
        self.pending: deque[_Pending] = deque()  # oldest first
        self.entries: dict[str, dict[int, dict[str, Any]]] = {}
        self.lost: dict[str, str] = {}
        self.order: list[ClipFile] = []
        self.jobs = 0

    def take(self, one: _Loaded) -> None:
        """A clip as it was read: on to the codec, and from there to be measured."""
        clip = one.clip
        self.order.append(clip)
        self.found.digests.append((clip.key, one.identity))
        if one.error is not None:
            self.lost[clip.key] = one.error
        for entry in one.known or ():
            self.entries.setdefault(clip.key, {})[entry["crop"]] = entry
        for number, crop in enumerate(one.crops):
            heard = resample(crop, one.rate, self.codec.sample_rate)
            output_rate = self.codec.output_rate
            try:
                decoded = round_trip(self.codec, heard, self.device)
            except CodecFailedError as reason:
                self.lost[clip.key] = str(reason)
                break
            self.jobs += 1
            files = tuple(
                self.folder / f"{self.jobs}-{what}.npy" for what in ("reference", "decoded")
            )
            for path, samples in zip(files, (crop, decoded), strict=True):
                np.save(path, samples, allow_pickle=False)
            job = {
                "reference": str(files[0]),
                "decoded": str(files[1]),
                "reference_rate": one.rate,
                "decoded_rate": output_rate,
                "heard": round(len(heard) * output_rate / self.codec.sample_rate),
                "metrics": list(self.wishes.metrics),
                "rates": list(self.wishes.rates),
                "plot": None,
                "title": f"{self.codec.name} · {clip.key}",
            }
            self._show(job, clip, number, crop, decoded)
            seconds = round(len(crop) / one.rate, 6)
            answer = self.workers.submit(job)
            self.pending.append(
                _Pending(clip, one.identity, number, len(one.crops), seconds, files, answer)
            )
            while self.pending and self.pending[0].answer.done():
                self._collect()

    def _show(
        self, job: dict[str, Any], clip: ClipFile, number: int, crop: Samples, decoded: Samples
    ) -> None:
        """Write the pair for listening, and have it drawn, where that was wished for."""
        for path in _outputs(self.wishes, self.codec.name, self.material, clip.key, number):
            if path.suffix == ".png":
                job["plot"] = str(path)
            elif path.name.endswith(".reference.wav"):
                write_sound(path, crop, job["reference_rate"])
            else:
                write_sound(path, fit(decoded, job["heard"]), job["decoded_rate"])

    def _collect(self) -> None:
        done = self.pending.popleft()
        answer = done.answer.result()
        for path in done.files:
            path.unlink(missing_ok=True)
        if "error" in answer:
            self.lost[done.clip.key] = f"could not be measured: {answer['error']}"
            return
        entry = self.journal.add(
            done.identity, done.crop, done.crops, {"seconds": done.seconds, **answer}
        )
        self.entries.setdefault(done.clip.key, {})[done.crop] = entry

    def finish(self) -> Measurements:
        """Wait for what is still measured; every clip's records, or why there are none."""
        while self.pending:
            self._collect()
        for clip in self.order:
            if clip.key in self.lost:
                failure = Failure(self.material.name, clip.key, self.lost[clip.key])
                self.found.failures.append(failure)
                continue
            entries = self.entries[clip.key]
            self.found.records += [_record(clip, crop, entries[crop]) for crop in sorted(entries)]
        return self.found


def _record(clip: ClipFile, crop: int, entry: dict[str, Any]) -> ItemRecord:
    return ItemRecord(
        clip.key,
        crop,
        clip.source,
        entry["seconds"],
        {name: _number(value) for name, value in entry["values"].items()},
        entry["reasons"],
        entry["length_difference"],
        _number(entry["delay"]),
        _number(entry["delay_correlation"]),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _outputs(
    wishes: MeasureOptions, codec: str, material: ClipSet, key: str, crop: int
) -> list[Path]:
    """Files that are to be there for one crop: sounds, then the plot."""
    part = None if material.crop_seconds is None else crop
    files = []
    if wishes.save_audio is not None:
        files += sound_files(wishes.save_audio, codec, material.name, key, part)
    if wishes.plots is not None:
        files.append(plot_file(wishes.plots, codec, material.name, key, part))
    return files


def sound_files(folder: Path, codec: str, data: str, key: str, crop: int | None) -> list[Path]:
    """Where `--save-audio` keeps a clip or crop: reference, decoded. data: the data set's name."""
    stem = _stem(folder, codec, data, key, crop)
    return [stem.with_name(f"{stem.name}.{what}.wav") for what in ("reference", "decoded")]


def plot_file(folder: Path, codec: str, data: str, key: str, crop: int | None) -> Path:
    """Where `--plots` keeps the picture of a clip, or of a crop of it."""
    stem = _stem(folder, codec, data, key, crop)
    return stem.with_name(f"{stem.name}.png")


def _stem(folder: Path, codec: str, data: str, key: str, crop: int | None) -> Path:
    name = safe_name(key) + ("" if crop is None else f".crop-{crop}")
    return folder / safe_name(codec) / safe_name(data) / name


def safe_name(name: str) -> str:
    """A key as a file name; two different keys never share one."""
    plain = re.sub(r"[^A-Za-z0-9._=-]+", "-", name).strip(".-")[:120]
    if plain == name:
        return plain
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def write_sound(path: Path, samples: Samples, rate: int) -> None:
    """A 16-bit WAV for listening, limited to full scale; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    soundfile.write(temporary, np.clip(samples, -1, 1), rate, format="WAV", subtype="PCM_16")
    temporary.replace(path)
