"""From a publisher's folder to a score: prepared shards run, under the right task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from clips import audio_bytes
from original_trees import text

from earmark import RunResult, evaluate
from earmark.benchmark.prepare.run import prepare


def tone(path: Path, pitch: float, number: int) -> None:
    """A quarter of a second, of its own pitch within a fifth, with a little noise."""
    rng = np.random.default_rng(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(2 * np.pi * pitch * rng.uniform(0.9, 1.1) * np.arange(4_000) / 16_000)
    path.write_bytes(audio_bytes(wave + 0.02 * rng.standard_normal(4_000), 16_000))


def run(task: str, data: Path, results: Path) -> RunResult:
    (result,) = evaluate(["logmel"], [task], data=data, results=results, seeds=1, device="cpu")
    assert result.error is None
    return result


def test_esc50_runs_under_its_own_name(tmp_path: Path) -> None:
    rows = ["filename,fold,target,category"]
    for number in range(40):
        fold, target = number % 5 + 1, number // 5 % 2
        name = f"{fold}-{1000 + number}-A-{target}.wav"
        rows.append(f"{name},{fold},{target},x")
        tone(tmp_path / "o/audio" / name, (300, 1500)[target], number)
    text(tmp_path / "o/meta/esc50.csv", "\n".join(rows) + "\n")
    done = prepare("esc50", tmp_path / "o", tmp_path / "d")
    assert done.task_file is None
    result = run("esc50", tmp_path / "d", tmp_path / "r")
    assert result.task.name == "esc50"
    assert result.scores["knn"].value > 0.9


def test_ravdess_runs_as_a_task_of_its_own(tmp_path: Path) -> None:
    for actor in range(1, 25):
        for emotion, pitch in ((3, 300), (5, 1500)):
            name = f"03-01-{emotion:02d}-01-02-01-{actor:02d}.wav"
            tone(tmp_path / f"o/Actor_{actor:02d}" / name, pitch, 10 * actor + emotion)
    done = prepare("ravdess", tmp_path / "o", tmp_path / "d")
    result = run(str(done.task_file), tmp_path / "d", tmp_path / "r")
    assert result.task.name == "ravdess_earmark"
    assert "Earmark's folds" in result.task.title
    assert result.scores["knn"].value > 0.9
