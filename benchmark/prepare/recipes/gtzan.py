"""GTZAN: `genres/blues/blues.00000.wav` (or `.au`, as first published), 100 a genre.

There are no official folds and X-ARES does not say how it made its ten. Ours are by number: 0 to 9,
10 to 19, ... of each genre. Excerpts of one artist stand next to each other in many genres (B. L.
Sturm: The GTZAN dataset: Its contents, its faults, their effects on evaluation, and its future use,
2013, arXiv:1306.1461), so runs of numbers part fewer of them than a random draw would. `jazz.00054`
of some copies cannot be decoded; it is named, not left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip, stem
from earmark.benchmark.prepare.source_folder import OriginalFolder

_NAME = re.compile(r"(?P<genre>[a-z]+)\.(?P<number>[0-9]{5})")
_FOLDERS = ("genres", "genres_original")


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    inside = next((name for name in _FOLDERS if folder.has(name)), None)
    above = f"{inside}/" if inside else ""
    for file in folder.files(f"{above}*/*.wav") or folder.files(f"{above}*/*.au"):
        name = _NAME.fullmatch(stem(file))
        if name is not None and file.split("/")[-2] == name["genre"]:
            fold = str(int(name["number"]) // 10 % 10)
            yield SourceClip(fold, stem(file), file, {"genre": name["genre"]})


RECIPE = Recipe(
    task="gtzan",
    layout="GTZAN: genres/<genre>/<genre>.00000.wav (or .au)",
    markers=("genres/blues", "genres_original/blues", "blues/blues.*"),
    clips=clips,
    split="Earmark's own ten folds by number: 00 to 09, 10 to 19, ... of each genre",
    own=True,
)
