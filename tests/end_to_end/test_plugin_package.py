"""Each way to register one's own encoder that README.md shows; the package installed for real."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from clips import REPOSITORY
from xares_files import XARES

from earmark.benchmark.cli.main import main

PACKAGE = REPOSITORY / "tests" / "data" / "plugin_package"
REGISTERED = """\
import sys
from earmark import evaluate
from earmark_spectra import Spectrum
from earmark import register_encoder

@register_encoder("spectrum-again")
class Again(Spectrum):
    name = "spectrum-again"

task, data, results = sys.argv[1:]
(result,) = evaluate("spectrum-again", task, data=data, results=results, seeds=1, limit=4)
print(result.status, result.encoder.name, result.error)
"""
COMMANDS = """\
import json, sys
from earmark.benchmark.cli.main import main
print([main(words) for words in json.loads(sys.argv[1])])
"""


def in_process(
    site: Path, *words: object, script: str = "run_bench.py"
) -> subprocess.CompletedProcess[str]:
    """A script of the repository in a process that sees the folder `site` too."""
    paths = os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{site}"}
    return subprocess.run(
        [sys.executable, script, *map(str, words)], cwd=REPOSITORY, env=paths,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def by_hand(site: Path) -> Path:
    """What pip would write, where there is no setuptools to build with."""
    facts = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    info = site / f"{facts['name'].replace('-', '_')}-{facts['version']}.dist-info"
    info.mkdir(parents=True)
    heads = f"Metadata-Version: 2.1\nName: {facts['name']}\nVersion: {facts['version']}\n"
    (info / "METADATA").write_text(heads)
    points = facts["entry-points"]["earmark.encoders"].items()
    lines = ["[earmark.encoders]", *(f"{name} = {target}" for name, target in points)]
    (info / "entry_points.txt").write_text("\n".join(lines))
    shutil.copy(PACKAGE / "earmark_spectra.py", site)
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel of the example package is unpacked, as pip does it."""
    folder = tmp_path_factory.mktemp("plugin")
    if importlib.util.find_spec("setuptools") is None:
        return by_hand(folder / "site")
    # it builds beside its sources
    shutil.copytree(PACKAGE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=folder / "source", check=True, timeout=120,
        capture_output=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def run(toy: Callable[..., tuple[Path, Path]], tmp_path: Path) -> list[str]:
    """The options of a tiny run, but for the encoder."""
    task, data = toy({"train": 6, "valid": 4, "test": 4})
    folders = ["--data", str(data), "--results", str(tmp_path / "results")]
    return ["--tasks", str(task), *folders, "--seeds", "1"]


def names_scored(tmp_path: Path) -> list[str]:
    found = [json.loads(path.read_text()) for path in (tmp_path / "results").rglob("toy*.json")]
    return [result["encoder"]["name"] for result in found if result["status"] == "done"]


def test_entry_point_of_an_installed_package(site: Path, run: list[str], tmp_path: Path) -> None:
    """Listed, scored and validated: three commands in one process that sees the package."""
    script = tmp_path / "script.py"
    script.write_text(COMMANDS)
    commands = [["list", "encoders"], ["--encoder", "spectrum", *run],
                ["validate", "--encoder", "spectrum", "--quick"]]  # fmt: skip
    done = in_process(site, json.dumps(commands), script=str(script))
    assert done.stdout.splitlines()[-1] == "[0, 0, 0]", done.stderr
    listed = [line.split() for line in done.stdout.splitlines()]
    assert ["spectrum", "package", "earmark-spectra"] in listed
    assert names_scored(tmp_path) == ["spectrum"]


def test_without_the_package_its_name_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--encoder", "spectrum"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "unknown encoder 'spectrum'" in line


def test_decorator_in_a_script(site: Path, run: list[str], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(REGISTERED)
    done = in_process(site, run[1], run[3], run[5], script=str(script))
    assert done.stdout.strip() == "done spectrum-again None", done.stderr


@pytest.mark.parametrize("kind", ["class of a file", "X-ARES file"])
def test_file(kind: str, run: list[str], tmp_path: Path) -> None:
    path = tmp_path / "their_encoder.py"
    if kind == "X-ARES file":
        path.write_text(XARES.replace("{name}", "ToneEncoder").replace("{weight}", "0.5"))
        asked, name = str(path), "ToneEncoder"
    else:
        path.write_text((PACKAGE / "earmark_spectra.py").read_text())
        asked, name = f"{path}:Spectrum", "spectrum"
    assert main(["--encoder", asked, *run]) == 0
    assert names_scored(tmp_path) == [name]
