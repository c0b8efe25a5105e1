"""UrbanSound8K: `metadata/UrbanSound8K.csv`, clips in `audio/fold1` to `audio/fold10`.

Layout: UrbanSound8K_README.txt of the data set. A file is `FSID-CLASS-OCCURRENCE-SLICE.wav`, FSID
the Freesound recording. The ten folds are to be used as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip, stem
from earmark.benchmark.prepare.source_folder import OriginalFolder


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    for row in folder.rows("metadata/UrbanSound8K.csv", ("slice_file_name", "fold", "class")):
        name, fold = row["slice_file_name"], row["fold"]
        yield SourceClip(fold, stem(name), f"audio/fold{fold}/{name}", {"soundevent": row["class"]})


RECIPE = Recipe(
    task="urbansound8k",
    layout="UrbanSound8K: metadata/UrbanSound8K.csv and audio/fold1 to audio/fold10",
    markers=("metadata/UrbanSound8K.csv",),
    clips=clips,
    split="the ten folds of metadata/UrbanSound8K.csv",
)
