"""How an encoder is asked for, as text: `BASE[(key=value, ...)][:OUTPUT][:permuted[-N]]`.

BASE is a name (`logmel`), a class in a file (`my_encoder.py:Mine`), `hf:ID_OR_FOLDER` or
`hear:MODULE`. Values are numbers, true, false, None, text, quoted or not, and lists of these; they
are read as such and never run. Needs no torch.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from earmark.encoders.schemes import SCHEMES

_PLACES = frozenset({"hf", "hear", *SCHEMES})  # what a place follows
_CONTROL = re.compile(r"(?P<base>.+):permuted(?:-(?P<draw>[1-9][0-9]{0,5}))?", re.DOTALL)
_KEY = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*")
# Of a class in a file `x.py:Class`; of a file with one encoder `x.py`.
_FILE = re.compile(r".+?\.py(?::[A-Za-z_]\w*)?(?=[:(]|$)")
_PREFIXED = re.compile(r"[^:(]+:(?:[A-Za-z]:(?=[\\/]))?[^:(]*(?:\((?!\s*(?:\w+\s*=|\)))[^:(]*)*")
_NAME = re.compile(r"[^:(]*(?:(?<=\s)\([^:(]*)*")
_NAME_WITH_ARGUMENTS = re.compile(r"[\w.@+-]+\(\s*(?:[A-Za-z_]\w*\s*=|\))")
_LATE_ARGUMENTS = re.compile(r":[\w.-]+(\()\s*(?:[A-Za-z_]\w*\s*=|\))")
_NUMBER = re.compile(r"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WORDS = {"true": True, "True": True, "false": False, "False": False, "None": None, "null": None}
_BARE = re.compile(r"[^\s,()\[\]{}'\"\\](?:[^,()\[\]{}'\"\\\n]*[^\s,()\[\]{}'\"\\])?")


class Asked(NamedTuple):
    """What a name asks for: the encoder `base`; draw: which control of it, 0 for none."""

    base: str
    draw: int

    @property
    def name(self) -> str:
        """The name again: `base`, `base:permuted`, `base:permuted-2`."""
        return control_name(self.base, self.draw) if self.draw else self.base


def parsed(name: str) -> Asked:
    """`dasheng:semantic:permuted-2` -> base `dasheng:semantic`, draw 2."""
    found = _CONTROL.fullmatch(name)
    return Asked(name, 0) if found is None else Asked(found["base"], int(found["draw"] or 1))


def control_name(name: str, draw: int = 1) -> str:
    """The name of an encoder's control: `logmel` -> `logmel:permuted`."""
    return f"{name}:permuted" if draw == 1 else f"{name}:permuted-{draw}"


@dataclass(frozen=True)
class EncoderSpec:
    """What an encoder is asked for by.

    base: a name, `file.py:Class`, `hf:...` or `hear:...`. arguments: of its class, by keyword.
    output: what follows a colon, `layer-6` say; empty: its own. draw: which control of permuted
    weights, 0 for none.
    """

    base: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""
    draw: int = 0

    @property
    def is_file(self) -> bool:
        """Whether the base is a Python file, or a class in one."""
        return not self.prefix and _FILE.fullmatch(self.base) is not None

    @property
    def prefix(self) -> str:
        """`hf`, `hear` or another scheme of places, else empty."""
        start = self.base.partition(":")[0]
        return start if start in _PLACES and ":" in self.base else ""

    @property
    def plain(self) -> str:
        """Base and output, without arguments: `dasheng:semantic`."""
        return f"{self.base}:{self.output}" if self.output else self.base

    @property
    def without_output(self) -> str:
        """Base and arguments, as text: what is loaded once for all its outputs."""
        return self.base + (written(self.arguments) if self.arguments else "")

    @property
    def text(self) -> str:
        """As text again, in one form for one meaning."""
        full = f"{self.without_output}:{self.output}" if self.output else self.without_output
        return Asked(full, self.draw).name


def parse_spec(text: str) -> EncoderSpec:
    """Read how an encoder is asked for.

    Raises EncoderError, one line with the place, for arguments that cannot be read.

    Example:
        >>> parse_spec("mine.py:Mine(ckpt=runs/10k.pt, layer=6):scene")
        EncoderSpec(base='mine.py:Mine', arguments={'ckpt': 'runs/10k.pt', 'layer': 6}, \
output='scene', draw=0)
    """
    inner, draw = parsed(text.strip())
    end = base_end(inner)
    reader = _Reader(inner, end)
    arguments = reader.arguments() if inner[end : end + 1] == "(" else {}
    rest = inner[reader.at :]
    if rest and not rest.startswith(":"):
        reader.fail(f"expected the end, or a colon and an output, not {rest[:20]!r}")
    late = _LATE_ARGUMENTS.match(rest)
    if late is not None:
        reader.fail("arguments come before the output", reader.at + late.start(1))
    if rest and arguments and not rest[1:].strip():
        reader.fail("no output after the colon")
    base = inner[:end]
    if rest == ":":  # no output: a name that nobody knows
        base, rest = base + ":", ""
    return EncoderSpec(base, arguments, rest[1:], draw)


def base_end(text: str) -> int:
    """Where the base of an encoder's text ends."""
    head, colon, _ = text.partition(":")
    if colon and head in _PLACES:
        found = _PREFIXED.match(text)
    else:
        plain = _NAME_WITH_ARGUMENTS.match(text) is not None
        found = (None if plain else _FILE.match(text)) or _NAME.match(text)
    return found.end() if found else len(text)


def written(arguments: Mapping[str, Any]) -> str:
    """Arguments as text: `(ckpt=runs/10k.pt, layer=6)`."""
    return f"({', '.join(f'{key}={written_value(one)}' for key, one in arguments.items())})"


def written_value(value: Any) -> str:
    """A value as `parse_spec` reads it. Raises EncoderError for what is no literal."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written_value, value))}]"
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) is not None and _read_bare(value) == value
        return value if bare else repr(value)
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    from earmark.encoders.encoder import EncoderError

    raise EncoderError(
        f"argument {value!r:.60} is a {type(value).__name__}; arguments are finite numbers, true, "
        "false, None, text and lists of these"
    )


def _read_bare(word: str) -> Any:
    """What a word without quotes stands for."""
    if word in _WORDS:
        return _WORDS[word]
    if _NUMBER.fullmatch(word):
        try:
            return ast.literal_eval(word)
        except (SyntaxError, ValueError):  # 007
            return word
    return word


class _Reader:
    """Reads arguments from `at` on; at: the place, from 0."""

    def __init__(self, text: str, at: int) -> None:
        self.text, self.at = text, at

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        from earmark.encoders.encoder import EncoderError

        place = (self.at if at is None else at) + 1
        raise EncoderError(f"encoder {self.text!r}, character {place}: {what}")

    def arguments(self) -> dict[str, Any]:
        self.at += 1  # the bracket
        found: dict[str, Any] = {}
        while not self.takes(")"):
            key = _KEY.match(self.text, self.at)
            if key is None:
                self.skip_space()
                missing = self.at >= len(self.text)
                self.fail(
                    "the bracket is not closed" if missing else
                    "arguments are given by name, as in (layer=6)"
                )  # fmt: skip
            if key[1] in found:
                self.fail(f"argument {key[1]} is there twice", key.start(1))
            self.at = key.end()
            found[key[1]] = self.value(key[1])
            self.separated(")")
        return found

    def separated(self, closing: str) -> None:
        """Go past a comma, or to the end of what it separates."""
        self.skip_space()
        if self.text[self.at : self.at + 1] == closing or self.takes(","):
            return
        self.fail(
            f"expected a comma or {closing!r}; put text that has brackets, quotes, commas or "
            "backslashes in it into quotes"
        )

    def value(self, of: str) -> Any:
        self.skip_space()
        start = self.text[self.at : self.at + 1]
        if start and start in "'\"":
            return self.quoted()
        if start == "[":
            return self.listed(of)
        if start == "{":
            self.fail("{...} stands for several encoders; here one is asked for")
        found = _BARE.match(self.text, self.at)
        if found is None:
            self.fail(f"no value for {of}; write '' for empty text")
        self.at = found.end()
        value = _read_bare(found[0])
        if isinstance(value, float) and not math.isfinite(value):
            self.fail(f"{found[0]} is too large a number", found.start())
        return value

    def listed(self, of: str) -> list[Any]:
        self.at += 1
        found = []
        while not self.takes("]"):
            found.append(self.value(of))
            self.separated("]")
        return found

    def quoted(self) -> str:
        start, quote = self.at, self.text[self.at]
        end = closing_quote(self.text, start)
        if end < 0:
            self.fail(f"no second {quote}")
        self.at = end + 1
        try:
            return str(ast.literal_eval(self.text[start : self.at]))
        except (SyntaxError, ValueError):
            self.fail("not text as Python writes it; double each backslash", start)

    def takes(self, sign: str) -> bool:
        self.skip_space()
        if self.text[self.at : self.at + 1] != sign:
            return False
        self.at += 1
        return True

    def skip_space(self) -> None:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1


def closing_quote(text: str, start: int) -> int:
    """Where the text in quotes that begins at `start` ends; -1: nowhere."""
    at = start + 1
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == text[start]:
            return at
        at += 1
    return -1
