"""Weights that an encoder uses and its fingerprint does not see: globals, lists, other objects."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from earmark.encoders.encoder import AudioEncoder, is_own_code, is_plain

_DEEPEST = 6  # attributes of attributes
_MOST = 20_000  # objects looked at


def unseen_weights(encoder: AudioEncoder) -> list[str]:
    """Where there are models and parameters that the fingerprint of an encoder does not cover.

    Looked through are attributes, class attributes, and the globals, closures and defaults of the
    encoder's own functions; names as `MODEL`, `self.parts[0]`. What is read from a file or from the
    environment each time is not found: only behaviour tells of that (`identity/fingerprint.py`).
    """
    return _Search(encoder).found


class _Search:
    def __init__(self, encoder: AudioEncoder) -> None:
        self.seen = {id(module) for module in encoder.modules()}
        self.seen |= {id(tensor) for tensor in (*encoder.parameters(), *encoder.buffers())}
        self.found: list[str] = []
        for where, module in encoder.named_modules():
            name = f"self.{where}" if where else "self"
            for key, value in vars(module).items():
                if not isinstance(value, torch.Tensor | np.ndarray):  # these are covered
                    self._look(value, f"{name}.{key}", 0)
        classes = {cls: None for module in encoder.modules() for cls in type(module).__mro__}
        for cls in classes:
            if is_own_code(cls):
                for key, value in vars(cls).items():
                    self._look(value, f"{cls.__name__}.{key}", 0)

    def _look(self, value: Any, name: str, depth: int) -> None:
        if depth > _DEEPEST or id(value) in self.seen or len(self.seen) > _MOST:
            return
        if is_plain(value) or isinstance(value, type | ModuleType):
            return
        self.seen.add(id(value))
        if isinstance(value, torch.nn.Module):
            if next(value.parameters(), None) is not None:
                self.found.append(name)
            return
        if isinstance(value, torch.nn.Parameter):
            self.found.append(name)
            return
        for inner, called in _parts(value, name):
            self._look(inner, called, depth + 1)


def _parts(value: Any, name: str) -> Iterator[tuple[Any, str]]:
    """What a value holds, with names."""
    if isinstance(value, staticmethod | classmethod | MethodType):
        yield value.__func__, name
        if isinstance(value, MethodType):
            yield value.__self__, f"{name}.__self__"
    elif isinstance(value, FunctionType):
        yield from _held_by(value, name)
    elif isinstance(value, property):
        yield value.fget, name
    elif isinstance(value, dict):
        for key, inner in list(value.items()):
            yield inner, f"{name}[{key!r}]"
    elif isinstance(value, list | tuple | set | frozenset):
        for number, inner in enumerate(list(value)):
            yield inner, f"{name}[{number}]"
    elif is_own_code(type(value)) and not isinstance(value, np.ndarray | torch.Tensor):
        for key, inner in list(getattr(value, "__dict__", {}).items()):
            yield inner, f"{name}.{key}"


def _held_by(function: FunctionType, name: str) -> Iterator[tuple[Any, str]]:
    """Globals, closure and defaults of a function of the encoder's own."""
    if not _may_be_own(function.__module__ or ""):
        return
    for key in _names(function.__code__):
        if key in function.__globals__:
            yield function.__globals__[key], key
    for cell, key in zip(function.__closure__ or (), function.__code__.co_freevars, strict=False):
        try:
            yield cell.cell_contents, f"{key} in {name}"
        except ValueError:  # empty
            continue
    yield function.__defaults__, f"defaults of {name}"


def _names(code: CodeType) -> Iterator[str]:
    """Global names that code uses, with those of functions inside it."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _may_be_own(module: str) -> bool:
    """Whether a module may be the encoder's own: neither a library's nor ours."""
    top = module.partition(".")[0]
    return top not in sys.stdlib_module_names and top not in _LIBRARIES


_LIBRARIES = frozenset({
    "torch", "torchaudio", "numpy", "scipy", "transformers", "snac", "earmark",
})  # fmt: skip
