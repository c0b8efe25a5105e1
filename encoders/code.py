"""What a class is made of where no file holds it: of a notebook's cell, of `exec`, of a prompt.

Comments and line numbers are not in it, nor what its functions take from the notebook's globals:
for that an encoder's output on fixed signals is compared besides (`identity/fingerprint.py`).
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any


def has_no_file(cls: type) -> bool:
    """Whether a class was defined where no file holds its code.

    In `__main__` the file that Python names may be another's: the notebook's kernel, a test runner.
    """
    if cls.__module__ != "__main__" and cls.__module__ in sys.modules:
        return False
    try:
        named = Path(inspect.getfile(cls)).resolve()
    except (OSError, TypeError):
        return True
    made_in = {Path(function.__code__.co_filename).resolve() for _, function in _functions(cls)}
    return bool(made_in) and named not in made_in


def code_digest(cls: type) -> str:
    """SHA-256 (hex) of the code of a class and of its plain attributes, without its bases'.

    The same in every process of one Python version.
    """
    facts = [cls.__qualname__, list(sys.version_info[:2]), sorted(_plain(cls))]
    facts += [[name, _facts(function)] for name, function in _functions(cls)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _functions(cls: type) -> Iterator[tuple[str, FunctionType]]:
    """A class's own functions by name, those of properties and decorators among them."""
    for name, value in sorted(vars(cls).items()):
        parts: list[Any] = [value]
        if isinstance(value, staticmethod | classmethod):
            parts = [value.__func__]
        elif isinstance(value, property):
            parts = [value.fget, value.fset, value.fdel]
        elif isinstance(value, functools.cached_property):
            parts = [value.func]
        for part in parts:
            if isinstance(part, FunctionType):
                inner = inspect.unwrap(part)
                yield name, inner if isinstance(inner, FunctionType) else part


def _plain(cls: type) -> Iterator[str]:
    for name, value in vars(cls).items():
        if not name.startswith("__") and _is_plain(value):
            yield f"{name}={value!r}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(inner) for inner in value)
    return value is None or type(value) in (bool, int, float, str)


def _facts(function: FunctionType) -> list[Any]:
    defaults = [repr(one) for one in function.__defaults__ or () if _is_plain(one)]
    named = function.__kwdefaults__ or {}
    named = {key: repr(one) for key, one in named.items() if _is_plain(one)}
    return [_code(function.__code__), defaults, named]


def _code(code: CodeType) -> list[Any]:
    """Instructions, names and constants, those of inner functions too."""
    return [
        code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars,
        [_constant(one) for one in code.co_consts],
    ]  # fmt: skip


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _code(value)
    if isinstance(value, frozenset):  # in an order that is each process's own
        return sorted(map(repr, value))
    if isinstance(value, tuple):
        return [_constant(one) for one in value]
    return repr(value)
