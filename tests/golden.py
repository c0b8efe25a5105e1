"""Golden results: what three encoders score on the synthetic twins, kept in `results/golden`.

    python tests/golden.py

makes them anew, after a change that is meant to move scores. `tests/test_golden.py` holds every
change to them.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmark import evaluate  # noqa: E402
from benchmark.agreement import Rule  # noqa: E402
from benchmark.protocol import PROTOCOLS  # noqa: E402
from benchmark.result import DONE, Predictions, RunResult, write_result  # noqa: E402
from tasks import builtin_tasks  # noqa: E402

GOLDEN = REPOSITORY / "results" / "golden"
ENCODERS = ("logmel", "mfcc", "tests/small_dasheng.py:SmallDasheng")
PROTOCOL_NAMES = ("strict",)
LIMIT, SEEDS = 20, 2
# Elsewhere: one prediction of 20, the fewest that a cell has. Measured: none of all cells changes
# under torch's, MKL's, oneDNN's and numpy's oldest instruction sets (README, "Do results hold?").
RULE = Rule(floor=0.05, intervals=False, changed=0.05, exact=True)
COMMAND = "python tests/golden.py"
# of `run`, what tells kinds of machine apart; times would only make every file differ
_KEPT = ("device", "system", "processor", "instructions", "threads")


def measure(tasks: Iterable[str], results: Path, cache: Path) -> list[RunResult]:
    """The three encoders' results on the twins of some tasks, written under `results`."""
    found = []
    for name in PROTOCOL_NAMES:
        protocol = dataclasses.replace(PROTOCOLS[name], seeds=SEEDS)
        encoders = [e.replace("tests/", f"{REPOSITORY}/tests/") for e in ENCODERS]
        found += evaluate(
            encoders, list(tasks), data="synthetic", limit=LIMIT, protocol=protocol, device="cpu",
            results=results, cache=cache,
        )  # fmt: skip
    return found


def keep(result: RunResult, predictions: Predictions, folder: Path) -> None:
    """Write a result where it lies whatever its fingerprint, without what is other each time."""
    result.run = {name: result.run[name] for name in _KEPT}
    result.inputs = ""
    result.command = result.command.replace(f"{REPOSITORY}/", "")
    result.encoder["spec"] = result.encoder["spec"].replace(f"{REPOSITORY}/", "")
    where = folder / result.encoder["name"] / result.protocol["name"]
    write_result(where / f"{result.task['name']}.json", result, predictions)


def main() -> int:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        results, cache = Path(folder) / "results", Path(folder) / "cache"
        found = measure(builtin_tasks(), results, cache)
        if failed := [result for result in found if result.status != DONE]:
            for result in failed:
                print(f"failed: {result.encoder['name']} · {result.task['name']}: {result.error}")
            return 1
        shutil.rmtree(GOLDEN, ignore_errors=True)
        for path in sorted(results.rglob("*.predictions.npz")):
            json_path = path.with_name(path.name.replace(".predictions.npz", ".json"))
            keep(RunResult.from_json(json_path.read_text()), Predictions.load(path), GOLDEN)
    files = [path for path in GOLDEN.rglob("*") if path.is_file()]
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files)} bytes in {GOLDEN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
