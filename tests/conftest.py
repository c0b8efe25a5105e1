"""What tests share: one thread a process, no user's folders, helpers that write shards."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded

import numpy as np
import pytest

# helpers that fail say what the two sides were, as tests do
pytest.register_assert_rewrite(*(path.stem for path in Path(__file__).parent.glob("helpers/*.py")))

from clips import SHARED_DATA, TASK_YAML, audio_bytes, clip_members, write_tar  # noqa: E402


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why tests were skipped: each reason once, with how many."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's cache and data, and off the internet."""
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EARMARK_DATA", raising=False)
    # nobody listens there: a test that fetches names a server of its own
    monkeypatch.setenv("EARMARK_ZENODO", "http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def few_updates(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `strict` has heads on frames and towers take 3000 updates at least, let 20 be enough.

    What most tests ask does not depend on how long a probe trains. Those marked `whole_training`
    have the protocol as it is.
    """
    if request.node.get_closest_marker("whole_training") is not None:
        return
    from earmark.benchmark.probe.search import Search

    begin = Search.__init__

    def shortened(search: Search, seeds: int, training: Any, batches: int) -> None:
        if training.least_updates == 3000:
            training = dataclasses.replace(training, least_updates=20)
        begin(search, seeds, training, batches)

    monkeypatch.setattr(Search, "__init__", shortened)


@pytest.fixture
def real_data() -> Path:
    """`../shared/data`, or a skip that says so."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real audio is not at hand: no folder {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def toy(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """make(clips={split: n}, seed=0, shards=1, extra={split: members}) -> (task file, data folder).

    A task of low (about 300 Hz) and high (about 1200 Hz) noisy tones of 0.3 to 0.9 s at 16 kHz,
    two clips a recording.
    """

    def make(
        clips: dict[str, int] | None = None,
        seed: int = 0,
        shards: int = 1,
        extra: dict[str, list[tuple[str, bytes]]] | None = None,
        task: str = TASK_YAML,
    ) -> tuple[Path, Path]:
        task_file = tmp_path / "toy.yaml"
        task_file.write_text(task)
        rng = np.random.default_rng(seed)
        for number, (split, count) in enumerate(
            (clips or {"train": 40, "valid": 10, "test": 20}).items()
        ):
            members: list[list[tuple[str, bytes]]] = [[] for _ in range(shards)]
            for i in range(count):
                label = ("low", "high")[int(rng.integers(2))]
                n = int(rng.uniform(0.3, 0.9) * 16_000)
                pitch = rng.uniform(0.7, 1.4) * (300 if label == "low" else 1200)
                tone = 0.2 * np.sin(2 * np.pi * pitch * np.arange(n) / 16_000)
                audio = audio_bytes(tone + 0.05 * rng.standard_normal(n), 16_000)
                key = f"r{number}{i // 2:03d}-{i:03d}"
                members[i % shards] += clip_members(key, audio, {"label": label})
            members[0] += (extra or {}).get(split, [])
            for shard, content in enumerate(members):
                write_tar(tmp_path / "data" / "toy" / f"{split}-{shard:03d}.tar", content)
        return task_file, tmp_path / "data"

    return make
