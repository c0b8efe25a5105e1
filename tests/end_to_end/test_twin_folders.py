"""Copies of synthetic shards are synthetic, whatever way they are reached."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from earmark import Leaderboard, audit_tasks, evaluate
from earmark.benchmark.cli.main import main
from earmark.benchmark.reconstruction.clips import open_material
from earmark.benchmark.synthetic import VERSION, synthesise
from earmark.tasks import builtin_tasks

TASK = "esc50"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data that holds a copy of a twin, as somebody would carry it about."""
    spec = builtin_tasks()[TASK]
    made = synthesise(spec, tmp_path_factory.mktemp("made"))
    data = tmp_path_factory.mktemp("data")
    shutil.copytree(made, data / spec.folder)
    return data


def test_a_run_says_so_in_result_name_and_tables(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "r"
    words = ["--encoder", "logmel", "--tasks", TASK, "--data", str(copied), "--limit", "10"]
    words += ["--seeds", "1", "--results", str(results), "--cache", str(tmp_path / "c")]
    assert main(words) == 0
    (path,) = results.rglob("esc50*.json")
    assert path.name == "esc50.synthetic.limit-10.seeds-1.json"
    assert json.loads(path.read_text())["synthetic"] is True
    out = capsys.readouterr().out
    assert "SYNTHETIC" in out and "real data" not in out
    assert (results / "leaderboard.synthetic.md").is_file()
    assert not (results / "leaderboard.md").exists()
    # the same numbers as where it is asked for by its word
    shutil.copytree(copied, tmp_path / "c" / "synthetic" / f"v{VERSION}")
    (again,) = evaluate(
        "logmel", TASK, data="synthetic", limit=10, seeds=1, results=tmp_path / "s",
        cache=tmp_path / "c",
    )  # fmt: skip
    (table,) = Leaderboard.from_folder(results)[0].tables
    assert table.synthetic
    assert table.rows[0].cell("logmel", "linear").value == again.scores["linear"].value


def test_without_the_manifest_beside_it_a_folder_is_anybodys(copied: Path, tmp_path: Path) -> None:
    data = tmp_path / "d"
    shutil.copytree(copied, data)
    (data / builtin_tasks()[TASK].folder / "synthetic.json").unlink()
    (result,) = evaluate(
        "logmel", TASK, data=data, limit=5, seeds=1, results=tmp_path / "r", cache=tmp_path / "c"
    )
    assert not result.synthetic


def test_an_audit_says_so(copied: Path, tmp_path: Path) -> None:
    (finding,) = audit_tasks([TASK], data=copied, results=tmp_path, cache=tmp_path / "c")
    assert finding.synthetic
    (path,) = (tmp_path / "audits").iterdir()
    assert path.name.endswith(".synthetic.json")


def test_reconstruction_says_so_of_a_folder_and_of_a_shard(copied: Path) -> None:
    folder = copied / builtin_tasks()[TASK].folder
    assert open_material(folder).synthetic
    assert open_material(next(folder.glob("*.tar"))).synthetic
