"""CREMA-D: `AudioWAV/1001_DFA_ANG_XX.wav`: actor, sentence, emotion, level.

Names and emotions: README of github.com/CheyneyComputerScience/CREMA-D. The label is the emotion
that was acted (`dispEmo` in finishedResponses.csv), by its first letter. There is no official
split; that of X-ARES was drawn at random by clip without a seed (its make_audio_tar.py) and cannot
be made again. Ours is by actor, in the same shares: 63 train, 14 valid, 14 test.
"""

from __future__ import annotations

from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip, rank, stem
from earmark.benchmark.prepare.source_folder import OriginalFolder

EMOTIONS = {"ANG": "A", "DIS": "D", "FEA": "F", "HAP": "H", "NEU": "N", "SAD": "S"}
_ACTORS = sorted((str(actor) for actor in range(1001, 1092)), key=rank)
_HELD_OUT = round(0.15 * len(_ACTORS))


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    for file in folder.files("AudioWAV/*.wav"):
        parts = stem(file).split("_")
        if len(parts) == 4 and parts[0] in _ACTORS and parts[2] in EMOTIONS:
            yield SourceClip(split_of(parts[0]), stem(file), file, {"label": EMOTIONS[parts[2]]})


def split_of(actor: str) -> str:
    place = _ACTORS.index(actor)
    return "test" if place < _HELD_OUT else "valid" if place < 2 * _HELD_OUT else "train"


RECIPE = Recipe(
    task="crema_d",
    layout="CREMA-D: AudioWAV/ with files such as 1001_DFA_ANG_XX.wav",
    markers=("AudioWAV",),
    clips=clips,
    split="Earmark's own split by actor: 63 train, 14 valid, 14 test",
    own=True,
)
