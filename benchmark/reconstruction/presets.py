"""Data sets that papers measure codecs on, by their usual folders.

That a paper's clips and crops were the same ones is likely, not known: a table that shows published
values beside measured ones says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from earmark.benchmark.reconstruction.clips import ClipFile, ClipSet, audio_files
from earmark.benchmark.shards.dataset import DataError
from earmark.benchmark.shards.shard import Failure


@dataclass(frozen=True)
class Preset:
    """Where a data set lies and how it is cut.

    title: in words. folders: where it may lie below the folder given; the first found is taken.
    find: folder -> clips and what is missing. crop_seconds, source_unit: see `ClipSet`. whole:
    how many clips all of it are; published values are not of less than half of them.
    """

    title: str
    folders: tuple[str, ...]
    find: Callable[[Path], tuple[list[ClipFile], list[Failure]]]
    crop_seconds: float | None
    source_unit: str
    whole: int


def _seed_tts(folder: Path) -> tuple[list[ClipFile], list[Failure]]:
    """`wavs/UTTERANCE.wav`, the recorded utterances; those of `meta.lst` if there."""
    wavs = {path.stem: path for path in audio_files(folder / "wavs")}
    listed = folder / "meta.lst"
    names = sorted(wavs)
    if listed.is_file():
        lines = listed.read_text(encoding="utf-8").splitlines()
        names = [line.split("|")[0].removesuffix(".wav") for line in lines if line.strip()]
    found = [_clip(f"{name}.wav", wavs[name]) for name in dict.fromkeys(names) if name in wavs]
    lost = [name for name in dict.fromkeys(names) if name not in wavs]
    return found, [Failure("meta.lst", f"{name}.wav", "no such file in wavs/") for name in lost]


def _any_audio(folder: Path) -> tuple[list[ClipFile], list[Failure]]:
    """Every audio file."""
    files = audio_files(folder)
    return [_clip(path.relative_to(folder).as_posix(), path) for path in files], []


def _mixtures(folder: Path) -> tuple[list[ClipFile], list[Failure]]:
    """`TRACK/mixture.wav`, as MUSDB18-HQ has it."""
    found, lost = [], []
    for track in sorted(path for path in folder.iterdir() if path.is_dir()):
        if (track / "mixture.wav").is_file():
            found.append(_clip(track.name, track / "mixture.wav"))
        else:
            lost.append(Failure(folder.name, track.name, "no mixture.wav"))
    if not found and any(folder.glob("*.mp4")):
        raise DataError(
            f"{folder} holds MUSDB18's .stem.mp4, which cannot be decoded here; get MUSDB18-HQ"
        )
    return found, lost


def _clip(key: str, path: Path) -> ClipFile:
    return ClipFile(key, key, path.read_bytes)


PRESETS = {
    "seed_tts_zh": Preset(
        "SEED-TTS, Chinese", ("seedtts_testset/zh", "zh", "."), _seed_tts, None, "utterance",
        2020,
    ),
    "seed_tts_en": Preset(
        "SEED-TTS, English", ("seedtts_testset/en", "en", "."), _seed_tts, None, "utterance",
        1088,
    ),
    "audioset_eval": Preset(
        "AudioSet, evaluation part",
        ("audioset/eval_segments", "eval_segments", "audioset/eval", "eval", "."),
        _any_audio, 10.0, "video", 20_371,
    ),
    "musdb18": Preset(
        "MUSDB18-HQ, mixtures of the test part",
        ("musdb18hq/test", "musdb18/test", "test", "."), _mixtures, 10.0, "track", 50,
    ),
}  # fmt: skip


def open_preset(name: str, data: Path) -> ClipSet:
    """The data set of this preset in or below a folder. Raises DataError."""
    preset = PRESETS[name]
    for place in preset.folders:
        folder = data / place
        if not folder.is_dir() or (preset.find is _seed_tts and not (folder / "wavs").is_dir()):
            continue
        clips, lost = preset.find(folder)
        if clips:
            return ClipSet(
                name, "preset", tuple(clips), preset.source_unit, preset.crop_seconds, tuple(lost),
                known_as=name if 2 * len(clips) >= preset.whole else None, place=str(data),
            )  # fmt: skip
    places = ", ".join(str(data / place) for place in preset.folders)
    raise DataError(f"{preset.title}: nothing of it in {places}; {_LAYOUTS[name]}")


_SEED_LAYOUT = "expected wavs/*.wav there, as seedtts_testset is unpacked"
_LAYOUTS = {
    "seed_tts_zh": _SEED_LAYOUT,
    "seed_tts_en": _SEED_LAYOUT,
    "audioset_eval": "expected audio files there (wav, flac, ogg, mp3)",
    "musdb18": "expected TRACK/mixture.wav there, as MUSDB18-HQ is unpacked",
}
