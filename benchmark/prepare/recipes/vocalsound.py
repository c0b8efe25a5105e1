"""VocalSound: `audio_16k/<speaker>_<n>_<sound>.wav` and `meta/tr_meta.csv`, `val_...`, `te_...`.

Layout: README of github.com/YuanGongND/vocalsound. The first column of each list, which has no
head, is the speaker; each speaker is in one split. X-ARES divides by these lists too. Where both
sample rates are there, the 16 kHz clips are taken, as in its authors' baseline.
"""

from __future__ import annotations

from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip, stem
from earmark.benchmark.prepare.source_folder import LayoutError, OriginalFolder

_LISTS = {"train": "tr_meta.csv", "valid": "val_meta.csv", "test": "te_meta.csv"}
_AUDIO = ("audio_16k", "audio_44k", "data_16k", "data_44k")


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    splits = {
        line.split(",")[0].strip(): split
        for split, name in _LISTS.items()
        for line in folder.lines(f"meta/{name}")
    }
    audio = next((name for name in _AUDIO if folder.has(name)), None)
    if audio is None:
        raise LayoutError(f"{folder.given} has none of {', '.join(_AUDIO)}")
    for file in folder.files(f"{audio}/*.wav"):
        parts = stem(file).split("_")
        if len(parts) != 3:
            raise LayoutError(f"{file} is not named <speaker>_<number>_<sound>.wav")
        if parts[0] not in splits:
            raise LayoutError(f"the speaker of {file} is in none of {', '.join(_LISTS.values())}")
        yield SourceClip(splits[parts[0]], stem(file), file, {"label": parts[2]})


RECIPE = Recipe(
    task="vocalsound",
    layout="VocalSound: meta/tr_meta.csv, val_meta.csv, te_meta.csv and audio_16k/ or audio_44k/",
    markers=("meta/tr_meta.csv",),
    clips=clips,
    split="the speakers of meta/tr_meta.csv, val_meta.csv and te_meta.csv",
)
