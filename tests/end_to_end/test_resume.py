"""kill -9 at any moment, then again: the same bits as a run that was never killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clips import REPOSITORY
from killed_runs import CONTEXT, in_process, moments_of, outcome, run, run_until

from earmark import evaluate
from earmark.benchmark.cli.main import main
from earmark.benchmark.result.files import read_result

Toy = Callable[..., tuple[Path, Path]]


@pytest.fixture
def toy_run(toy: Toy, tmp_path: Path) -> tuple[str, str, dict[str, Any]]:
    """A task of several shards, and what a run that is never killed makes of it."""
    task, data = toy({"train": 24, "valid": 6, "test": 10}, shards=2)
    whole = tmp_path / "whole"
    assert in_process(run, str(task), str(data), str(whole)) == 0
    return str(task), str(data), outcome(whole)


def test_killed_at_every_moment_and_run_again(
    toy_run: tuple[str, str, dict[str, Any]], tmp_path: Path
) -> None:
    task, data, expected = toy_run
    assert sum(name.endswith(".npz") for name in expected) == 1
    assert sum(name.endswith("embeddings.npy") for name in expected) == 6
    moments, differing = moments_of(task, data, tmp_path / "count")
    assert moments > 40 and len(differing) > 30
    # every third state of the files, with the last ones, where the result is written, in full
    for event in [*differing[:-7:3], *differing[-7:]]:
        out = tmp_path / f"killed-{event}"
        assert in_process(run_until, event, task, data, str(out)) == -signal.SIGKILL
        run(task, data, str(out))
        assert outcome(out) == expected, f"killed at moment {event}"


def test_killed_again_and_again(toy_run: tuple[str, str, dict[str, Any]], tmp_path: Path) -> None:
    task, data, expected = toy_run
    deaths = 0
    # moments are counted anew in each life, so each gets a little further than the last
    while in_process(run_until, 15, task, data, str(tmp_path / "out")) != 0:
        deaths += 1
        assert deaths < 50, "no progress between kills"
    assert deaths >= 3
    assert outcome(tmp_path / "out") == expected


def test_two_runs_at_once_on_one_store(
    toy_run: tuple[str, str, dict[str, Any]], tmp_path: Path
) -> None:
    task, data, expected = toy_run
    args = (task, data, str(tmp_path / "out"))
    processes = [CONTEXT.Process(target=run, args=args) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert outcome(tmp_path / "out") == expected
    assert not list((tmp_path / "out").rglob(".tmp-*"))


SLOW_ENCODER = """
import os
import time
from earmark.encoders.logmel import LogMel

class Slow(LogMel):
    name = "slow"

    def encode(self, waveforms, lengths):
        time.sleep(float(os.environ.get("SECONDS_A_BATCH", 0)))
        return super().encode(waveforms, lengths)
"""


def test_the_command_killed_from_outside(toy: Toy, tmp_path: Path) -> None:
    task, data = toy({"train": 24, "valid": 6, "test": 10}, shards=3)
    (tmp_path / "slow.py").write_text(SLOW_ENCODER)

    def command(out: str) -> list[str]:
        return [
            sys.executable, "run_bench.py", "--encoder", f"{tmp_path / 'slow.py'}:Slow",
            "--tasks", str(task), "--data", str(data), "--results", str(tmp_path / out / "results"),
            "--cache", str(tmp_path / out / "cache"), "--batch-seconds", "4", "--seeds", "2",
        ]  # fmt: skip

    killed = subprocess.Popen(
        command("killed"), cwd=REPOSITORY, stderr=subprocess.PIPE,
        env=os.environ | {"SECONDS_A_BATCH": "0.1"},
    )  # fmt: skip
    store = tmp_path / "killed" / "cache" / "store"
    while len(list(store.glob("??/*/manifest.json"))) < 3:
        assert killed.poll() is None, killed.stderr.read() if killed.stderr else ""
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    entries = len(list(store.glob("??/*/manifest.json")))
    assert 3 <= entries < 9
    assert not list((tmp_path / "killed").rglob("toy*.json"))
    subprocess.run(command("killed"), cwd=REPOSITORY, check=True, capture_output=True)
    assert main(command("whole")[2:]) == 0
    found, expected = (outcome(tmp_path / out) for out in ("killed", "whole"))
    for outcomes in (found, expected):  # the paths asked for differ, and so may the tables' dates
        for name in [n for n in outcomes if n.startswith("results/leaderboard")]:
            outcomes.pop(name)
    assert found == expected


def test_a_result_is_used_again_only_while_all_it_came_from_is_the_same(
    toy: Toy, tmp_path: Path
) -> None:
    task, data = toy({"train": 24, "valid": 6, "test": 10})

    def again(**changes: Any) -> tuple[float, bool]:
        """The score, and whether it was computed now."""
        started = time.time() - 1
        (result,) = evaluate(
            "logmel", str(task),
            **({"data": data, "results": tmp_path / "r", "cache": tmp_path / "c"} | changes),
        )  # fmt: skip
        assert result.error is None
        written = (tmp_path / "r").rglob("toy*.npz")
        return result.scores["linear"].value, max(p.stat().st_mtime for p in written) > started

    def age() -> None:
        for path in (tmp_path / "r").rglob("*"):
            os.utime(path, (1, 1))

    assert again()[1]
    age()
    assert not again()[1]
    assert again(seeds=2)[1]
    age()
    assert again(failed_share=0.5)[1]
    age()
    assert not again()[1]  # that was another protocol, in a file of its own
    assert again(force=True)[1]
    age()
    task.write_text(task.read_text().replace("epochs: 5", "epochs: 6"))
    assert again()[1]
    age()
    task.write_text(task.read_text().replace("title: Toy", "title: Another title"))
    assert not again()[1]
    (current,) = (read_result(path) for path in (tmp_path / "r").rglob("strict/toy.json"))
    assert current.task.title == "Another title"
    toy({"train": 24, "valid": 6, "test": 10}, seed=1)  # other audio under the same names
    task.write_text(task.read_text().replace("epochs: 5", "epochs: 6"))
    assert again()[1]
