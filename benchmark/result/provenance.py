"""Where a result comes from: versions, code, command, circumstances."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import shlex
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch

from earmark.benchmark.protocol import STRICT, Protocol, standard_of
from earmark.benchmark.result.facts import RunFacts
from earmark.benchmark.shots import Shots
from earmark.encoders import is_registered
from earmark.encoders.device import device_name
from earmark.tasks import TaskSpec, builtin_tasks

# What lies between embeddings and scores: where one changes, results are computed again (which
# takes seconds). The store has versions of its own: a comment must not cost days of encoding.
_SCORING_CODE = (
    "benchmark/shards", "benchmark/probe", "benchmark/metric", "benchmark/score",
    "benchmark/uncertainty/interval.py", "benchmark/uncertainty/jackknife.py",
    "benchmark/uncertainty/leave_out.py", "benchmark/shots.py", "benchmark/readouts.py",
    "tasks/kinds.py", "tasks/spec.py",
)  # fmt: skip
_LIBRARIES = (
    "earmark", "torch", "torchaudio", "numpy", "soxr", "soundfile", "scikit-learn", "transformers",
    "tokenizers",
)  # fmt: skip


@cache
def scoring_code() -> str:
    """SHA-256 of the source of everything between embeddings and scores.

    Raises FileNotFoundError for a file or folder that is not there: passed over, it would let
    results of other code count as valid.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]
    for place in _SCORING_CODE:
        for path in sorted((root / place).glob("*.py")) or [root / place]:
            digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def versions() -> dict[str, str]:
    """Versions of Python and the libraries that compute."""
    found = {"python": platform.python_version(), "libsndfile": soundfile.__libsndfile_version__}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def run_info(started: float, device: str) -> RunFacts:
    """When and where: started (seconds since 1970) -> UTC time, seconds since, machine."""
    return RunFacts(
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        seconds=round(time.time() - started, 3),
        device=device_name(device),
        threads=torch.get_num_threads(),
        system=platform.system(),
        processor=processor(),
        instructions=instructions(),
    )


@cache
def processor() -> str:
    """The processor's model, as the system names it."""
    wanted = ("model name", "cpu family", "model")
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts: dict[str, str] = {}
    for line in lines:
        name, _, value = (part.strip() for part in line.partition(":"))
        facts.setdefault(name, value)
    found = [facts[name] for name in wanted if name in facts]
    return ", ".join(found) or platform.machine()


@cache
def instructions() -> str:
    """The instruction sets that torch and numpy use: they decide the last bits of sums."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    found = " ".join([*simd.get("baseline", ()), *simd.get("found", ())])
    return f"torch {torch.backends.cpu.get_cpu_capability()}; numpy {found}"


_WEIGHTS, _NAME = " --weights ", " --name "


def asked_for(name: str, weights: str | Path | None, shown: str = "") -> str:
    """How an encoder was asked for: its name, and the folder of its weights where one was given.

    shown: the name of its column where it was given another than its own.
    """
    text = name if weights is None else f"{name}{_WEIGHTS}{weights}"
    return f"{text}{_NAME}{shown}" if shown else text


class AskedFor(NamedTuple):
    """What `asked_for` put together; weights and shown are empty where none was given."""

    name: str
    weights: str
    shown: str


def asked_parts(asked: str) -> AskedFor:
    """The parts of what `asked_for` put together."""
    rest, option, shown = asked.rpartition(_NAME)
    name, _, weights = (rest if option else asked).partition(_WEIGHTS)
    return AskedFor(name, weights, shown if option else "")


_ADDITIONS = ("--shots", "--readout")  # the last options of a command
# How an encoder was asked for that a program made and handed over.
OBJECT = "a Python object"


def is_command(text: str) -> bool:
    """Whether this is a command, not words in its place."""
    return bool(text) and not text.startswith("no command")


def no_command(asked: str, name: str, fingerprint: str, of: str) -> str:
    """Why no command makes an encoder's results again, in words; empty where one does.

    asked: as `asked_for` puts it, or OBJECT. of: the fingerprint of code and weights alone.
    """
    who = f"no command: {name} was"
    if asked == OBJECT:
        return f"{who} {OBJECT}, fingerprint {fingerprint}"
    if is_registered(asked_parts(asked).name):
        return f"{who} registered by a program, fingerprint {fingerprint}"
    if fingerprint != of:
        return (
            f"no command alone: what {asked} gives depends on more than its code and weights (an "
            f"environment variable, a file); this was the one of fingerprint {fingerprint}"
        )
    return ""


def command(
    encoder: str, spec: TaskSpec, data: str | Path, limit: int | None, protocol: Protocol,
    shots: tuple[Shots, ...] = (), readouts: tuple[str, ...] = (),
) -> str:  # fmt: skip
    """The command that makes one cell again. encoder: as `asked_for` puts it."""
    name, weights, shown = asked_parts(encoder)
    builtin = builtin_tasks().get(spec.name)
    is_builtin = builtin is not None and protocol.apply_to(builtin) == spec
    task = spec.name if is_builtin else spec.path
    words = ["python", "run_bench.py", "--encoder", name, "--tasks", task, "--data", str(data)]
    if shown:
        words += ["--name", shown]
    if weights:
        words += ["--weights", weights]
    if limit is not None:
        words += ["--limit", str(limit)]
    standard = standard_of(protocol)
    if protocol.name != STRICT.name:
        words += ["--protocol", protocol.name]
    if protocol.language_model != standard.language_model:
        words += ["--language-model", protocol.language_model]
    if protocol.seeds != standard.seeds:
        words += ["--seeds", str(protocol.seeds)]
    if protocol.failed_share != standard.failed_share:
        words += ["--failed-share", f"{protocol.failed_share:g}"]
    return with_additions(shlex.join(words), shots, readouts)


def with_additions(text: str, shots: Sequence[Shots], readouts: Sequence[str]) -> str:
    """A command that asks for this label efficiency and these readouts beside the scores.

    Whatever of them it asked for before is replaced where anything is asked for now; words that
    are no command stay.
    """
    if not (shots or readouts) or not is_command(text):
        return text
    words = shlex.split(text)
    ends = [words.index(option) for option in _ADDITIONS if option in words]
    words = words[: min(ends, default=len(words))]
    if shots:
        words += ["--shots", ",".join(map(str, shots))]
    if readouts:
        words += ["--readout", *readouts]
    return shlex.join(words)


def with_shuffled_labels(text: str) -> str:
    """The command of the control whose probes are taught shuffled labels."""
    if not is_command(text):
        return text
    words = shlex.split(text)
    place = min((words.index(one) for one in _ADDITIONS if one in words), default=len(words))
    return shlex.join([*words[:place], "--control", "labels", *words[place:]])
