"""A process that measures pairs: `python -m earmark.benchmark.reconstruction.worker`.

A job is a line of JSON on its input, its answer one on its output. Audio comes as .npy files,
mapped, so that an hour of it costs no second copy. It ends when its input does.
"""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from earmark.benchmark.reconstruction.metric.pair import AudioPair, measure_pair
from earmark.benchmark.reconstruction.metric.registry import Metric, all_metrics


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Measure one pair.

    job: reference, decoded (paths of .npy files), reference_rate, decoded_rate, heard, metrics
    (names), rates; plot (path of a PNG to draw, or null) and title. Returns the fields of
    `Measured`, NaN as null.
    """
    pair = AudioPair(
        np.load(job["reference"], mmap_mode="r", allow_pickle=False), job["reference_rate"],
        np.load(job["decoded"], mmap_mode="r", allow_pickle=False), job["decoded_rate"],
        job["heard"],
    )  # fmt: skip
    known = _by_name(tuple(job["rates"]))
    measured = measure_pair(pair, [known[name] for name in job["metrics"]])
    if job["plot"] is not None:
        from earmark.benchmark.reconstruction.plots import draw_pair

        draw_pair(pair, Path(job["plot"]), job["title"])
    found = vars(measured) | {"values": {k: _plain(v) for k, v in measured.values.items()}}
    return {key: _plain(value) for key, value in found.items()}


@cache
def _by_name(rates: tuple[int, ...]) -> dict[str, Metric]:
    return {metric.name: metric for metric in all_metrics(rates)}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def main() -> None:
    """Answer jobs until there are no more."""
    # what a library prints must not come between the answers
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with threadpool_limits(1):
        for line in sys.stdin:
            try:
                said = answer(json.loads(line))
            except Exception as error:  # noqa: BLE001 - the one who asked decides what it means
                said = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
            answers.write(json.dumps(said) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
