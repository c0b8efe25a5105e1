"""RAVDESS, the audio-only speech part: `Actor_01` to `Actor_24` of 60 clips each.

File names (zenodo.org/records/1188976): seven numbers, MODALITY-CHANNEL-EMOTION-INTENSITY-
STATEMENT-REPETITION-ACTOR. Modality 03 is audio only, channel 01 speech (02 is song); actors with
odd numbers are male. The data set has no folds and X-ARES does not say how it made its four. Ours
keep an actor in one fold, three men and three women each.
"""

from __future__ import annotations

from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip, stem
from earmark.benchmark.prepare.source_folder import OriginalFolder

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    for file in folder.files("Actor_[0-9][0-9]/03-01-*.wav"):
        parts = stem(file).split("-")
        if len(parts) != 7 or not all(part.isdecimal() for part in parts):
            continue
        emotion, actor = int(parts[2]), int(parts[6])
        if 1 <= emotion <= len(EMOTIONS):
            label = {"emotion": EMOTIONS[emotion - 1], "actor": actor}
            yield SourceClip(fold_of(actor), stem(file), file, label)


def fold_of(actor: int) -> str:
    """Pairs of a man and a woman, dealt to the four folds in turn."""
    return str((actor - 1) // 2 % 4)


RECIPE = Recipe(
    task="ravdess",
    layout="RAVDESS speech: Actor_01 to Actor_24 with files such as 03-01-06-01-02-01-12.wav",
    markers=("Actor_[0-9][0-9]",),
    clips=clips,
    split="Earmark's own four folds by actor, three men and three women each",
    own=True,
)
