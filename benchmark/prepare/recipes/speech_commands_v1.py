"""Speech Commands, version 0.01: `<word>/<speaker>_nohash_<n>.wav` and two lists.

`validation_list.txt` and `testing_list.txt` name the clips of two splits; all others are for
training (README of the archive; P. Warden, arXiv:1804.03209, section 7). `_background_noise_` holds
no words, and its files are not named like this. The same file name stands under several words, so
keys begin with the word.
"""

from __future__ import annotations

from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip, stem
from earmark.benchmark.prepare.source_folder import OriginalFolder

_LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    listed = {file: split for split, name in _LISTS.items() for file in folder.lines(name)}
    for file in sorted({*listed, *folder.files("*/*_nohash_*.wav")}):
        word = file.partition("/")[0]
        key = f"{word}_{stem(file)}"
        yield SourceClip(listed.get(file, "train"), key, file, {"labels": word})


RECIPE = Recipe(
    task="speech_commands_v1",
    layout="Speech Commands v0.01: validation_list.txt, testing_list.txt and a folder a word",
    markers=("testing_list.txt",),
    clips=clips,
    split="validation_list.txt and testing_list.txt; the rest is train",
)
