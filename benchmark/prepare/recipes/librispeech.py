"""LibriSpeech: `<part>/<reader>/<chapter>/<reader>-<chapter>-<n>.flac`, texts beside them.

Layout: README.TXT of openslr.org/12. `<reader>-<chapter>.trans.txt` has a line an utterance: its id
and what is said. `SPEAKERS.TXT` has `ID | SEX | SUBSET | MINUTES | NAME`; `;` begins a comment.
Two tasks read the same clips, so each clip's JSON has the text, the reader and the reader's sex.
"""

from __future__ import annotations

from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip
from earmark.benchmark.prepare.source_folder import LayoutError, OriginalFolder

_PARTS = {"train": "train-clean-100", "valid": "dev-clean", "test": "test-clean"}


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    sexes = _sexes(folder)
    for split, part in _PARTS.items():
        for texts in folder.files(f"{part}/*/*/*.trans.txt"):
            where = texts.rpartition("/")[0]
            reader = where.split("/")[1]
            if reader not in sexes:
                raise LayoutError(f"SPEAKERS.TXT does not name the reader {reader} of {texts}")
            for line in folder.lines(texts):
                key, _, text = line.partition(" ")
                said = {"trans": text.strip(), "gender": sexes[reader], "speaker": reader}
                yield SourceClip(split, key, f"{where}/{key}.flac", said)


def _sexes(folder: OriginalFolder) -> dict[str, str]:
    """Reader to M or F."""
    rows = (line.split("|") for line in folder.lines("SPEAKERS.TXT") if line[0] != ";")
    return {row[0].strip(): row[1].strip() for row in rows if len(row) > 1}


def _recipe(task: str) -> Recipe:
    return Recipe(
        task=task,
        layout="LibriSpeech: SPEAKERS.TXT, train-clean-100/, dev-clean/ and test-clean/",
        markers=("SPEAKERS.TXT",),
        clips=clips,
        split="train-clean-100, dev-clean and test-clean",
    )


RECIPES = (_recipe("librispeech_100h"), _recipe("librispeech_mf"))
