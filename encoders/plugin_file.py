"""Encoders' files as modules: the same content once, an edited file anew."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import earmark
from earmark.encoders.encoder import SOURCE_DIGEST, EncoderError
from earmark.encoders.home import Home, inside

_homes: dict[str, Home] = {}  # by the name of the module


def module_from_file(path: Path) -> tuple[ModuleType, Home]:
    """The module of an encoder's file, imported once for its content, and where its code lives.

    Raises EncoderError.
    """
    if not path.is_file():
        raise EncoderError(f"encoder file {path} does not exist; give path/to/file.py:ClassName")
    # The path is in the name so that two files called model.py do not take each other's place, the
    # content so that an edited file is imported anew and not fingerprinted for its old code.
    source = path.read_bytes()
    tag = hashlib.sha256(str(path.resolve()).encode() + b"\0" + source).hexdigest()[:12]
    module_name = f"earmark_plugin_{path.stem}_{tag}"
    if module_name in sys.modules:
        return sys.modules[module_name], _homes[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise EncoderError(f"encoder file {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    # as for a script: what lies beside the file can be imported by it, now and later
    home = _homes[module_name] = Home(path.resolve().parent)
    try:
        vars(module)[SOURCE_DIGEST] = hashlib.sha256(source).hexdigest()
        with inside(home):
            exec(compile(source, str(path), "exec"), vars(module))
    except Exception as error:
        del sys.modules[module_name]
        why = _former_import(source.decode(errors="replace"), error) or (
            f"{type(error).__name__}: {_line(error)}"
        )
        raise EncoderError(f"encoder file {path} cannot be imported: {why}") from error
    return module, home


# What files took from Earmark while `encoders`, `benchmark` and `tasks` were its import names.
_OURS = "AudioEncoder|Codec|Frames|EncoderError|OutputEncoder|SharedPass|register_encoder|evaluate"
_FORMER = re.compile(
    rf"^[ \t]*from (encoders|benchmark|tasks)([.\w]*) import (.*\b(?:{_OURS})\b.*)$", re.MULTILINE
)


def _former_import(source: str, error: Exception) -> str:
    """Which import of a file is of before Earmark was `earmark`, and how it is written now."""
    found = _FORMER.search(source)
    if not isinstance(error, ImportError) or found is None:
        return ""
    top, rest, names = found.groups()
    if (error.name or top).partition(".")[0] != top:
        return ""
    is_face = set(re.findall(r"\w+", names)) <= set(earmark.__all__)
    place = "earmark" if is_face else f"earmark.{top}{rest}"
    return (
        f"Earmark's import name is `earmark`: write `from {place} import {names.strip()}` in place "
        f"of `from {top}{rest} import {names.strip()}`"
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
