"""The command line: exit statuses, one-line faults, and runs of a toy task from start to table."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import REPOSITORY, TASK_YAML

from earmark.benchmark.cli.main import main
from earmark.benchmark.result.files import read_result
from earmark.benchmark.result.schema import Predictions, RunResult
from earmark.tasks import builtin_tasks

ESCAPE = "\x1b"


class Shell:
    """Calls `main` in this process and keeps what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: object) -> tuple[int, str, str]:
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:  # argparse ends so
            status = int(stop.code or 0)
        return status, *self.capsys.readouterr()


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


@pytest.fixture
def words(toy: Callable[..., tuple[Path, Path]], tmp_path: Path) -> list[str]:
    """The options of a run of the toy task, results in `<tmp>/results`."""
    task, data = toy()
    folders = ["--data", str(data), "--results", str(tmp_path / "results")]
    return ["--encoder", "logmel", "--tasks", str(task), *folders]


def result_names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "results").rglob("toy*.json"))


def read_only_result(tmp_path: Path, name: str = "toy.json") -> RunResult:
    (path,) = (tmp_path / "results").rglob(name)
    return read_result(path)


def scores_of(result: RunResult) -> str:
    return json.dumps(json.loads(result.to_json())["scores"])


@pytest.mark.parametrize("asked", [["--help"], ["-h"], []])
def test_help_has_examples(shell: Shell, asked: list[str]) -> None:
    status, out, _ = shell(*asked)
    assert status == 0
    examples = re.findall(r"^  python run_bench.py .+$", out, re.MULTILINE)
    assert len(examples) >= 3
    assert "exit status" in out
    for command in ("run", "list", "leaderboard"):
        assert re.search(rf"^    {command} ", out, re.MULTILINE)


def test_every_option_of_run_is_explained(shell: Shell) -> None:
    status, out, _ = shell("run", "--help")
    assert status == 0
    for option in re.findall(r"--[a-z-]+", out.partition("options:")[0]):
        assert re.search(rf"^  (-h, )?{option}\b", out, re.MULTILINE), option


def test_list_tasks_shows_every_name_whole(shell: Shell) -> None:
    status, out, _ = shell("list", "tasks")
    assert status == 0
    first_words = [line.split(maxsplit=1)[0] for line in out.splitlines() if line.strip()]
    for name, spec in builtin_tasks().items():
        assert name in first_words
        assert spec.title.split()[0] in out
    assert "…" not in out
    assert max(len(line) for line in out.splitlines()) <= 80


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--limit", "0"), ("--limit", "-3"), ("--limit", "1.5"), ("--limit", "many"),
        ("--seeds", "0"), ("--seeds", ""), ("--workers", "0"), ("--device", "tpu"),
        ("--batch-seconds", "0"), ("--batch-seconds", "nan"), ("--batch-seconds", "inf"),
        ("--failed-share", "1.01"), ("--failed-share", "nan"), ("--failed-share", "-0.1"),
        ("--no-such-option", "1"),
    ],
)  # fmt: skip
def test_bad_option_values(shell: Shell, words: list[str], option: str, value: str) -> None:
    status, out, err = shell(*words, f"{option}={value}")
    assert (status, out) == (2, "")
    faults = [line for line in err.splitlines() if "error:" in line]
    assert len(faults) == 1
    assert option in faults[0]
    assert value in faults[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["--encoder", "logmell"], "did you mean 'logmel'?"),
        (["--tasks", "esc5"], "did you mean 'esc50'?"),
        (["--tasks", "no/such/task.yaml"], "no/such/task.yaml"),
        (["--encoder", "no/such/file.py:Mine"], "no/such/file.py"),
        (["--data", "no/such/folder"], "no/such/folder"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_cannot_start(
    shell: Shell, words: list[str], changes: list[str], said: str, dry: list[str], tmp_path: Path
) -> None:
    status, out, err = shell(*words, *changes, *dry)
    if changes[0] == "--data" and dry:
        assert status == 3  # a plan is printed, of what there is: nothing
        assert said in out
        return
    assert (status, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_results_that_cannot_be_written_are_no_traceback(
    shell: Shell, words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    status, out, err = shell(*words, "--results", tmp_path / "file")
    assert (status, out) == (2, "")
    assert "--results" in err
    assert len(err.splitlines()) == 1


def test_dry_run_counts_and_writes_nothing(shell: Shell, words: list[str], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    status, out, _ = shell(*words, "--dry-run")
    assert status == 0
    assert sorted(tmp_path.rglob("*")) == before
    head, row, total, *_ = out.splitlines()
    assert head.split() == ["task", "clips", "items", "hours", "store"]
    # 40 + 10 + 20 clips of 0.6 s on average: 0.01 h; 256 dimensions of 4 bytes each: 0.07 MB
    assert row.split()[:4] == ["toy", "70", "70", "0.01"]
    assert total.split()[:3] == ["together", "70", "0.01"]
    assert row.split()[4:] == ["0.1", "MB"]
    status, out, _ = shell(*words, "--dry-run", "--limit", "4")
    assert out.splitlines()[1].split()[:2] == ["toy", "12"]


def test_run_then_rerun(
    shell: Shell, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = shell(*words)
    assert status == 0
    result = read_only_result(tmp_path)
    assert (result.status, result.error) == ("done", None)
    assert ESCAPE not in out + err
    (row,) = [line for line in out.splitlines() if line.startswith("  Toy ")]
    for probe in ("linear", "knn"):
        assert f"{result.scores[probe].value:.3f}" in row
    # the numbers are those of the predictions beside them
    (file,) = (tmp_path / "results").rglob("toy.predictions.npz")
    predictions = Predictions.load(file)
    assert len(predictions.labels) == 20
    right = predictions.linear == predictions.labels[:, None]
    np.testing.assert_allclose(result.scores["linear"].per_seed, right.mean(axis=0))
    assert result.scores["linear"].value == pytest.approx(right.mean())
    assert result.scores["knn"].value == np.mean(predictions.knn == predictions.labels)
    assert result.scores["knn"].value > 0.8  # low and high tones are told apart
    # low and high tones of one recording share a source: r2000 to r2009
    assert sorted(set(predictions.sources)) == [f"r2{i:03d}" for i in range(10)]

    def may_not(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("earmark.benchmark.score.clips.train_heads", may_not)
    monkeypatch.setattr("earmark.encoders.logmel.LogMel.encode", may_not)
    again, out_again, err_again = shell(*words)
    assert (again, out_again) == (0, out)
    assert "computed again" not in err_again
    assert read_only_result(tmp_path).to_json() == result.to_json()


def test_force_computes_again_and_comes_to_the_same(
    shell: Shell, words: list[str], tmp_path: Path
) -> None:
    shell(*words)
    first = read_only_result(tmp_path)
    (path,) = (tmp_path / "results").rglob("toy.json")
    forged = json.loads(first.to_json())
    forged["scores"]["linear"]["value"] = 0.123
    path.write_text(json.dumps(forged))
    shell(*words)
    assert read_only_result(tmp_path).scores["linear"].value == 0.123  # used as it is
    shell(*words, "--force")
    assert scores_of(read_only_result(tmp_path)) == scores_of(first)


def test_changed_data_are_seen(
    shell: Shell, words: list[str], toy: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    shell(*words)
    first = read_only_result(tmp_path)
    toy(seed=1)
    shell(*words)
    second = read_only_result(tmp_path)
    assert first.inputs != second.inputs
    assert first.data.shards != second.data.shards


def test_limits_and_seeds_have_results_of_their_own(
    shell: Shell, words: list[str], tmp_path: Path
) -> None:
    assert shell(*words)[0] == 0
    whole = read_only_result(tmp_path).to_json()
    assert shell(*words, "--limit", "8")[0] == 0
    assert shell(*words, "--seeds", "2")[0] == 0
    assert result_names(tmp_path) == ["toy.json", "toy.limit-8.json", "toy.seeds-2.json"]
    assert read_only_result(tmp_path).to_json() == whole
    limited = read_only_result(tmp_path, "toy.limit-8.json")
    assert (limited.data.limit, limited.data.clips) == (8, 24)
    assert limited.scores["linear"].items == 8
    two = read_only_result(tmp_path, "toy.seeds-2.json")
    assert two.scores["linear"].per_seed == json.loads(whole)["scores"]["linear"]["per_seed"][:2]
    status, out, _ = shell("leaderboard", "--results", tmp_path / "results")
    assert status == 0
    assert "LIMITED to 8 clips" in out
    assert "protocol strict, 2 seeds\n" in out
    assert "protocol strict\n" in out  # logistic regression has none, and 5 is the usual number


def test_a_task_that_fails_is_status_3_and_the_others_go_on(
    shell: Shell, words: list[str], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(TASK_YAML.replace("folder: toy", "folder: absent"))
    status, out, err = shell(*words, "--tasks", broken)
    assert status == 3
    assert read_only_result(tmp_path).status == "done"
    (failed,) = (tmp_path / "results").rglob("broken.failed.json")
    assert "no shards for split train" in (read_result(failed).error or "")
    assert re.search(r"^failed .*broken.*no shards", err, re.MULTILINE)
    assert "(1 of 2)" in out
    # mended: the failure is forgotten
    broken.write_text(TASK_YAML)
    status, out, _ = shell(*words, "--tasks", broken)
    assert (status, failed.exists()) == (0, False)
    assert "(2 of 2)" in out


def test_command_in_a_result_makes_it_again(shell: Shell, words: list[str], tmp_path: Path) -> None:
    shell(*words, "--seeds", "1", "--limit", "6")
    result = read_only_result(tmp_path, "toy.limit-6.seeds-1.json")
    python, script, *rest = result.command.split()
    assert (python, script) == ("python", "run_bench.py")
    assert shell(*rest, "--results", tmp_path / "results", "--force")[0] == 0
    again = read_only_result(tmp_path, "toy.limit-6.seeds-1.json")
    assert scores_of(again) == scores_of(result)
    assert again.inputs == result.inputs


def test_run_bench_as_a_process(words: list[str], tmp_path: Path) -> None:
    """The front door itself, piped: no colours, progress apart from the table, status 3."""
    environment = {key: value for key, value in os.environ.items() if key != "FORCE_COLOR"}
    done = subprocess.run(
        [sys.executable, "run_bench.py", *words, "--failed-share", "0", "--seeds", "1"],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ESCAPE not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "1 seed" in done.stdout
    assert re.search(r"^  Toy  ", done.stdout, re.MULTILINE)
    assert "done" in done.stderr
    assert "done" not in done.stdout
    assert result_names(tmp_path) == ["toy.seeds-1.json"]


def test_tables_as_files_hold_earlier_runs_too(
    shell: Shell, words: list[str], tmp_path: Path
) -> None:
    assert shell(*words)[0] == 0
    others = ["mfcc" if word == "logmel" else word for word in words]
    _, out, _ = shell(*others)
    assert "logmel" not in out  # the terminal shows this run
    for suffix in ("md", "csv"):
        text = (tmp_path / "results" / f"leaderboard.{suffix}").read_text()
        assert "logmel" in text and "mfcc" in text
