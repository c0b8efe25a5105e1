"""Pairs to hear and to look at: from `reconstruct --save-audio` and `--plots` into the page.

Sounds are kept as FLAC, without loss: what a second encoding loses must not be taken for what the
codec lost. They are cut short, pictures are made smaller, and both end where the room does; the
page says so.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import soundfile

from earmark.benchmark.reconstruction.measure import plot_file, sound_files
from earmark.benchmark.reconstruction.result import ReconstructionResult

SECONDS = 6.0  # of a sound
CLIPS = 3  # of a data set
ROOM = 2_400_000  # characters of all sounds and pictures together
_WIDTH, _QUALITY = 820, 60  # of a picture: pixels, and WebP's measure


class Shelf:
    """Sounds and pictures of reconstruction results, each kept once.

    audio, plots: folders that `--save-audio` and `--plots` wrote, or None. media: what was kept,
    as `data:` addresses, by the names that pairs hold. notes: what was left out, and why.
    """

    def __init__(self, audio: Path | None, plots: Path | None, room: int = ROOM) -> None:
        self.audio, self.plots, self.room = audio, plots, room
        self.media: dict[str, str] = {}
        self.notes: list[str] = []
        self.crowded = 0

    def pairs_of(self, results: Mapping[str, ReconstructionResult]) -> list[dict[str, Any]]:
        """Clips that most codecs of a table have something of, with it: at most CLIPS.

        results: by the codecs' names. A clip is {key, crop, seconds, reference, codecs: {name:
        {decoded, picture}}} with names of `media`; what is not there is left out.
        """
        if self.audio is None and self.plots is None:
            return []
        files: dict[tuple[str, int | None], dict[str, dict[str, Path]]] = {}
        shared_names = Counter(result.codec.name for result in results.values())
        for name, result in results.items():
            if shared_names[result.codec.name] > 1:
                # files hold the name alone: those of one would be shown as the other's
                self.notes.append(f"no sounds or pictures of {name}: not the only one of its name")
                continue
            for key, crop in _items(result):
                found = self._files(result, key, crop)
                if found:
                    files.setdefault((key, crop), {})[name] = found
        shared = Counter({item: len(by_codec) for item, by_codec in files.items()})
        chosen = sorted(shared, key=lambda item: (-shared[item], str(item)))[:CLIPS]
        if not chosen and results:
            where = " or ".join(str(one) for one in (self.audio, self.plots) if one is not None)
            data = next(iter(results.values())).data.name
            self.notes.append(f"no sounds or pictures of {data} under {where}")
        pairs = [self._pair(item, files[item]) for item in chosen]
        if self.crowded:
            self.notes.append(f"{self.crowded} sounds or pictures left out: no room on the page")
            self.crowded = 0
        return [pair for pair in pairs if pair["codecs"]]

    def _files(self, result: ReconstructionResult, key: str, crop: int | None) -> dict[str, Path]:
        """What is there of one item: reference, decoded, picture."""
        place = (result.codec.name, result.data.name, key, crop)
        files: dict[str, Path] = {}
        if self.audio is not None:
            files["reference"], files["decoded"] = sound_files(self.audio, *place)
        if self.plots is not None:
            files["picture"] = plot_file(self.plots, *place)
        return {what: path for what, path in files.items() if path.is_file()}

    def _pair(
        self, item: tuple[str, int | None], by_codec: dict[str, dict[str, Path]]
    ) -> dict[str, Any]:
        key, crop = item
        pair: dict[str, Any] = {"key": key, "crop": crop, "seconds": SECONDS, "codecs": {}}
        for name, files in by_codec.items():
            if "reference" in files and "reference" not in pair:
                reference = self._sound(files["reference"])
                pair |= {"reference": reference} if reference else {}
            kept = {
                "decoded": self._sound(files["decoded"]) if "decoded" in files else None,
                "picture": self._picture(files["picture"]) if "picture" in files else None,
            }
            if any(kept.values()):
                pair["codecs"][name] = {what: one for what, one in kept.items() if one}
        return pair

    def _sound(self, path: Path) -> str | None:
        """The beginning of a WAV as FLAC."""
        buffer = io.BytesIO()
        try:
            with soundfile.SoundFile(path) as file:
                samples = file.read(round(SECONDS * file.samplerate), dtype="int16")
                soundfile.write(buffer, samples, file.samplerate, format="FLAC", subtype="PCM_16")
        except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
            self.notes.append(f"{path}: cannot be heard ({error})")
            return None
        return self._keep(buffer.getvalue(), "audio/flac")

    def _picture(self, path: Path) -> str | None:
        """A picture as WebP, not wider than the page."""
        from PIL import Image

        buffer = io.BytesIO()
        try:
            with Image.open(path, formats=("PNG",)) as picture:
                picture.thumbnail((_WIDTH, _WIDTH))
                picture.convert("RGB").save(buffer, "WEBP", quality=_QUALITY, method=4)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            self.notes.append(f"{path}: cannot be shown ({error})")
            return None
        return self._keep(buffer.getvalue(), "image/webp")

    def _keep(self, data: bytes, kind: str) -> str | None:
        name = hashlib.sha256(data).hexdigest()[:16]
        if name in self.media:
            return name
        address = f"data:{kind};base64,{base64.b64encode(data).decode()}"
        if len(address) > self.room:
            self.crowded += 1
            return None
        self.room -= len(address)
        self.media[name] = address
        return name


def _items(result: ReconstructionResult) -> list[tuple[str, int | None]]:
    """Key and crop (None: whole clips) of what a result measured, by the table beside it."""
    name = "" if result.clips is None else result.clips.file
    if result.path is None or not name or Path(name).name != name:
        return []
    whole = result.data.crop_seconds is None
    try:
        with result.path.with_name(name).open(encoding="utf-8", newline="") as stream:
            return [
                (row["key"], None if whole else int(row["crop"])) for row in csv.DictReader(stream)
            ]
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        return []
