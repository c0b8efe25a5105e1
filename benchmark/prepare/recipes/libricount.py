"""LibriCount10-0dB: `test/<k>_<unique>.wav`, k the number of people who talk at once.

File names: README of github.com/faroit/CountNet and zenodo.org/records/1216072. All clips are one
part; X-ARES does not say how it made its five folds. Ours deal the clips of each k to the folds in
turn, in an order by SHA-256 of the name. The 40 speakers of test-clean are in all folds, as they
must be: a clip mixes up to ten of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip, rank, stem
from earmark.benchmark.prepare.source_folder import OriginalFolder

_NAME = re.compile(r"(?P<count>10|[0-9])_.+")
FOLDS = 5


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    by_count: dict[int, list[str]] = {}
    for file in folder.files("test/*.wav") or folder.files("*.wav"):
        name = _NAME.fullmatch(stem(file))
        if name is not None:
            by_count.setdefault(int(name["count"]), []).append(file)
    for count, files in sorted(by_count.items()):
        for place, file in enumerate(sorted(files, key=lambda file: rank(stem(file)))):
            yield SourceClip(str(place % FOLDS), stem(file), file, {"num_speakers": count})


RECIPE = Recipe(
    task="libricount",
    layout="LibriCount10-0dB: test/<count>_<name>.wav",
    markers=("test/[0-9]*_*.wav", "[0-9]*_*.wav"),
    clips=clips,
    split="Earmark's own five folds, each with a fifth of the clips of every count",
    own=True,
)
