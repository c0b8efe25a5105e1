"""VoxCeleb1 for identification: `wav/id10003/<video>/00002.wav` and `iden_split.txt`.

`iden_split.txt` (robots.ox.ac.uk/~vgg/data/voxceleb/meta/iden_split.txt) has a line a clip: 1, 2 or
3 for train, validation and test, and the path below `wav`. The two archives, dev and test, may be
unpacked to one `wav` or to one each. Keys join speaker, video and number by `-`.
"""

from __future__ import annotations

from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip
from earmark.benchmark.prepare.source_folder import LayoutError, OriginalFolder

_SPLITS = {"1": "train", "2": "valid", "3": "test"}
_PLACES = ("wav", "dev/wav", "test/wav", "vox1_dev_wav/wav", "vox1_test_wav/wav")


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    places = {
        speaker: place
        for place in _PLACES
        if folder.has(place)
        for speaker in (path.rpartition("/")[2] for path in folder.files(f"{place}/id*"))
    }
    for line in folder.lines("iden_split.txt"):
        number, _, file = line.partition(" ")
        parts = file.removesuffix(".wav").split("/")
        if number not in _SPLITS or len(parts) != 3:
            raise LayoutError(f"iden_split.txt: {line!r} is not `1 id10003/<video>/00002.wav`")
        place = places.get(parts[0], "wav")
        yield SourceClip(
            _SPLITS[number], "-".join(parts), f"{place}/{file}", {"speakerid": parts[0]}
        )


RECIPE = Recipe(
    task="voxceleb1",
    layout="VoxCeleb1: iden_split.txt and wav/id10001/<video>/00001.wav",
    markers=("iden_split.txt",),
    clips=clips,
    split="iden_split.txt",
)
