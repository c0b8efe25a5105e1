"""Several encoders from one text, `mine.py:Mine(ckpt={runs/*.pt}, layer={1,6})`, and their names.

What is in braces stands for each of its values: those of a list, or the files of a pattern, in the
order of the numbers in their names. Of two, every pair. Needs no torch.
"""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple, NoReturn

from earmark.encoders.spec import base_end, closing_quote, parse_spec, written_value

_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,11}$")
_PATTERN = frozenset("*?[")
_BRACKETS = {"[": 1, "{": 1, "(": 1, "]": -1, "}": -1, ")": -1}


class Swept(NamedTuple):
    """One of the encoders that a text stands for.

    text: how it alone is asked for. varies: of its arguments those that differ, as a column shows
    them: `ckpt=10k`; empty where the text stands for one encoder.
    """

    text: str
    varies: str


def expand(text: str) -> list[Swept]:
    """The encoders that a text stands for, in order; itself where there is nothing in braces.

    Raises EncoderError where a pattern has no file, or braces are not closed or empty.
    """
    parts = list(_parts(text))
    if not any(isinstance(part, list) for part in parts):
        return [Swept(text, "")]
    choices = [part if isinstance(part, list) else [part] for part in parts]
    texts = list(dict.fromkeys("".join(one) for one in itertools.product(*choices)))
    shown = _differences([parse_spec(one).arguments for one in texts])
    return [Swept(one, varies) for one, varies in zip(texts, shown, strict=True)]


def titled(arguments: Mapping[str, Any]) -> str:
    """Arguments as a column shows them: `ckpt=10k, layer=6`."""
    return _joined({key: _short(value) for key, value in arguments.items()})


def _parts(text: str) -> Iterable[str | list[str]]:
    """A text in pieces: as it is, or, of what is in braces, its values."""
    at = start = base_end(text)
    yield text[:start]
    while at < len(text):
        if text[at] in "'\"":
            end = closing_quote(text, at)
            at = len(text) if end < 0 else end + 1
        elif text[at] == "{":
            end = _closing_brace(text, at)
            yield text[start:at]
            yield _values(text, at, end)
            at = start = end + 1
        else:
            at += 1
    yield text[start:]


def _closing_brace(text: str, at: int) -> int:  # noqa: RET503 - _fail does not return
    depth = 0
    for place, _ in _depths(text, at):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place
    _fail(text, at, "the brace is not closed")


def _depths(text: str, at: int) -> Iterable[tuple[int, int]]:
    """Each place from `at` on that is not in quotes, and in how many brackets it ends."""
    depth = 0
    while at < len(text):
        if text[at] in "'\"":
            end = closing_quote(text, at)
            if end < 0:
                return
            at = end
        depth += _BRACKETS.get(text[at], 0)
        yield at, depth
        at += 1


def _values(text: str, opening: int, closing: int) -> list[str]:
    """What the braces at these places stand for."""
    inner = text[opening + 1 : closing]
    cuts = [place for place, depth in _depths(inner, 0) if inner[place] == "," and depth == 0]
    ends = zip([-1, *cuts], [*cuts, len(inner)], strict=True)
    items = [inner[a + 1 : b].strip() for a, b in ends]
    if not all(items):
        _fail(text, opening, "a value is missing in the braces")
    before, after = text[:opening].rstrip()[-1:], text[closing + 1 :].lstrip()[:1]
    alone = before in ("=", "[", ",") and after in (",", ")", "]")
    found: list[str] = []
    for item in items:
        if item[0] in "'\"[" or not _PATTERN & set(item):
            found.append(item)
        elif alone:
            found += map(written_value, _files(text, item))
        else:
            _fail(text, opening, "a pattern of files must be the whole of a value")
    return found


def _files(text: str, pattern: str) -> list[str]:
    """The files and folders of a pattern. Raises EncoderError where there is none."""
    path = Path(pattern).expanduser()
    found = glob.glob(str(path))  # noqa: PTH207 - names as they are asked for
    if not found:
        place = path.parent.absolute()
        _fail(text, text.index(pattern), f"no file fits {pattern} (looked in {place})")
    return sorted(found, key=natural)


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key by which `9k.pt` comes before `10k.pt`."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(one), one) if n % 2 else (1, 0, one) for n, one in enumerate(parts)]


def _differences(all_arguments: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of each encoder's arguments those in which they differ, as a column shows them."""
    keys = [
        key for key in all_arguments[0]
        if len({written_value(one[key]) for one in all_arguments}) > 1
    ]  # fmt: skip
    columns = {key: _shortened([one[key] for one in all_arguments]) for key in keys}
    return [
        _joined({key: columns[key][number] for key in keys})
        for number in range(len(all_arguments))
    ]  # fmt: skip


def _joined(shown: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in shown.items())


def _shortened(values: Sequence[Any]) -> list[str]:
    """Values as short as they still differ where they do: of paths what is not common to all."""
    if not all(isinstance(value, str) and value for value in values):
        return [_short(value) for value in values]
    parts = [PurePath(value).parts for value in values]
    least = min(map(len, parts)) - 1
    first = 0
    while first < least and len({one[first] for one in parts}) == 1:
        first += 1
    last = 0
    while last < least - first and len({one[-1 - last] for one in parts}) == 1:
        last += 1
    left = ["/".join(one[first : len(one) - last]) for one in parts]
    bare = [_EXTENSION.sub("", one) for one in left]
    fits = len(set(bare)) == len(set(values)) and all(bare)
    return bare if fits else left if len(set(left)) == len(set(values)) else list(values)


def _short(value: Any) -> str:
    """One value alone: of a path its last part, without an extension."""
    if isinstance(value, str):
        last = PurePath(value).name if "/" in value or "\\" in value else value
        return _EXTENSION.sub("", last) or last or "''"
    return written_value(value)


def _fail(text: str, at: int, what: str) -> NoReturn:
    from earmark.encoders.encoder import EncoderError

    raise EncoderError(f"encoder {text!r}, character {at + 1}: {what}")
