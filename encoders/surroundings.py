"""What a process has but one of, and an encoder's code may change: how to read it and put it back.

Number types, precision, threads and switches of torch; error handling of numpy; working folder,
environment, locale, warnings; handlers of signals and standard streams; states of random numbers.
"""

from __future__ import annotations

import contextlib
import locale
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import mtrand


class Fact(NamedTuple):
    """One setting of the process.

    lasts: whether what an encoder's code sets is set again when that code is next called; else it
    is undone for good.
    """

    read: Callable[[], Any]
    write: Callable[[Any], None]
    lasts: bool = True


def _attribute(owner: Any, name: str, *, lasts: bool = True) -> Fact:
    return Fact(lambda: getattr(owner, name), lambda value: setattr(owner, name, value), lasts)


def _default_device() -> str:
    return str(torch.get_default_device())


def _set_default_device(value: str) -> None:
    torch.set_default_device(None if value == "cpu" else value)


_TINY = torch.tensor([1e-40])  # below the smallest normal float32


def _flushes_denormals() -> bool:
    return not bool(_TINY + _TINY)


def _autocast(device: str) -> dict[str, Fact]:
    return {
        f"autocast {device}": Fact(
            lambda: torch.is_autocast_enabled(device),
            lambda value: torch.set_autocast_enabled(device, value),
        ),
        f"autocast {device} type": Fact(
            lambda: torch.get_autocast_dtype(device),
            lambda value: torch.set_autocast_dtype(device, value),
        ),
    }


def _read_warnings() -> tuple[Any, ...]:
    return tuple(warnings.filters)


def _set_warnings(value: tuple[Any, ...]) -> None:
    warnings.filters[:] = value  # type: ignore[index]


def _set_locale(value: str) -> None:
    locale.setlocale(locale.LC_ALL, value)


def _working_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - called around every batch
    except OSError:  # it was removed
        return None


def _set_working_folder(value: str | None) -> None:
    if value is not None:
        os.chdir(value)


def _handlers() -> tuple[Any, ...]:
    return tuple(map(signal.getsignal, _SIGNALS))


def _set_handlers(value: tuple[Any, ...]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number, handler in zip(_SIGNALS, value, strict=True):
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


def _rings() -> bool:
    """Whether an alarm is set, which would end the process."""
    return hasattr(signal, "getitimer") and signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _silence(rings: bool) -> None:
    if not rings:
        signal.setitimer(signal.ITIMER_REAL, 0)


_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGPIPE")
    if hasattr(signal, name)
)
_backends = torch.backends
# The older switch of precision before the newer ones, which it sets too.
FACTS: dict[str, Fact] = {
    "default type": Fact(torch.get_default_dtype, torch.set_default_dtype),
    "default device": Fact(_default_device, _set_default_device),
    "matmul precision": Fact(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    ),
    "precision": _attribute(_backends, "fp32_precision"),
    "precision CUDA": _attribute(_backends.cuda.matmul, "fp32_precision"),
    **{
        f"precision oneDNN {name}": _attribute(getattr(_backends.mkldnn, name), "fp32_precision")
        for name in ("matmul", "conv", "rnn")
    },
    "threads": Fact(torch.get_num_threads, torch.set_num_threads),
    "determinism": Fact(torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "gradients": Fact(torch.is_grad_enabled, lambda value: void(torch.set_grad_enabled(value))),
    **_autocast("cpu"),
    **_autocast("cuda"),
    **_autocast("mps"),
    "denormals": Fact(_flushes_denormals, lambda value: void(torch.set_flush_denormal(value))),
    "oneDNN": _attribute(_backends.mkldnn, "enabled"),
    "cuDNN": _attribute(_backends.cudnn, "enabled"),
    "cuDNN benchmark": _attribute(_backends.cudnn, "benchmark"),
    "cuDNN determinism": _attribute(_backends.cudnn, "deterministic"),
    # a run switches it off, as it costs a tenth of float32's digits
    "cuDNN TF32": _attribute(_backends.cudnn, "allow_tf32", lasts=False),
    "numpy errors": Fact(np.geterr, lambda value: void(np.seterr(**value))),
    "warnings": Fact(_read_warnings, _set_warnings),
    "locale": Fact(lambda: locale.setlocale(locale.LC_ALL), _set_locale),
    "working folder": Fact(_working_folder, _set_working_folder),
    "recursion": Fact(sys.getrecursionlimit, sys.setrecursionlimit),
    # so that Ctrl-C is heard, and nothing ends the process later
    "signals": Fact(_handlers, _set_handlers, lasts=False),
    "alarm": Fact(_rings, _silence, lasts=False),
    "exception hook": _attribute(sys, "excepthook", lasts=False),
}


def void(_: object) -> None:
    """Nothing, of what a setter returns."""


def read_fact(name: str) -> Any:
    """One setting now; None where torch's older and newer switches of it are at odds."""
    try:
        return FACTS[name].read()
    except RuntimeError:
        return None


def write_fact(name: str, value: Any) -> None:
    """Put one back; one that cannot be must not keep the others from it."""
    with contextlib.suppress(Exception):
        if value is not None:
            FACTS[name].write(value)


class RandomNumbers(NamedTuple):
    """States of the generators that code without one of its own draws from."""

    torch: torch.Tensor
    cuda: tuple[torch.Tensor, ...]
    numpy: Any  # a bit generator: the object, which is exchanged as a whole
    python: Any
    mps: torch.Tensor | None = None  # where there is such a device


def seeded() -> RandomNumbers:
    """As seeded with 0."""
    # of numpy what its own seed() can seed again
    generator = np.random.RandomState(0)._bit_generator
    cuda = [torch.Generator(f"cuda:{n}").manual_seed(0).get_state() for n in _cuda_devices()]
    return RandomNumbers(
        torch.Generator().manual_seed(0).get_state(), tuple(cuda), generator,
        random.Random(0).getstate(),
        torch.Generator("mps").manual_seed(0).get_state() if _has_mps() else None,
    )  # fmt: skip


def _cuda_devices() -> range:
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)


@cache
def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())


def _random_numbers() -> RandomNumbers:
    cuda = tuple(torch.cuda.get_rng_state(n) for n in _cuda_devices())
    numpy = mtrand.get_bit_generator()
    mps = torch.mps.get_rng_state() if _has_mps() else None
    return RandomNumbers(torch.get_rng_state(), cuda, numpy, random.getstate(), mps)


def _draw_from(numbers: RandomNumbers) -> None:
    torch.set_rng_state(numbers.torch)
    for device, state in zip(_cuda_devices(), numbers.cuda, strict=False):
        torch.cuda.set_rng_state(state, device)
    if numbers.mps is not None:
        torch.mps.set_rng_state(numbers.mps)
    mtrand.set_bit_generator(numbers.numpy)
    random.setstate(numbers.python)


class Exchanged:
    """Random numbers while code draws from its own. after: where its own are by then."""

    def __init__(self, own: RandomNumbers) -> None:
        self.after = own


@contextlib.contextmanager
def drawing_from(own: RandomNumbers) -> Iterator[Exchanged]:
    """Draw from `own` in this block; outside nothing has been drawn when it ends."""
    before = _random_numbers()
    legacy: Any = np.random.get_state(legacy=False)
    exchanged = Exchanged(own)
    _draw_from(own)
    try:
        yield exchanged
    finally:
        exchanged.after = _random_numbers()
        _draw_from(before)
        if legacy.get("has_gauss"):  # the second of a pair, which the exchange forgets
            np.random.set_state(legacy)


class _Kept:
    """A standard stream that cannot be closed by what writes to it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        self._stream.flush()

    def detach(self) -> None:
        raise ValueError("a standard stream is not this code's to detach")


@contextlib.contextmanager
def streams_kept() -> Iterator[None]:
    """Whatever the block replaces or closes, the standard streams are there again after it."""
    streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    for name in ("stdout", "stderr"):
        stream = streams[name]
        setattr(sys, name, None if stream is None else _Kept(stream))
    copies: list[tuple[int, int, os.stat_result]] = []
    for number in (1, 2):
        with contextlib.suppress(OSError):
            copies.append((number, os.dup(number), os.fstat(number)))
    try:
        yield
    finally:
        for name, stream in streams.items():
            setattr(sys, name, stream)
        for number, copy, was in copies:
            with contextlib.suppress(OSError):
                if not _is_same(number, was):
                    os.dup2(copy, number)
            os.close(copy)


def _is_same(number: int, was: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(number), was)
    except OSError:
        return False
