"""NSynth: `nsynth-train`, `nsynth-valid`, `nsynth-test`, each `examples.json` and `audio/`.

Layout: magenta.tensorflow.org/datasets/nsynth. `examples.json` maps a note's name, which is its
file's, to what is known of it. Instruments of train are not in valid and test.
"""

from __future__ import annotations

from collections.abc import Iterator

from earmark.benchmark.prepare.recipe import Recipe, SourceClip
from earmark.benchmark.prepare.source_folder import LayoutError, OriginalFolder

_KEPT = ("instrument_family_str", "instrument_str", "instrument_source_str", "pitch", "velocity")


def clips(folder: OriginalFolder) -> Iterator[SourceClip]:
    for split in ("train", "valid", "test"):
        part = f"nsynth-{split}"
        notes = folder.json(f"{part}/examples.json")
        if not isinstance(notes, dict) or not all(isinstance(n, dict) for n in notes.values()):
            raise LayoutError(f"{folder.given / part}/examples.json does not map notes to facts")
        for name, facts in notes.items():
            known = {field: facts[field] for field in _KEPT if field in facts}
            yield SourceClip(split, name, f"{part}/audio/{name}.wav", known)


RECIPE = Recipe(
    task="nsynth",
    layout="NSynth: nsynth-train/, nsynth-valid/, nsynth-test/, each examples.json and audio/",
    markers=("nsynth-train/examples.json", "nsynth-test/examples.json"),
    clips=clips,
    split="nsynth-train, nsynth-valid and nsynth-test",
)
