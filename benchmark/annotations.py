"""Labels that are more than a class: events and notes in time, captions, transcripts.

A single annotation that cannot be used (an event that ends before it begins, a note that the task
has no class for, an empty caption) is left out and named as a fault; the rest of the clip stays.
A clip of which nothing can be used raises LabelError.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

# The characters of a transcript, in the order of the CTC probe's outputs after the blank.
ALPHABET = " 'abcdefghijklmnopqrstuvwxyz"

_LATEST_S = 1e9  # 31 years; what is beyond, infinity too, would overflow where segments are cut


class LabelError(ValueError):
    """A clip's JSON from which no label can be read; says why in a few words."""


class Event(NamedTuple):
    """Something that is heard from onset to offset, in seconds. label: its class index."""

    onset: float
    offset: float
    label: int


class Annotated(NamedTuple):
    """label: what can be used. faults: what cannot, and why, in words."""

    label: tuple[Any, ...]
    faults: tuple[str, ...] = ()


def plain(text: str) -> str:
    """A name as it is compared: no white space at its ends, composed Unicode (NFC)."""
    return unicodedata.normalize("NFC", text.strip())


def whole_number(value: Any) -> int | None:
    """A whole number, or a float that is one, as tables with gaps write them; None for others."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None  # no infinity and no NaN is whole
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def is_missing(value: Any) -> bool:
    """Whether a value is what tables write for none: null or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def read_events(value: Any, indices: dict[str, int]) -> Annotated:
    """Events of a list of {onset, offset, label}; a label may join several classes by commas.

    A lone one of null or NaN in all three is how tables write that there is none.
    """
    if _is_empty_row(value, "onset", "offset", "label"):
        return Annotated(())

    def read(entry: dict[str, Any]) -> list[Event]:
        onset, offset = _times(entry, "onset", "offset")
        label = entry.get("label")
        if not isinstance(label, str):
            raise LabelError(f"label {label!r:.80} is not a name")
        names = [plain(name) for name in label.split(",")]
        unknown = [name for name in names if name not in indices]
        if unknown:
            raise LabelError(f"unknown label {unknown[0]!r:.80}")
        return [Event(onset, offset, indices[name]) for name in dict.fromkeys(names)]

    return _read_list(value, "event", read)


def read_notes(value: Any, indices: dict[str, int]) -> Annotated:
    """Notes of a list of {start, end, note}; note is a MIDI number, 60 or 60.0.

    A lone one of null or NaN in all three is how tables write that there is none.
    """
    if _is_empty_row(value, "start", "end", "note"):
        return Annotated(())

    def read(entry: dict[str, Any]) -> list[Event]:
        onset, offset = _times(entry, "start", "end")
        note = entry.get("note")
        number = whole_number(note)
        if number is None:
            raise LabelError(f"note {note!r:.80} is not a MIDI number")
        if str(number) not in indices:
            raise LabelError(f"note {note!r:.80} is none of the task's")
        return [Event(onset, offset, indices[str(number)])]

    return _read_list(value, "note", read)


def read_captions(metadata: Any, fields: tuple[str, ...]) -> Annotated:
    """Captions of the named fields of a JSON object."""
    captions, faults = [], []
    for field in fields:
        value = metadata.get(field) if isinstance(metadata, dict) else None
        if isinstance(value, str) and not _is_text(value):
            faults.append(f"{field} is no Unicode text: {value!r:.80}")
        elif isinstance(value, str) and words_of(plain(value)):
            captions.append(" ".join(plain(value).split()))
        else:
            faults.append(f"{field} holds no words: {value!r:.80}")
    return _annotated("caption", captions, faults)


def read_transcript(value: Any, *, keep_case: bool = False) -> Annotated:
    """One transcript, in lower case unless `keep_case`, its words parted by single spaces."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not keep_case:
        text = text.lower()
    if not text:
        raise LabelError(f"its transcript is empty: {value!r:.80}")
    strange = next((character for character in text.lower() if character not in ALPHABET), None)
    if strange is not None:
        raise LabelError(
            f"its transcript holds {strange!r}; letters a to z, apostrophe and space are known"
        )
    return Annotated((text,))


def words_of(text: str) -> list[str]:
    """A caption's words: lower case, letters and digits alone, in order."""
    kept = (c if c.isalnum() else " " for c in text.lower().replace("'", ""))
    return "".join(kept).split()


def _is_text(value: str) -> bool:
    """Whether a string can be written at all; JSON can escape half a character."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _is_empty_row(value: Any, *names: str) -> bool:
    """Whether a list is one row of a table that holds nothing."""
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        return False
    return all(name in value[0] and is_missing(value[0][name]) for name in names)


def _read_list(value: Any, what: str, read: Callable[[dict[str, Any]], list[Event]]) -> Annotated:
    if not isinstance(value, list):
        raise LabelError(f"its JSON holds no list of {what}s")
    events: list[Event] = []
    faults = []
    for number, entry in enumerate(value, start=1):
        try:
            if not isinstance(entry, dict):
                raise LabelError("is not a JSON object")
            events += read(entry)
        except LabelError as error:
            faults.append(f"{what} {number}: {error}")
    if faults and not events:
        raise LabelError(f"none of its {len(faults)} {what}s can be used; {faults[0]}")
    return Annotated(tuple(sorted(set(events))), tuple(faults))


def _annotated(what: str, found: list[str], faults: list[str]) -> Annotated:
    if not found:
        raise LabelError(f"none of its {len(faults)} {what}s can be used; {faults[0]}")
    return Annotated(tuple(found), tuple(faults))


def _times(entry: dict[str, Any], first: str, last: str) -> tuple[float, float]:
    values = [entry.get(first), entry.get(last)]
    for name, value in zip((first, last), values, strict=True):
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if not known or not 0 <= value < _LATEST_S:  # type: ignore[operator]
            raise LabelError(f"its {name} is no time in seconds: {value!r:.80}")
    onset, offset = float(values[0]), float(values[1])  # type: ignore[arg-type]
    if onset >= offset:
        raise LabelError(f"its {first} {onset:g} s is not before its {last} {offset:g} s")
    return onset, offset
