"""Print how often 95 % intervals hold the truth, and how often `compare` cries wolf, by simulation.

    python tests/perf/coverage.py [--sets 1000]

Not a test: some minutes. Percentiles of a bootstrap, which `strict` rested on before, beside the
jackknife. Few sources are scored too where Earmark says nothing, by lowering what is too few. F1,
WER, recall and mAP are of half as many data sets.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from simulated_sources import (
    Simulation,
    accuracies,
    coverage,
    equal_encoders,
    f1,
    precisions,
    recall,
    words,
)

import earmark.benchmark.uncertainty.interval
import earmark.benchmark.uncertainty.jackknife
from earmark.benchmark.uncertainty.cache import Values
from earmark.benchmark.uncertainty.leave_out import sums_without_each
from earmark.benchmark.uncertainty.significance import difference_of

METHODS = ("percentiles", "jackknife")
RESAMPLES = 400  # of percentiles; fewer than the 1000 of a run, to be done sooner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000, help="data sets a line (default: 1000)")
    sets = parser.parse_args().sets
    with_few = (earmark.benchmark.uncertainty.interval, earmark.benchmark.uncertainty.jackknife)
    for module in with_few:
        module.FEWEST_SOURCES = 2  # type: ignore[attr-defined]
    print("95 % intervals that hold the truth, in %\n")
    print(f"{'':46s}{'sources':>8s}" + "".join(f"{method:>13s}" for method in METHODS))
    for mean in (0.5, 0.8, 0.95):
        for uneven in (False, True):
            for sources in (4, 6, 10, 30, 200):
                line(accuracies(mean, uneven=uneven), sources, sets)
    some = (
        f1("macro"), f1("micro"), words(0.8), words(0.96), recall(), precisions(5, 0.2, 1.5, 20),
        precisions(20, 0.05, 2.0, 30), precisions(5, 0.2, 1.5, 20, folds=2),
    )  # fmt: skip
    for simulation in some:
        for sources in (6, 10, 30):
            line(simulation, sources, max(1, sets // 2))
    alarms(sets)


def line(simulation: Simulation, sources: int, sets: int) -> None:
    found = coverage(simulation, sources, sets, METHODS, RESAMPLES)
    shown = "".join(f"{100 * found[method]:13.1f}" for method in METHODS)
    print(f"{simulation.name:46s}{sources:8d}{shown}", flush=True)


def alarms(sets: int) -> None:
    """Encoders of equal skill that are told apart at 5 %."""
    print("\nequal encoders told apart at 5 %, in %\n")
    print(f"{'':46s}{'sources':>8s}" + "".join(f"{method:>13s}" for method in METHODS))
    for uneven in (False, True):
        for sources in (6, 20, 200):
            rng = np.random.default_rng(sources)
            weights = rng.multinomial(sources, np.full(sources, 1 / sources), RESAMPLES)
            told = dict.fromkeys(METHODS, 0)
            for _ in range(sets):
                first, second, numbers = equal_encoders(rng, sources, uneven)
                sizes = np.bincount(numbers)
                gaps = np.bincount(numbers, first - second)
                low, high = np.percentile(weights @ gaps / (weights @ sizes), [2.5, 97.5])
                told["percentiles"] += low > 0 or high < 0
                values = [
                    Values("", "", sizes, {"linear": sums_without_each(
                        np.stack([right, np.ones_like(right)], axis=1), numbers,
                        lambda sums: sums[:, 0] / sums[:, 1],
                    )})
                    for right in (first, second)
                ]  # fmt: skip
                told["jackknife"] += difference_of(*values, "linear", 0.95).differs(0.05) is True
            shown = "".join(f"{100 * told[method] / sets:13.1f}" for method in METHODS)
            kind = "about 10 items a source, uneven" if uneven else "10 items a source"
            print(f"{kind:46s}{sources:8d}{shown}", flush=True)


if __name__ == "__main__":
    main()
