"""Output whose reader has gone, as in `run_bench.py ... | head -1`: no complaint, a true status."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from clips import REPOSITORY, TASK_YAML, audio_bytes, clip_members
from result_files import make_result

from earmark.benchmark.io.progress import Progress
from earmark.benchmark.result.files import write_result


def cut_off(*words: object, errors_too: bool = False) -> tuple[int, str]:
    """Exit status and stderr of a command that writes into a pipe which nobody reads."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "run_bench.py", *(str(word) for word in words)],
            cwd=REPOSITORY, stdout=write, stderr=write if errors_too else subprocess.PIPE,
            text=True, timeout=120, check=False,
        )  # fmt: skip
    finally:
        os.close(write)
    return done.returncode, done.stderr or ""


@pytest.fixture
def words(toy: Callable[..., tuple[Path, Path]], tmp_path: Path) -> list[str]:
    """A run of two tasks, results in `<tmp>/results`."""
    task, data = toy({"train": 6, "valid": 4, "test": 4})
    second = tmp_path / "second.yaml"
    second.write_text(TASK_YAML)
    return [
        "--encoder", "logmel", "--tasks", str(task), str(second), "--data", str(data),
        "--results", str(tmp_path / "results"), "--seeds", "1", "--device", "cpu",
    ]  # fmt: skip


def results(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "results").rglob("*.json"))


@pytest.mark.parametrize("what", ["tasks", "encoders"])
def test_a_list_that_is_cut_off_is_all_done(what: str) -> None:
    assert cut_off("list", what) == (0, "")


@pytest.mark.parametrize("form", ["terminal", "markdown", "csv"])
def test_a_leaderboard_that_is_cut_off_is_all_done(tmp_path: Path, form: str) -> None:
    write_result(tmp_path / "a.json", make_result("a", error="no shards"), None)
    assert cut_off("leaderboard", "--results", tmp_path, "--format", form) == (0, "")


def test_a_run_whose_table_goes_unread_is_done(words: list[str], tmp_path: Path) -> None:
    status, errors = cut_off(*words)
    assert (status, results(tmp_path)) == (0, ["second.seeds-1.json", "toy.seeds-1.json"])
    assert errors.count("done  ") == 2 and "Error" not in errors
    assert (tmp_path / "results" / "leaderboard.md").exists()
    (tmp_path / "second.yaml").write_text(TASK_YAML.replace("folder: toy", "folder: absent"))
    assert cut_off(*words)[0] == 3


def test_a_run_that_is_cut_off_is_not_all_done(words: list[str], tmp_path: Path) -> None:
    status, _ = cut_off(*words, errors_too=True)
    assert (status, results(tmp_path)) == (3, ["toy.seeds-1.json"])


def test_progress_that_nobody_reads_does_not_end_the_work() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", buffering=1) as stream:
        with Progress("work", 2, "clips", stream=stream) as bar:
            bar.last_line -= 3600  # a line is due
            bar.advance(1)
            bar.advance(1)
        assert bar.done == 2
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # for what is still in it


def test_an_audit_that_is_cut_off_still_tells_of_the_leak(
    toy: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    audio = audio_bytes([0.5, -0.25, 0.125] * 900, 16_000)
    leak = {split: clip_members("r9-a", audio, {"label": "low"}) for split in ("train", "test")}
    for extra, status in ((leak, 1), ({}, 0)):
        task, data = toy({"train": 6, "valid": 4, "test": 4}, extra=extra)
        words = ["audit", "--tasks", task, "--data", data, "--results", tmp_path / "results"]
        found, err = cut_off(*words)
        assert found == status
        assert "rror" not in err
