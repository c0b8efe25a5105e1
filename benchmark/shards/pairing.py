"""Which audio and which JSON of a shard are one clip, by their names."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from earmark.benchmark.shards.tar_members import Extent

NO_JSON, NO_AUDIO = "no JSON beside the audio", "no audio beside the JSON"


class Part(NamedTuple):
    """One half of a clip. suffix: lower case; `json` for the metadata, else the audio's.

    extent: None where its bytes cannot be read, for the reason in `fault`.
    """

    folder: str
    key: str
    suffix: str
    extent: Extent | None
    fault: str = ""

    @property
    def is_audio(self) -> bool:
        return self.suffix != "json"


def pair_unicode_forms(parts: Sequence[Part]) -> list[Part]:
    """The parts, keys of JSON members renamed where only the Unicode form parts it from its audio.

    The same text can be written in several ways (e with an accent: one character or two), and
    systems change one into the other. Only halves that are alone are renamed, and only where there
    is one of each: names that make two whole clips stay two clips.
    """
    names = Counter((part.folder, part.key) for part in parts)
    alone: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for part in parts:
        if names[part.folder, part.key] == 1:
            alone[part.folder, unicodedata.normalize("NFC", part.key)].append(part)
    renamed = {}
    for halves in alone.values():
        sounds = [part for part in halves if part.is_audio]
        if len(halves) == 2 and len(sounds) == 1:
            (note,) = [part for part in halves if not part.is_audio]
            renamed[note.folder, note.key] = sounds[0].key
    return [
        part if part.is_audio else part._replace(key=renamed.get((part.folder, part.key), part.key))
        for part in parts
    ]


class Pairing:
    """Pairs the parts of one shard.

    Some data sets name their files alike in several folders: each audio has the JSON of its own
    folder. Where a shard keeps all audio in one folder and all JSON in another, a name that is
    there once in each is one clip. same: whether extents hold the same bytes.

    reasons: key and, in words, why it is no clip; filled in by `clips`.
    """

    def __init__(self, parts: Sequence[Part], same: Callable[[list[Extent]], bool]) -> None:
        self.parts, self.same = parts, same
        self.reasons: list[tuple[str, str]] = []
        self.heard = {part.folder for part in parts if part.is_audio}
        self.noted = {part.folder for part in parts if not part.is_audio}
        self.audio_only = self.heard - self.noted
        self.json_only = self.noted - self.heard

    def clips(self) -> list[tuple[str, Part, Part]]:
        """Key, audio and JSON of every clip, by key."""
        by_key: dict[str, list[Part]] = defaultdict(list)
        for part in self.parts:
            by_key[part.key].append(part)
        found = []
        for key in sorted(by_key):
            for number, sound, note in self._pair(key, by_key[key]):
                unique = key if number == 1 else f"{key}#{number}"
                while number > 1 and unique in by_key:
                    unique += "#"
                found.append((unique, sound, note))
        self._name_other_case()
        return found

    def _pair(self, key: str, parts: list[Part]) -> list[tuple[int, Part, Part]]:
        """The clips of one key: its number among the audio of that name, audio, JSON."""
        folders = sorted({part.folder for part in parts})
        here = {folder: [part for part in parts if part.folder == folder] for folder in folders}
        if len(folders) > 1:
            here = self._joined(here)
        found, number = [], 0
        for folder, beside in here.items():
            name = f"{folder}/{key}" if len(here) > 1 else key
            sounds = self._once([part for part in beside if part.is_audio])
            notes = self._once([part for part in beside if not part.is_audio])
            if sounds.parts and notes.parts:
                copies = range(2, 1 + max(sounds.copies, notes.copies))
                self.reasons += [(f"{name}#{count}", _copied(sounds, notes)) for count in copies]
            fault = _fault(sounds, notes)
            if fault:
                self.reasons.append((name, fault))
            else:
                found.append((number + 1, sounds.parts[0], notes.parts[0]))
            number += len(sounds.parts)
        return found

    def _joined(self, here: dict[str, list[Part]]) -> dict[str, list[Part]]:
        """Audio and JSON of two folders as one, where the shard keeps them apart so."""
        heard = [folder for folder in here if folder in self.audio_only]
        noted = [folder for folder in here if folder in self.json_only]
        if len(here) == 2 and len(heard) == len(noted) == 1:
            return {heard[0]: here[heard[0]] + here[noted[0]]}
        return here

    def _once(self, parts: list[Part]) -> _Once:
        """Members of one name reduced to one where all hold the same."""
        by_suffix: dict[str, list[Part]] = defaultdict(list)
        for part in parts:
            by_suffix[part.suffix].append(part)
        left, copies, differ = [], 1, False
        for alike in by_suffix.values():
            extents = [part.extent for part in alike if part.extent is not None]
            copies = max(copies, len(alike))
            if len(alike) > 1 and (len(extents) < len(alike) or not self.same(extents)):
                differ = True
            left.append(alike[0])
        return _Once(left, copies, differ)

    def _name_other_case(self) -> None:
        """Say so of halves that would be a clip but for capital letters."""
        halves: dict[tuple[str, str], list[str]] = defaultdict(list)
        for key, reason in self.reasons:
            if reason in (NO_JSON, NO_AUDIO):
                halves[key.casefold(), reason].append(key)
        for number, (key, reason) in enumerate(self.reasons):
            other = {NO_JSON: NO_AUDIO, NO_AUDIO: NO_JSON}.get(reason)
            named = halves.get((key.casefold(), other or ""), [])
            if named:
                told = f"{reason}; the other half is written {named[0]!r:.80}: fix its case"
                self.reasons[number] = (key, told)


class _Once(NamedTuple):
    """parts: one of each suffix. copies: the most members of one name. differ: not all the same."""

    parts: list[Part]
    copies: int
    differ: bool


def _copied(sounds: _Once, notes: _Once) -> str:
    if sounds.differ or notes.differ:
        return _differing(sounds, notes)
    return "its name is in the shard before, with the same bytes: left out"


def _differing(sounds: _Once, notes: _Once) -> str:
    what = " and ".join(
        f"{once.copies} {word}"
        for once, word in ((sounds, "audio"), (notes, "JSON"))
        if once.copies > 1
    )
    return f"{what} members of this name that differ: which is meant cannot be told"


def _fault(sounds: _Once, notes: _Once) -> str:
    """Why the members of one name in one folder are no clip; nothing where they are one."""
    for half, once in (("audio", sounds), ("JSON", notes)):
        fault = next((part.fault for part in once.parts if part.fault), "")
        if fault:
            return f"its {half} is {fault}"
    if not notes.parts:
        return NO_JSON
    if not sounds.parts:
        return NO_AUDIO
    if sounds.differ or notes.differ:
        return _differing(sounds, notes)
    if len(sounds.parts) == len(notes.parts) == 1:
        return ""
    return f"{len(sounds.parts)} audio and {len(notes.parts)} JSON files for this key"
