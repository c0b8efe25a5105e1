"""What a caller asks for: names, mappings and objects; sweeps in them, and the names to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from earmark.benchmark.io.nearest import nearest
from earmark.encoders import AudioEncoder, EncoderError, OutputEncoder, encoder_names
from earmark.encoders.made import made_with, rename
from earmark.encoders.spec import control_name, parse_spec, parsed, written_value
from earmark.encoders.sweep import expand

# `{"encoder": "mine.py:Mine", "arguments": {"ckpt": "runs/10k.pt"}, "name": "mine"}`
AskedFor = str | AudioEncoder | Mapping[str, Any]
_KEYS = ("encoder", "arguments", "name")
_EACH = "each"


class Title(NamedTuple):
    """What an encoder is shown as. name: given by the caller, else empty. varies: as of `Swept`."""

    name: str = ""
    varies: str = ""


class Chosen(NamedTuple):
    """Encoders one by one. titles: by name, of those that are not shown under their own."""

    encoders: list[str | AudioEncoder]
    titles: dict[str, Title]


def chosen_from(asked: AskedFor | Sequence[AskedFor]) -> Chosen:
    """The encoders that are asked for, each by a name of its own or as an object.

    Raises EncoderError where a mapping is none of an encoder, where braces stand for nothing, and
    where one name would stand for two encoders.
    """
    single = isinstance(asked, str | AudioEncoder | Mapping)
    everything = cast(Sequence[AskedFor], [asked] if single else asked)
    encoders: list[str | AudioEncoder] = []
    titles: dict[str, Title] = {}
    for one in everything:
        if isinstance(one, AudioEncoder):
            encoders.append(one)
            continue
        text, name = (one, "") if isinstance(one, str) else _from_mapping(one)
        for swept in expand(text):
            title = Title(name, swept.varies)
            base = parsed(swept.text).base
            if titles.setdefault(base, title) != title and title != Title():
                raise EncoderError(
                    f"encoder {swept.text!r} is asked for twice, under two names; ask for it once"
                )
            encoders.append(swept.text)
    titles = {text: title for text, title in titles.items() if title != Title()}
    given = [title for title in titles.values() if title.name]
    for title in given:
        if given.count(title) > 1:
            raise EncoderError(f"two encoders are named {title.name!r}; name each differently")
    return Chosen(encoders, titles)


def encoder_texts(asked: Sequence[AskedFor]) -> list[str]:
    """Encoders that are asked for by name, one by one. Raises EncoderError."""
    return [one for one in chosen_from(asked).encoders if isinstance(one, str)]


def checked_name(name: object) -> str:
    """A name that a column may have. Raises EncoderError."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise EncoderError(f"name {name!r:.60}: must be a line of text")
    if ":permuted" in name or ":shuffled-labels" in name or " --" in name:
        raise EncoderError(f"name {name!r}: `:permuted` and such are what Earmark adds to a name")
    if name in encoder_names():
        raise EncoderError(f"name {name!r}: so is a known encoder called; choose another name")
    return name.strip()


def show_as(title: Title | None, draw: int, encoders: Sequence[AudioEncoder]) -> None:
    """Name encoders, loaded by one name, as they are to be shown.

    draw: which control they are, 0 for none.
    """
    if title is None:
        return
    for encoder in encoders:
        made = made_with(encoder)
        own = (made.own_name or str(type(encoder).name)) if made.named else encoder.name
        shown = title.name or parsed(own).base
        if title.varies:
            shown = f"{shown}({title.varies})"
        if len(encoders) > 1 and isinstance(encoder, OutputEncoder) and encoder.output:
            shown = f"{shown}:{encoder.output}"
        rename(encoder, control_name(shown, draw) if draw else shown)


def _from_mapping(asked: Mapping[str, Any]) -> tuple[str, str]:
    """Text and name of an encoder that is asked for as a mapping. Raises EncoderError."""
    if not isinstance(asked, Mapping):
        raise EncoderError(f"an encoder is text, an object or a mapping, not {asked!r:.60}")
    for key in asked:
        if key not in _KEYS:
            hint = nearest(str(key), _KEYS, f"known are {', '.join(_KEYS)}")
            raise EncoderError(f"encoder {asked!r:.80}: unknown key {key!r}; {hint}")
    base, arguments = asked.get("encoder"), asked.get("arguments") or {}
    if not isinstance(base, str) or not isinstance(arguments, Mapping):
        raise EncoderError(
            f"encoder {asked!r:.80}: `encoder` must be text, `arguments` a mapping of names to "
            "values"
        )
    name = checked_name(asked["name"]) if asked.get("name") is not None else ""
    if not arguments:
        return base, name
    spec = parse_spec(base)
    if spec.arguments:
        raise EncoderError(f"encoder {base!r} has arguments in both; give them in one")
    for key in arguments:
        if not isinstance(key, str) or not key.isidentifier():
            raise EncoderError(f"encoder {base!r}: argument {key!r} is no name")
    words = ", ".join(f"{key}={_value(value)}" for key, value in arguments.items())
    head = spec.base + f"({words})" + (f":{spec.output}" if spec.output else "")
    return (control_name(head, spec.draw) if spec.draw else head), name


def _value(value: Any) -> str:
    """An argument of a mapping as text; `{"each": [1, 2]}` and `{"each": "runs/*.pt"}` sweep."""
    if isinstance(value, Mapping):
        each = value.get(_EACH)
        if list(value) != [_EACH] or not each or not isinstance(each, str | list | tuple):
            raise EncoderError(
                f"argument {dict(value)!r:.60}: a mapping must be {{'each': [1, 2]}} or "
                "{'each': 'runs/*.pt'}"
            )
        inner = each if isinstance(each, str) else ", ".join(map(_quoted, each))
        return f"{{{inner}}}"
    return written_value(str(value) if hasattr(value, "__fspath__") else value)


def _quoted(value: Any) -> str:
    """A value in braces; text in quotes, so that none is taken for a pattern."""
    value = str(value) if hasattr(value, "__fspath__") else value
    text = written_value(value)
    return repr(value) if isinstance(value, str) and set("*?[") & set(value) else text
