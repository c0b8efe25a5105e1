"""Labels that are more than a class: events and notes in time, captions, transcripts.

A single annotation that cannot be used (an event that ends before it begins, a note that the task
has no class for, an empty caption) is left out and named as a fault; the rest of the clip stays.
A clip of which nothing can be used raises LabelError.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from earmark.tasks import plain_name
from earmark.tasks.spec import Event

# The characters of a transcript, in the order of the CTC probe's outputs after the blank.
ALPHABET = " 'abcdefghijklmnopqrstuvwxyz"

_LATEST_S = 1e9  # 31 years; what is beyond, infinity too, would overflow where segments are cut


class LabelError(ValueError):
    """A clip's JSON from which no label can be read; says why in a few words."""


class Annotated(NamedTuple):
    """A clip's label as it was read.

    Attributes:
        label: what can be used.
        faults: what cannot, and why, in words.
    """

    label: tuple[Any, ...]
    faults: tuple[str, ...] = ()


def read_events(value: Any, indices: dict[str, int]) -> Annotated:
    """Events of a list of {onset, offset, label}; a label may join several classes by commas.

    A lone event of NaN, NaN, null is none: nothing is heard.

    Args:
        value: of the JSON field, or the whole JSON.
        indices: class index by name in NFC.

    Returns:
        `Event`s in order of their onset, each once.

    Raises:
        LabelError: it is no list, or none of its events can be used.

    Example:
        >>> read_events([{"onset": 0.5, "offset": 2, "label": "dog"}], {"dog": 0}).label
        (Event(onset=0.5, offset=2.0, label=0),)
    """

    def read(entry: dict[str, Any]) -> list[Event]:
        onset, offset = _times(entry, "onset", "offset")
        label = entry.get("label")
        parts = label.split(",") if isinstance(label, str) else [label]
        names = [plain_name(part) or "" for part in parts]
        if names == [""] and label != "":
            raise LabelError(f"label {label!r:.80} is not a name")
        unknown = [name for name in names if name not in indices]
        if unknown:
            raise LabelError(f"unknown label {unknown[0]!r:.80}{case_hint(unknown[0], indices)}")
        return [Event(onset, offset, indices[name]) for name in dict.fromkeys(names)]

    if _says_nothing(value, ("onset", "offset", "label")):
        return Annotated(())
    return _read_list(value, "event", read)


def read_notes(value: Any, indices: dict[str, int]) -> Annotated:
    """Notes of a list of {start, end, note}; note is a MIDI number. A lone one of NaN is none.

    Args:
        value: of the JSON field, or the whole JSON.
        indices: class index by MIDI number, as text.

    Returns:
        `Event`s in order of their onset, each once.

    Raises:
        LabelError: it is no list, or none of its notes can be used.
    """

    def read(entry: dict[str, Any]) -> list[Event]:
        onset, offset = _times(entry, "start", "end")
        note = entry.get("note")
        number = plain_name(note)
        digits = number is not None and number.isascii() and number.removeprefix("-").isdecimal()
        if number is None or not digits:
            raise LabelError(f"note {note!r:.80} is not a MIDI number")
        if number not in indices:
            raise LabelError(f"note {note!r:.80} is none of the task's")
        return [Event(onset, offset, indices[number])]

    if _says_nothing(value, ("start", "end", "note")):
        return Annotated(())
    return _read_list(value, "note", read)


def read_captions(metadata: Any, fields: tuple[str, ...]) -> Annotated:
    """Captions of the named fields of a JSON object.

    Raises:
        LabelError: none of them holds words.
    """
    captions, faults = [], []
    for field in fields:
        value = metadata.get(field) if isinstance(metadata, dict) else None
        if isinstance(value, str) and not _is_text(value):
            faults.append(f"{field} is no Unicode text: {value!r:.80}")
        elif isinstance(value, str) and words_of(value):
            captions.append(" ".join(value.split()))
        else:
            faults.append(f"{field} holds no words: {value!r:.80}")
    return _annotated("caption", captions, faults)


def read_transcript(value: Any, *, keep_case: bool = False) -> Annotated:
    """One transcript, its words parted by single spaces.

    Args:
        value: of the JSON field.
        keep_case: as it is written; else in lower case.

    Raises:
        LabelError: it is empty, or holds other characters than `ALPHABET`.

    Example:
        >>> read_transcript("It  BARKS").label
        ('it barks',)
    """
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


def case_hint(name: str, known: Iterable[str]) -> str:
    """What to say of an unknown name that is a known one but for its case; else nothing."""
    close = next((other for other in known if other.casefold() == name.casefold()), None)
    return f"; did you mean {close!r:.80}? case counts" if close is not None else ""


def words_of(text: str) -> list[str]:
    """A caption's words: lower case, letters and digits alone, in order.

    Example:
        >>> words_of("A dog's bark, twice.")
        ['a', 'dogs', 'bark', 'twice']
    """
    text = unicodedata.normalize("NFC", text)  # a letter and its accent are one, not a word's end
    kept = (c if c.isalnum() else " " for c in text.lower().replace("'", ""))
    return "".join(kept).split()


def _is_text(value: str) -> bool:
    """Whether a string can be written at all; JSON can escape half a character."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _says_nothing(value: Any, fields: tuple[str, ...]) -> bool:
    """Whether a list holds one annotation whose fields are all there, and all null or NaN.

    So pandas writes the row of a clip in which nothing happens, and so do DESED's own tables.
    """
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        return False
    held = [value[0].get(field, "") for field in fields]
    return all(one is None or (isinstance(one, float) and math.isnan(one)) for one in held)


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
