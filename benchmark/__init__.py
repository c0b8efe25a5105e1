"""How it is measured: audio -> embeddings -> probes -> scores -> tables."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.agreement import check
    from benchmark.audit import audit_tasks
    from benchmark.comparison import compare
    from benchmark.conformance import validate
    from benchmark.data.api import download
    from benchmark.evaluation import evaluate
    from benchmark.leaderboard import Leaderboard
    from benchmark.probe.estimator import LinearProbe
    from benchmark.reconstruction.run import reconstruct
    from benchmark.result import RunResult
    from benchmark.settings import RunSettings
    from benchmark.training.run import train
    from benchmark.webpage import report

__all__ = [
    "Leaderboard", "LinearProbe", "RunResult", "RunSettings", "audit_tasks", "check", "compare",
    "download", "evaluate", "reconstruct", "report", "train", "validate",
]  # fmt: skip

_HOME = {
    "audit_tasks": "benchmark.audit",
    "check": "benchmark.agreement",
    "evaluate": "benchmark.evaluation",
    "validate": "benchmark.conformance",
    "compare": "benchmark.comparison",
    "download": "benchmark.data.api",
    "reconstruct": "benchmark.reconstruction.run",
    "train": "benchmark.training.run",
    "report": "benchmark.webpage",
    "LinearProbe": "benchmark.probe.estimator",
    "RunSettings": "benchmark.settings",
    "Leaderboard": "benchmark.leaderboard",
    "RunResult": "benchmark.result",
}


def __getattr__(name: str) -> Any:
    # on first use: `--help` and `list` need not wait for torch
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'benchmark' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
