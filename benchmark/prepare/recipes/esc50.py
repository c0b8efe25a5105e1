"""ESC-50: `meta/esc50.csv` names file, fold and class of each clip in `audio/`.

Layout and folds: README of github.com/karolpiczak/ESC-50. Folds keep fragments of one source
recording together. A file is `FOLD-CLIP_ID-TAKE-TARGET.wav`.
"""

from __future__ import annotations

from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip, stem
from earmark.benchmark.prepare.source_folder import OriginalFolder


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    for row in folder.rows("meta/esc50.csv", ("filename", "fold", "target")):
        name = row["filename"]
        target = row["target"]
        label = int(target) if target.isdecimal() else target
        yield SourceClip(row["fold"], stem(name), f"audio/{name}", {"label": label})


RECIPE = Recipe(
    task="esc50",
    layout="ESC-50: meta/esc50.csv and audio/*.wav",
    markers=("meta/esc50.csv",),
    clips=clips,
    split="the five folds of meta/esc50.csv",
)
