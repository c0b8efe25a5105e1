"""Dataclasses from JSON and back: every value is checked against its field's type.

One reader for all files of results: a file in which anything is missing or of another type is
refused by the name of the field, before any table rests on it.
"""

from __future__ import annotations

import math
import types
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

# A number that is written as null where it is not finite, and read as NaN.
MaybeNaN = Annotated[float, "null is NaN"]
# Two numbers; null, or null in it, where there is none.
Interval = Annotated[list[float] | None, "interval"]
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_OMITTED, _WHEN_DONE = "omitted", "when done"

T = TypeVar("T")


class FieldError(ValueError):
    """A field that is missing or holds what it cannot, in a few words."""


def optional() -> Any:
    """A field that is not written where it is None, nor missed where it is not there."""
    return field(default=None, metadata={_OMITTED: True})


def when_done(default: Any = MISSING, *, factory: Any = MISSING, needed: bool = True) -> Any:
    """A field of what is done, which a failure has not got.

    needed: whether it must be there in the file; False of what older versions did not write.
    """
    return field(default=default, default_factory=factory, metadata={_WHEN_DONE: needed})


@dataclass(frozen=True)
class _Field:
    kind: Any
    has_default: bool
    omitted: bool
    needed: bool


@cache
def _fields(cls: type) -> dict[str, _Field]:
    hints = get_type_hints(cls, include_extras=True)
    return {
        one.name: _Field(
            hints[one.name],
            one.default is not MISSING or one.default_factory is not MISSING,
            _OMITTED in one.metadata,
            bool(one.metadata.get(_WHEN_DONE)),
        )
        for one in fields(cls)
        if one.init
    }


def read_fields(cls: type[T], raw: Any, where: str = "") -> T:
    """A dataclass from a JSON object. Keys that no field has are left out: another version's.

    Raises FieldError, which names the field, for one that is missing or of another type.

    Example:
        >>> @dataclass
        ... class Shard:
        ...     name: str
        >>> read_fields(Shard, {"name": 3}, "shard")
        Traceback (most recent call last):
        FieldError: shard.name must be text, not 3
    """
    if not isinstance(raw, dict):
        raise FieldError(f"{where or 'it'} must be an object, not {raw!r:.40}")
    given = {}
    inside = f"{where}." if where else ""
    for name, one in _fields(cls).items():  # type: ignore[arg-type]
        if name in raw:
            given[name] = _read(one.kind, raw[name], inside + name)
        elif not one.has_default:
            raise FieldError(f"{inside}{name} is missing")
    return cls(**given)


def check_whole(cls: type, raw: dict[str, Any], where: str) -> None:
    """Raise FieldError where what is done lacks a field of `when_done`."""
    for name, one in _fields(cls).items():
        if one.needed and name not in raw:
            raise FieldError(f"{where}.{name} is missing")


def plain(value: Any, *, whole: bool = True) -> Any:
    """JSON values of a dataclass, field by field in their order; NaN becomes null.

    whole: False leaves out what `when_done` holds and has its default, as of a failure.
    """
    if is_dataclass(value) and not isinstance(value, type):
        found = {}
        for one in fields(value):
            inner = getattr(value, one.name)
            if inner is None and _OMITTED in one.metadata:
                continue
            if not whole and _WHEN_DONE in one.metadata and not inner:
                continue
            if one.init:
                found[one.name] = plain(inner, whole=whole)
        return found
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if kind is Any:
        return value
    if kind == Interval:
        return _interval(value, where)
    if origin is Annotated:
        return math.nan if value is None else _read(get_args(kind)[0], value, where)
    if origin in (Union, types.UnionType):
        inner = [one for one in get_args(kind) if one is not type(None)]
        if value is None and len(inner) < len(get_args(kind)):
            return None
        if len(inner) == 1:
            return _read(inner[0], value, where)
        for one in inner:
            if type(value) is one:
                return value
        raise FieldError(f"{where} must be {' or '.join(map(_word, inner))}, not {value!r:.40}")
    if origin is Literal:
        if value not in get_args(kind):
            known = ", ".join(map(str, get_args(kind)))
            raise FieldError(f"{where} must be one of {known}, not {value!r:.40}")
        return value
    if origin in (list, tuple):
        if not isinstance(value, list):
            raise FieldError(f"{where} must be a list, not {value!r:.40}")
        read = [_read(get_args(kind)[0], one, f"{where}[{i}]") for i, one in enumerate(value)]
        return read if origin is list else tuple(read)
    if origin is dict:
        if not isinstance(value, dict):
            raise FieldError(f"{where} must be an object, not {value!r:.40}")
        return {key: _read(get_args(kind)[1], one, f"{where}.{key}") for key, one in value.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        return read_fields(kind, value, where)
    accepted = (int, float) if kind is float else kind
    is_truth = isinstance(value, bool)
    if not isinstance(value, accepted) or (is_truth and kind is not bool):
        raise FieldError(f"{where} must be {_word(kind)}, not {value!r:.40}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:  # no float, no array holds it
        raise FieldError(f"{where} is a whole number beyond 64 bits")
    return value


def _interval(value: Any, where: str) -> list[float] | None:
    if value is None or (isinstance(value, list) and None in value):
        return None
    bounds: list[float] = _read(list[float], value, where)
    if len(bounds) != 2:
        raise FieldError(f"{where} must be two numbers, not {value!r:.40}")
    return bounds


def _word(kind: Any) -> str:
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))
