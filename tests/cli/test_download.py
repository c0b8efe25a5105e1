"""`download`, `datasets` and a run that fetches, as processes and by their output."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
import zenodo as ways
from clips import REPOSITORY, TASK_YAML
from task_files import task
from zenodo import Zenodo, content, record, serving

from earmark.benchmark.cli.main import main
from earmark.benchmark.result.files import read_result

NUMBER = "123"
BIG = random.Random(0).randbytes(3 << 20)
FILES = {"train-0.tar": BIG, "valid-0.tar": b"valid", "test-0.tar": b"test" * 1000}
Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def zenodo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zenodo]:
    with serving() as server:
        server.add(NUMBER, dict(FILES))
        monkeypatch.setenv("EARMARK_ZENODO", server.address)
        yield server


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Exit status, stdout and stderr of a command."""

    def run(*words: object) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        done = capsys.readouterr()
        assert "Traceback" not in done.err
        return status, done.out, done.err

    return run


def write_task(where: Path, name: str, **changes: object) -> Path:
    path = where / f"{name}.yaml"
    path.write_text(yaml.safe_dump(task(**{"zenodo_record": NUMBER} | changes)))
    return path


def started(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "run_bench.py", *(str(word) for word in words)],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # what a shell starts in the background hands on that Ctrl-C is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def until(true: Callable[[], object]) -> None:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < 60
        time.sleep(0.01)


def test_a_killed_download_is_gone_on_with(zenodo: Zenodo, shell: Shell, tmp_path: Path) -> None:
    path = write_task(tmp_path, "mine")
    data = tmp_path / "data"
    first = content(NUMBER, "train-0.tar")
    zenodo.faults[first] = [ways.stalls(2 << 20)]
    process = started("download", path, "--data", data)
    parts = (data / "mine" / ".earmark").glob

    def much_is_there() -> bool:
        return sum(part.stat().st_size for part in parts("*.part")) > 1 << 20

    until(much_is_there)
    process.send_signal(signal.SIGKILL)  # with the lock in its hands
    process.communicate()
    (part,) = parts("*.part")
    kept = part.stat().st_size
    assert not (data / "mine" / "train-0.tar").exists()
    status, out, _ = shell("download", path, "--data", data)
    assert (status, out) == (0, f"1 of 1 tasks are in {data}\n")
    assert {p.name: p.read_bytes() for p in (data / "mine").glob("*.tar")} == FILES
    assert zenodo.asked(first) == [None, f"bytes={kept}-"]


def test_two_processes_at_once(zenodo: Zenodo, tmp_path: Path) -> None:
    path = write_task(tmp_path, "mine")
    data = tmp_path / "data"
    (data / "mine" / ".earmark").mkdir(parents=True)
    (data / "mine" / ".earmark" / "lock").touch()  # of a run that was killed long ago
    held = content(NUMBER, "valid-0.tar")
    zenodo.faults[held] = [ways.says(503, Retry_After="2")]
    processes = [started("download", path, "--data", data) for _ in range(2)]
    ends = [(process.communicate(timeout=100), process.returncode) for process in processes]
    assert [code for _, code in ends] == [0, 0], ends
    assert {p.name: p.read_bytes() for p in (data / "mine").glob("*.tar")} == FILES
    for key in FILES:  # each once, and once more where the server was out of order
        assert len(zenodo.asked(content(NUMBER, key))) == (2 if key == "valid-0.tar" else 1)


def test_ctrl_c_is_one_line(zenodo: Zenodo, tmp_path: Path) -> None:
    path = write_task(tmp_path, "mine")
    zenodo.faults[content(NUMBER, "train-0.tar")] = [ways.stalls(1 << 20)]
    process = started("download", path, "--data", tmp_path / "data")
    until(lambda: zenodo.asked(content(NUMBER, "train-0.tar")))
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("interrupted; the same command")


def test_what_people_see(
    zenodo: Zenodo, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    tasks = [
        write_task(tmp_path, "first"),
        write_task(tmp_path, "same", folder="twin", also_in="mine"),
        write_task(tmp_path, "other", folder="other", zenodo_record="124"),
        write_task(tmp_path, "own", folder="own", zenodo_record=None),
    ]
    data = tmp_path / "data"
    sizes = f"{(sum(map(len, FILES.values()))) / 1e6:.2f} MB"
    status, out, err = shell("datasets", *tasks, "--data", data)
    rows = [line.split() for line in out.splitlines()]
    assert status == 3 and err == ""  # the size of two could not be learned
    assert rows[:6] == [
        ["task", "data", "here", "to", "fetch", "folder"],
        ["first", "absent", "-", *sizes.split(), "mine"],
        ["same", "absent", "-", "with", "first", "mine"],
        ["other", "absent", "-", "?", "other"],
        ["own", "absent", "-", "?", "own"],
        ["together", "0", "B", *sizes.split(), "+", "?"],
    ]
    assert "cannot be fetched: other: record 124 does not exist (404 from 127.0.0.1:" in out
    assert "cannot be fetched: own: the task names no Zenodo record" in out
    assert f"GB free in {data}" in out
    assert not data.exists()
    zenodo.requests.clear()
    status, out, _ = shell("datasets", *tasks, "--data", data, "--offline")
    assert status == 0 and zenodo.requests == []
    (line,) = [line for line in out.splitlines() if line.startswith("cannot be fetched")]
    assert line.startswith("cannot be fetched: own: ")

    status, out, _ = shell("download", *tasks, "--data", data, "--dry-run")
    assert status == 3 and "CC0" in out and not data.exists()
    status, out, err = shell("download", *tasks, "--data", data)
    assert (status, out) == (3, f"2 of 4 tasks are in {data}\n")
    assert "fetched first" in err and sizes in err
    status, out, _ = shell("datasets", *tasks[:2], "--data", data)
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()[1:3]] == ["present", "present"]
    assert f"together           {sizes}" in out  # shared shards count once
    (data / "mine" / "valid-0.tar").unlink()
    _, out, _ = shell("datasets", tasks[0], "--data", data)
    assert out.splitlines()[1].split()[1:] == ["incomplete", "3.15", "MB", "5", "B", "mine"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["download", "esc5"], "did you mean 'esc50'?"),
        (["datasets", "esc5"], "did you mean 'esc50'?"),
        (["download", "no.yaml"], "no.yaml"),
        (["download", "esc50", "--data", "synthetic"], "--data synthetic"),
    ],
)
def test_what_cannot_start(shell: Shell, words: list[str], said: str) -> None:
    status, out, err = shell(*words)
    assert (status, out) == (2, "") and said in err and len(err.splitlines()) == 1


def test_an_address_that_is_none(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARMARK_ZENODO", "zenodo.org")
    for words in (["download", "esc50"], ["datasets", "esc50"]):
        status, out, err = shell(*words)
        assert (status, out) == (2, "") and "write https://zenodo.org" in err


def test_too_little_disk_cannot_start(
    zenodo: Zenodo, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("earmark.benchmark.zenodo.plan.shutil.disk_usage", lambda _: usage)
    path = write_task(tmp_path, "mine")
    status, out, err = shell("download", path, "--data", tmp_path / "data")
    assert (status, out) == (2, "")
    assert ": too little disk: 3.15 MB to fetch" in err.splitlines()[-1]
    assert [asked for asked, _ in zenodo.requests] == [record(NUMBER)]


# ---- a run


@pytest.fixture
def remote(
    toy: Callable[..., tuple[Path, Path]], zenodo: Zenodo, tmp_path: Path
) -> tuple[list[object], Path]:
    """Words of a run of a real little task that lies in record 77 only; and the data folder."""
    _, made = toy({"train": 6, "valid": 4, "test": 4})
    zenodo.add("77", {path.name: path.read_bytes() for path in (made / "toy").glob("*.tar")})
    far = tmp_path / "far.yaml"
    far.write_text(TASK_YAML.replace("folder: toy", 'folder: far\nzenodo_record: "77"'))
    words = ["--encoder", "logmel", "--tasks", far, "--data", made, "--seeds", 1, "--device", "cpu"]
    return [*words, "--results", tmp_path / "results"], made


def failure(tmp_path: Path, name: str) -> str:
    (path,) = (tmp_path / "results").rglob(f"{name}.seeds-1.failed.json")
    return read_result(path).error or ""


def test_a_run_fetches_what_it_lacks(
    remote: tuple[list[object], Path], zenodo: Zenodo, shell: Shell, tmp_path: Path
) -> None:
    words, data = remote
    # not when it is told not to
    status, _, err = shell(*words, "--no-download")
    assert status == 3 and zenodo.requests == [] and not (data / "far").exists()
    said = failure(tmp_path, "far")
    assert "no shards for split train" in said and "not fetched: --no-download was given" in said
    assert len(said.splitlines()) == 1
    # nor when it is only to say what it would do
    status, out, err = shell(*words, "--dry-run")
    assert status == 0 and not (data / "far").exists()
    assert "a run would fetch it first" in out and out.startswith("task ") and "CC0" in out
    assert [path for path, _ in zenodo.requests] == [record("77")]
    status, out, err = shell(*words)
    assert status == 0 and "fetched far" in err
    plan, done = err.index("to fetch"), err.index("done    logmel · far")
    assert plan < err.index("fetched far") < done
    assert "far " not in out.splitlines()[0] and "Toy" in out
    # there now: nobody is asked again, one line says so
    zenodo.requests.clear()
    status, _, err = shell(*words)
    assert status == 0 and zenodo.requests == [] and f"data: 1 of 1 tasks in {data}" in err


def test_offline_what_is_there_still_runs(
    remote: tuple[list[object], Path], shell: Shell, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    words, _ = remote
    monkeypatch.setenv("EARMARK_ZENODO", "http://127.0.0.1:9")
    second = tmp_path / "second.yaml"
    second.write_text((tmp_path / "far.yaml").read_text().replace("folder: far", "folder: other"))
    status, out, err = shell(*words, "--tasks", tmp_path / "toy.yaml", second)
    assert status == 3 and "done    logmel · toy" in err
    for name in ("far", "second"):
        (line,) = [line for line in err.splitlines() if line.startswith(f"failed  logmel · {name}")]
        assert "no shards for split train" in line
        assert "not fetched: 127.0.0.1:9 cannot be reached (Connection refused)" in line
    assert "(1 of 3)" in out


def test_a_run_that_finds_too_little_disk_scores_what_is_there(
    remote: tuple[list[object], Path], zenodo: Zenodo, shell: Shell, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    words, data = remote
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("earmark.benchmark.zenodo.plan.shutil.disk_usage", lambda _: usage)
    status, _, err = shell(*words, "--tasks", tmp_path / "toy.yaml")
    assert status == 3 and "done    logmel · toy" in err and not (data / "far").exists()
    assert "not fetched: too little disk: " in failure(tmp_path, "far")
    assert [path for path, _ in zenodo.requests] == [record("77")]
    assert "too little disk" in shell(*words, "--dry-run")[1]


def test_half_fetched_data_is_not_scored(
    remote: tuple[list[object], Path], zenodo: Zenodo, shell: Shell, tmp_path: Path,
) -> None:  # fmt: skip
    words, data = remote
    zenodo.records["77"]["train-999.tar"] = zenodo.records["77"]["train-000.tar"][::-1]
    zenodo.always[content("77", "train-999.tar")] = ways.says(403)
    order = sorted(zenodo.records["77"], key=lambda key: key == "train-999.tar")  # it comes last
    zenodo.records["77"] = {key: zenodo.records["77"][key] for key in order}
    assert shell(*words)[0] == 3
    assert len(list((data / "far").glob("*.tar"))) == 3
    for more in ([], ["--no-download"]):
        assert shell(*words, *more)[0] == 3
        assert "holds 3 of the 4 files of Zenodo record 77 whole" in failure(tmp_path, "far")


def test_a_folder_that_is_misspelt_is_not_filled(
    remote: tuple[list[object], Path], zenodo: Zenodo, shell: Shell, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    words, data = remote
    wrong = tmp_path / "daat"
    status, out, err = shell(*words, "--data", wrong)
    assert (status, out) == (2, "") and len(err.splitlines()) == 1
    assert f"no folder {wrong}" in err and "download TASKS --data DIR" in err
    bare = [word for word in words if word not in ("--data", data)]
    monkeypatch.setenv("EARMARK_DATA", str(wrong))
    assert shell(*bare)[0] == 2
    assert zenodo.requests == [] and not wrong.exists()
    # the folder that is meant where none is named is made
    monkeypatch.delenv("EARMARK_DATA")
    monkeypatch.chdir(tmp_path)
    data.rename(tmp_path / "away")
    assert shell(*bare)[0] == 0
    assert len(list((tmp_path / "data" / "far").glob("*.tar"))) == 3
    # but not where nothing can be fetched into it
    (tmp_path / "data").rename(tmp_path / "gone")
    monkeypatch.setenv("EARMARK_ZENODO", "http://127.0.0.1:9")
    status, _, err = shell(*bare)
    assert status == 2 and "127.0.0.1:9 cannot be reached" in err.splitlines()[-1]
    assert not (tmp_path / "data").exists()


def test_synthetic_data_asks_nobody(zenodo: Zenodo, shell: Shell, tmp_path: Path) -> None:
    words = ["--encoder", "logmel", "--tasks", "esc50", "--data", "synthetic", "--dry-run"]
    assert shell(*words, "--cache", tmp_path / "cache")[0] == 0
    assert zenodo.requests == []


def test_a_note_that_cannot_be_read_is_none(zenodo: Zenodo, shell: Shell, tmp_path: Path) -> None:
    path, data = write_task(tmp_path, "mine"), tmp_path / "data"
    assert shell("download", path, "--data", data)[0] == 0
    note = data / "mine" / ".earmark" / f"record-{NUMBER}.json"
    stated = json.loads(note.read_text())
    assert {file["key"]: file["size"] for file in stated["files"]} == {
        key: len(data) for key, data in FILES.items()
    }
    for broken in ("", "[]", '{"files": [{"key": "../x"}], "checked": {}}', "{"):
        note.write_text(broken)
        status, out, _ = shell("datasets", path, "--data", data)
        assert status == 0 and out.splitlines()[1].split()[1] == "present"
    assert [path.name for path in data.iterdir()] == ["mine"]
