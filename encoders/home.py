"""Where an encoder's code lives: its own import path, modules and settings of the process.

Code that is not ours runs `inside` its home only. What it has changed of the process by then is put
back when it returns, and set again when it is called the next time: each encoder finds what it
left, and nothing that another did.
"""

from __future__ import annotations

import contextlib
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import torch

from earmark.encoders.surroundings import (
    FACTS,
    RandomNumbers,
    drawing_from,
    read_fact,
    seeded,
    streams_kept,
    write_fact,
)

# Modules of one of these are the process's, from whatever folder.
_SHARED = frozenset({"earmark", "__main__"})
_INSTALLED = tuple(
    os.path.realpath(folder) + os.sep
    for folder in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        site.getusersitepackages(),
    }
)


def is_installed(path: str) -> bool:
    """Whether a file, by its real path, is Python's own or of an installed package."""
    return path.startswith(_INSTALLED)


class Home:
    """What the code of one encoder (file) has of its own.

    folder: where its file lies, whose neighbours it can import as a script can.
    """

    def __init__(self, folder: Path | None = None) -> None:
        # before and after what is on sys.path in any case
        self.front: list[str] = [] if folder is None else [str(folder)]
        self.back: list[str] = []
        self.modules: dict[str, ModuleType] = {}
        self.changed: dict[str, Any] = {}
        self.environment: dict[str, str | None] = {}  # None: removed
        self.numbers: RandomNumbers | None = None  # None: as seeded with 0
        self.occupied = False

    def reseed(self) -> None:
        """Let its code draw the random numbers again that it drew first."""
        self.numbers = None


_homes: WeakKeyDictionary[torch.nn.Module, Home] = WeakKeyDictionary()


def home_of(encoder: torch.nn.Module) -> Home:
    """The home of an encoder: of the file it was loaded from, else its own."""
    return _homes.setdefault(encoder, Home())


def settle(encoder: torch.nn.Module, home: Home) -> None:
    """Note where an encoder lives."""
    _homes[encoder] = home


def draw_anew(encoder: torch.nn.Module) -> None:
    """Let an encoder draw the random numbers that it drew first, where it draws any."""
    home_of(encoder).reseed()


@contextlib.contextmanager
def inside(home: Home) -> Iterator[None]:
    """Run code of a home in this block. Inside itself it does nothing."""
    if home.occupied:
        yield
        return
    home.occupied = True
    exchanged = None
    try:
        with contextlib.ExitStack() as stack:
            # the last to be entered is the first to be put back
            stack.enter_context(streams_kept())
            stack.enter_context(_settings_of(home))
            stack.enter_context(_environment_of(home))
            stack.enter_context(_imports_of(home))
            exchanged = stack.enter_context(drawing_from(home.numbers or seeded()))
            yield
    finally:
        home.occupied = False
        if exchanged is not None:
            home.numbers = exchanged.after


@contextlib.contextmanager
def _settings_of(home: Home) -> Iterator[None]:
    outside = {name: read_fact(name) for name in FACTS}
    for name, value in home.changed.items():
        write_fact(name, value)
    before = outside | home.changed
    try:
        yield
    finally:
        for name, fact in FACTS.items():
            now = read_fact(name)
            if fact.lasts and now != before[name]:
                home.changed[name] = now
            if now != outside[name]:
                write_fact(name, outside[name])


@contextlib.contextmanager
def _environment_of(home: Home) -> Iterator[None]:
    outside = dict(os.environ)
    _change(home.environment)
    before = dict(os.environ) if home.environment else outside
    try:
        yield
    finally:
        now = dict(os.environ)
        if now != before:
            home.environment |= {key: None for key in before if key not in now}
            home.environment |= {
                key: value for key, value in now.items() if before.get(key) != value
            }
        if now != outside:
            _change({key: None for key in now if key not in outside} | outside)


def _change(variables: dict[str, Any]) -> None:
    for key, value in variables.items():
        if value is None:
            os.environ.pop(key, None)
        elif os.environ.get(key) != value:
            os.environ[key] = value


@contextlib.contextmanager
def _imports_of(home: Home) -> Iterator[None]:
    """The home's import path, and its own modules in the place of others of the same name."""
    path, outside = sys.path, sys.path.copy()
    sys.path[:] = inner = [*home.front, *outside, *home.back]
    hidden = _hide_strangers(home)
    for name, module in home.modules.items():
        if name in sys.modules:
            hidden[name] = sys.modules[name]
        sys.modules[name] = module
    newest = next(reversed(sys.modules))
    try:
        yield
    finally:
        if sys.path != inner:
            home.front, home.back = _additions(sys.path, outside)
        _take_new_modules(home, newest)
        for name in home.modules:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)
        sys.path = path
        path[:] = outside


def _additions(now: list[str], outside: list[str]) -> tuple[list[str], list[str]]:
    """What a path has besides that of outside: before the first entry of it, and after."""
    left = outside.copy()
    own, is_theirs = [], []
    for entry in reversed(now):  # of two alike, the first was put there
        is_theirs.append(entry in left)
        if is_theirs[-1]:
            left.remove(entry)
        own.append(entry)
    own, is_theirs = own[::-1], is_theirs[::-1]
    first = is_theirs.index(True) if True in is_theirs else len(own)
    return own[:first], [e for e, theirs in zip(own[first:], is_theirs[first:], strict=True)
                         if not theirs]  # fmt: skip


def _folders(home: Home) -> tuple[str, ...]:
    """Its own folders, real and ending in a separator, lest `a` be taken for a part of `ab`."""
    return tuple(
        os.path.realpath(entry).rstrip(os.sep) + os.sep for entry in (*home.front, *home.back)
    )


def _origin(module: ModuleType) -> str:
    """The file of a module, or the folder of a package without one."""
    file = getattr(module, "__file__", None)
    if file is None:
        file = next(iter(getattr(module, "__path__", ())), None)
    return os.path.realpath(file) if isinstance(file, str) else ""


def _is_own(name: str, module: ModuleType, folders: tuple[str, ...]) -> bool:
    top = name.partition(".")[0]
    if top in _SHARED or top.startswith("earmark_plugin_"):
        return False
    origin = _origin(module)
    return origin.startswith(folders) and not origin.startswith(_INSTALLED)


def _take_new_modules(home: Home, newest: str) -> None:
    """Keep for the home what was imported from its folders after the module called `newest`."""
    new: list[str] = []
    for name in reversed(sys.modules):
        if name == newest:
            break
        new.append(name)
    if not new:
        return
    folders = _folders(home)
    for name in reversed(new):
        module = sys.modules[name]
        if isinstance(module, ModuleType) and _is_own(name, module, folders):
            home.modules[name] = module


def _hide_strangers(home: Home) -> dict[str, ModuleType]:
    """Take out of sys.modules what has the name of something in the home's folders.

    The same file stays: the caller may have imported it, and hold what it holds.
    """
    hidden: dict[str, ModuleType] = {}
    for entry in home.front:
        for name in _provided(entry):
            known = sys.modules.get(name)
            if known is None or name in _SHARED or name in home.modules:
                continue
            origin = _origin(known)
            here = os.path.realpath(entry).rstrip(os.sep) + os.sep
            if not origin or origin.startswith((here, *_INSTALLED)):
                continue
            for key in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
                hidden[key] = sys.modules.pop(key)
    return hidden


def _provided(folder: str) -> list[str]:
    """Names of the modules and packages that lie in a folder."""
    try:
        entries = os.listdir(folder or ".")  # noqa: PTH208
    except OSError:
        return []
    return [entry.removesuffix(".py") for entry in entries if "." not in entry.removesuffix(".py")]
