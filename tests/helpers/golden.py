"""Golden results: what encoders score on the synthetic twins, kept in `results/golden`.

    python tests/helpers/golden.py

makes them anew, with `results/golden.md`, their table, after a change that is meant to move scores.
`tests/end_to_end/test_golden.py` holds every change to them: `pytest` all but the slowest, which
`pytest -m golden_all` measures: the other encoders than `logmel` on the tasks of `LONG`.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from earmark import evaluate
from earmark.benchmark.agreement.run import Tolerance
from earmark.benchmark.cli.main import main as earmark
from earmark.benchmark.protocol import PROTOCOLS
from earmark.benchmark.result.facts import RunFacts
from earmark.benchmark.result.files import read_result, write_result
from earmark.benchmark.result.schema import (
    DONE,
    Predictions,
    RunResult,
)
from earmark.tasks import builtin_tasks

REPOSITORY = Path(__file__).parents[2]


class Part(NamedTuple):
    """Encoders under one protocol, with a number of seeds, on tasks."""

    protocol: str
    seeds: int
    encoders: tuple[str, ...]
    tasks: tuple[str, ...]


GOLDEN = REPOSITORY / "results" / "golden"
PAGE = REPOSITORY / "results" / "golden.md"
LIMIT = 20
EVERY_TASK = tuple(builtin_tasks())
ENCODERS = ("logmel", "mfcc", "dasheng-tiny")
# 3000 updates for each head, or ten folds
LONG = ("clotho", "desed", "gtzan", "librispeech_100h", "maestro", "urbansound8k")
PARTS = (
    Part("strict", 2, ENCODERS, EVERY_TASK),
    # a task for each choice in which it differs, but for those that take a fetched model
    Part("xares-0.1.3", 1, ("logmel",), (
        "desed", "esc50", "fsd18_kaggle", "fsd50k", "librispeech_mf", "maestro",
        "speech_commands_v1", "vocal_imitation",
    )),
)  # fmt: skip
# Elsewhere: one prediction of 20, the fewest that a cell has. Measured: none of all cells changes
# under torch's, MKL's, oneDNN's and numpy's oldest instruction sets (README, "Do results hold?").
RULE = Tolerance(floor=0.05, intervals=False, changed=0.05, exact=True)
COMMAND = "python tests/helpers/golden.py"
# of `run`, what tells kinds of machine apart; times would only make every file differ
_KEPT = ("device", "system", "processor", "instructions", "threads")


def measure(
    tasks: Collection[str], results: Path, cache: Path, encoders: Collection[str] = ENCODERS
) -> list[RunResult]:
    """Every part's results of some encoders on the twins of some tasks, under `results`."""
    found = []
    for part in PARTS:
        own = [task for task in part.tasks if task in tasks]
        wanted = [name for name in part.encoders if name in encoders]
        protocol = dataclasses.replace(PROTOCOLS[part.protocol], seeds=part.seeds)
        if own and wanted:
            found += evaluate(
                wanted, own, data="synthetic", limit=LIMIT, protocol=protocol, device="cpu",
                results=results, cache=cache,
            )  # fmt: skip
    return found


def keep(result: RunResult, predictions: Predictions, folder: Path) -> None:
    """Write a result where it lies whatever its fingerprint, without what is other each time."""
    result.run = RunFacts(**{name: getattr(result.run, name) for name in _KEPT})
    result.inputs = ""
    result.command = result.command.replace(f"{REPOSITORY}/", "")
    result.encoder.spec = result.encoder.spec.replace(f"{REPOSITORY}/", "")
    where = folder / result.encoder.name / result.protocol["name"]
    write_result(where / f"{result.task.name}.json", result, predictions)


def write_page(page: Path, cache: Path) -> None:
    """The table of the golden results, by the command that `results/README.md` names."""
    words = ["--results", str(GOLDEN), "--format", "markdown", "--out", str(page)]
    if earmark(["leaderboard", *words, "--cache", str(cache)]):
        raise RuntimeError(f"no table of {GOLDEN}: see the lines above")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        found = measure(EVERY_TASK, results, Path(folder) / "cache")
        for result in found:
            if result.status != DONE:
                print(f"failed: {result.encoder.name} · {result.task.name}: {result.error}")
                return 1
        shutil.rmtree(GOLDEN, ignore_errors=True)
        for path in sorted(results.rglob("*.predictions.npz")):
            written = read_result(path.with_name(path.name.replace(".predictions.npz", ".json")))
            keep(written, Predictions.load(path), GOLDEN)
        write_page(PAGE, Path(folder) / "cache")
    files = [path for path in GOLDEN.rglob("*") if path.is_file()]
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files)} bytes in {GOLDEN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
