"""Which column of a table is what: known names, `--columns`, and no column without a word."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from earmark.benchmark.io.nearest import nearest
from earmark.benchmark.prepare.source_folder import LayoutError

PATH, LABEL, LABELS, SPLIT, FOLD, SOURCE = "path", "label", "labels", "split", "fold", "source"
TIMES = (("onset", "offset"), ("start", "end"))
KNOWN = (PATH, LABEL, LABELS, SPLIT, FOLD, SOURCE, *TIMES[0], *TIMES[1])
_REST = "*"

# how tables in the wild call what is meant; only ever asked about, never taken
_OTHER_WORDS = {
    PATH: ("file", "filename", "file_name", "filepath", "wav", "audio", "audio_path"),
    LABEL: ("class", "category", "target", "event_label", "tag", "word", "digit"),
    LABELS: ("classes", "tags", "categories"),
    SPLIT: ("set", "subset", "part", "partition"),
    SOURCE: (
        "speaker", "speaker_id", "spk", "actor", "singer", "artist", "subject", "session",
        "recording", "src_file", "video", "track",
    ),
    "onset": ("begin", "start_time", "onset_s"),
    "offset": ("stop", "end_time", "offset_s"),
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """What `--columns` says.

    named: known name -> the table's own. kept: other columns that go into the clips' JSON as they
    are. rest: whether all others do.
    """

    named: dict[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    rest: bool = False

    def heads(self, path: Path, heads: Sequence[str]) -> list[str]:
        """The table's columns under their known names. Raises LayoutError for one that is unknown.

        path: the table's, for messages.
        """
        for name, own in self.named.items():
            if own not in heads:
                raise LayoutError(
                    f"{path} has no column {own!r}, which --columns takes for {name!r}; it has "
                    f"{', '.join(heads)}"
                )
            if name != own and name in heads and name not in self.named.values():
                raise LayoutError(
                    f"{path} has a column {name!r} too, beside {own!r}, which --columns takes for "
                    "it; remove one"
                )
        lost = sorted(self.kept - set(heads))
        if lost:
            raise LayoutError(f"{path} has no column {lost[0]!r}; it has {', '.join(heads)}")
        known_as = {own: name for name, own in self.named.items()}
        made = [known_as.get(head, head) for head in heads]
        for head in heads:
            if head in known_as or head in KNOWN or head in self.kept or self.rest:
                continue
            meant = meant_by(head, made)
            ask = (
                f"; did you mean {meant!r}? --columns {meant}={head} takes it for that"
                if (meant)
                else f" (known are {', '.join(KNOWN)})"
            )
            raise LayoutError(
                f"{path}: unknown column {head!r}{ask}; --columns {head} keeps it in the clips' "
                "JSON and no more"
            )
        return made


def parse_columns(text: str) -> Columns:
    """`label=digit,source=speaker_id,microphone,*`. Raises LayoutError in a line."""
    named: dict[str, str] = {}
    kept: set[str] = set()
    for part in (part.strip() for part in text.split(",") if part.strip()):
        name, equals, own = (piece.strip() for piece in part.partition("="))
        if not equals:
            kept.add(name)
            continue
        if name not in KNOWN:
            hint = nearest(name, KNOWN, f"known are {', '.join(KNOWN)}")
            raise LayoutError(f"--columns {part}: {name!r} is no column of a table; {hint}")
        if not own or name in named or own in named.values():
            raise LayoutError(f"--columns {text}: give each name one column, as in label=digit")
        named[name] = own
    return Columns(named, frozenset(kept - {_REST}), _REST in kept)


def meant_by(head: str, heads: Sequence[str]) -> str | None:
    """The known name that a column of another name may stand for, if none stands for it yet."""
    free = [name for name in KNOWN if name not in heads]
    word = head.lower().replace(" ", "_")
    for name, words in _OTHER_WORDS.items():
        if name in free and word in words:
            return name
    close = difflib.get_close_matches(word, free, n=1, cutoff=0.75)
    return close[0] if close else None


def needed(path: Path, heads: Sequence[str], *names: str) -> str:
    """Which one of some columns a table has. Raises LayoutError unless it is just one."""
    found = [name for name in names if name in heads]
    if len(found) == 1:
        return found[0]
    likely = next((head for head in heads if meant_by(head, heads) in names), None)
    ask = f"; is it {likely!r}? --columns {meant_by(likely, heads)}={likely}" if likely else ""
    if len(names) == 1:
        raise LayoutError(
            f"{path} has no column {names[0]!r}; its first line must name the columns, such as "
            f"path,label,split,source{ask}"
        )
    words = " and ".join(repr(name) for name in names)
    raise LayoutError(f"{path} needs one of the columns {words}; it has {', '.join(heads)}{ask}")


def times_of(path: Path, heads: Sequence[str]) -> tuple[str, str] | None:
    """The two columns of an event's begin and end, where the table has such."""
    found = [pair for pair in TIMES if any(name in heads for name in pair)]
    if not found:
        return None
    if len(found) > 1 or not all(name in heads for name in found[0]):
        raise LayoutError(
            f"{path} needs both of the columns {' and '.join(map(repr, found[0]))} for events, and "
            f"no others for times; it has {', '.join(heads)}"
        )
    return found[0]
