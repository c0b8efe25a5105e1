"""FSD50K: `FSD50K.ground_truth/dev.csv` and `eval.csv`, clips in two folders.

Layout: README of zenodo.org/records/4060432. `dev.csv` has fname, labels, mids, split (train or
val), `eval.csv` the first three; labels are joined by commas. File names are Freesound ids.
"""

from __future__ import annotations

from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip
from earmark.benchmark.prepare.source_folder import LayoutError, OriginalFolder

_TRUTH = "FSD50K.ground_truth"
_SPLITS = {"train": "train", "val": "valid"}


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    for row in folder.rows(f"{_TRUTH}/dev.csv", ("fname", "labels", "split")):
        if row["split"] not in _SPLITS:
            raise LayoutError(f"{_TRUTH}/dev.csv: split {row['split']!r} is neither train nor val")
        yield _clip(_SPLITS[row["split"]], "FSD50K.dev_audio", row)
    for row in folder.rows(f"{_TRUTH}/eval.csv", ("fname", "labels")):
        yield _clip("test", "FSD50K.eval_audio", row)


def _clip(split: str, audio: str, row: dict[str, str]) -> SourceClip:
    name = row["fname"]
    return SourceClip(
        split, name, f"{audio}/{name}.wav", {"soundevent": row["labels"].replace(",", ";")}
    )


RECIPE = Recipe(
    task="fsd50k",
    layout="FSD50K: FSD50K.ground_truth/dev.csv and eval.csv, FSD50K.dev_audio, FSD50K.eval_audio",
    markers=("FSD50K.ground_truth/dev.csv",),
    clips=clips,
    split="the column `split` of dev.csv; eval.csv is the test split",
)
