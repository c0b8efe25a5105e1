"""Golden results: what encoders score on the synthetic twins, kept in `results/golden`.

    python tests/helpers/golden.py [--page] [--controls RUNS]

makes them anew, with `results/golden.md`, their table, after a change that is meant to move scores;
--page: the table alone. The table ends with `dasheng-tiny` beside its controls on real data, from
`results/controls`; --controls takes these from the results of `CONTROLS_COMMAND`.
`tests/end_to_end/test_golden.py` holds every change to them: `pytest` all but the slowest, which
`pytest -m golden_all` measures: the other encoders than `logmel` on the tasks of `LONG`.
"""

from __future__ import annotations

import argparse
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
CONTROLS = REPOSITORY / "results" / "controls"  # of dasheng-tiny, on real data
CONTROLS_COMMAND = (
    "python run_bench.py --encoder dasheng-tiny dasheng-tiny:semantic dasheng-tiny:acoustic "
    "--tasks esc50 librispeech_mf tests/data/fsdd.yaml --data ../shared/data --control"
)
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
    where = folder / result.encoder.name.replace(":", "-") / result.protocol["name"]
    write_result(where / f"{result.task.name}.json", result, predictions)


def keep_all(results: Path, folder: Path) -> None:
    """Put every result that has predictions in the place of what a folder holds."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in sorted(results.rglob("*.predictions.npz")):
        written = read_result(path.with_name(path.name.replace(".predictions.npz", ".json")))
        keep(written, Predictions.load(path), folder)


def write_page(page: Path, cache: Path) -> None:
    """The tables of the golden results and of the controls, as `leaderboard` makes them."""
    parts = []
    for folder in (GOLDEN, CONTROLS):
        words = ["--results", str(folder), "--format", "markdown", "--out", str(page)]
        if earmark(["leaderboard", *words, "--cache", str(cache)]):
            raise RuntimeError(f"no table of {folder}: see the lines above")
        parts.append(page.read_text())
    page.write_text("\n".join(parts))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--controls", type=Path, metavar="RUNS")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.controls is not None:
            keep_all(arguments.controls, CONTROLS)
        elif not arguments.page:
            results = Path(folder) / "results"
            for result in measure(EVERY_TASK, results, Path(folder) / "cache"):
                if result.status != DONE:
                    print(f"failed: {result.encoder.name} · {result.task.name}: {result.error}")
                    return 1
            keep_all(results, GOLDEN)
        write_page(PAGE, Path(folder) / "cache")
    files = [path for path in GOLDEN.rglob("*") if path.is_file()]
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files)} bytes in {GOLDEN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
