"""Earmark: audio encoders and codecs, scored so that the number can be trusted.

    import earmark

    results = earmark.evaluate("logmel", ["esc50"], data="synthetic")

What is here is the public face; each name is loaded when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earmark.benchmark.agreement.run import check
    from earmark.benchmark.audit.run import audit_tasks
    from earmark.benchmark.comparison.run import compare
    from earmark.benchmark.conformance.run import validate
    from earmark.benchmark.evaluation.run import evaluate
    from earmark.benchmark.leaderboard.board import Leaderboard
    from earmark.benchmark.prepare.run import prepare
    from earmark.benchmark.prepare.verify import verify
    from earmark.benchmark.probe.estimator import LinearProbe
    from earmark.benchmark.reconstruction.run import reconstruct
    from earmark.benchmark.result.schema import RunResult
    from earmark.benchmark.settings import RunSettings
    from earmark.benchmark.training.run import train
    from earmark.benchmark.webpage.run import report
    from earmark.benchmark.zenodo.run import download
    from earmark.encoders import AudioEncoder, Codec, Frames, load_encoder, register_encoder

__all__ = [
    "AudioEncoder", "Codec", "Frames", "Leaderboard", "LinearProbe", "RunResult", "RunSettings",
    "audit_tasks", "check", "compare", "download", "evaluate", "load_encoder", "prepare",
    "reconstruct", "register_encoder", "report", "train", "validate", "verify",
]  # fmt: skip

_HOME = {
    "AudioEncoder": "encoders",
    "Codec": "encoders",
    "Frames": "encoders",
    "Leaderboard": "benchmark.leaderboard.board",
    "LinearProbe": "benchmark.probe.estimator",
    "RunResult": "benchmark.result.schema",
    "RunSettings": "benchmark.settings",
    "audit_tasks": "benchmark.audit.run",
    "check": "benchmark.agreement.run",
    "compare": "benchmark.comparison.run",
    "download": "benchmark.zenodo.run",
    "evaluate": "benchmark.evaluation.run",
    "load_encoder": "encoders",
    "prepare": "benchmark.prepare.run",
    "reconstruct": "benchmark.reconstruction.run",
    "register_encoder": "encoders",
    "report": "benchmark.webpage.run",
    "train": "benchmark.training.run",
    "validate": "benchmark.conformance.run",
    "verify": "benchmark.prepare.verify",
}


def __getattr__(name: str) -> Any:
    # on first use: `--help` and `list` need not wait for torch
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'earmark' has no attribute {name!r}")
    return getattr(importlib.import_module(f"earmark.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
