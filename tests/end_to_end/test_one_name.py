"""Installed, Earmark is `earmark` alone: a user's own encoders, tasks and benchmark stay theirs.

Each way to have Earmark (a wheel, an editable install, a checkout) runs in one process of its own,
which forks for each layout of a user's files: torch is imported once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy
import pytest
from clips import REPOSITORY

# Code of a user whose project has the most common names of the field, and of an encoder in it.
MODULES = {
    "encoders/mine.py": "WIDTH = 7\n",
    "tasks/mine.py": "NAME = 'a task of mine'\n",
    "benchmark/mine.py": "SECONDS = 3\n",
}
FILES = {
    "encoders.py": "WIDTH = 7\n",
    "tasks.py": "NAME = 'a task of mine'\n",
    "benchmark.py": "SECONDS = 3\n",
}
ENCODER = """\
import torch
from earmark import AudioEncoder, Frames
from {encoders} import WIDTH
from {tasks} import NAME
from {benchmark} import SECONDS


class Net(AudioEncoder):
    name, sample_rate, embedding_dim, frame_rate = "net", 16000, WIDTH, 100.0

    def encode(self, waveforms, lengths):
        frames = (lengths // 160).clamp(min=1)
        values = waveforms.new_ones(len(waveforms), int(frames.max()), WIDTH)
        return Frames(values, frames)
"""
# Run as a program: the libraries first, then a fork for each case on its input.
DRIVER = """\
import json, os, sys
import numpy, torch, torchaudio, soundfile, yaml, scipy

for line in sys.stdin:
    case = json.loads(line)
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(read)
        said = "it ended"
        try:
            os.chdir(case["folder"])
            sys.path[:0] = case["path"]
            exec(case["code"])
            said = "fine"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        print(json.dumps(answer.read()), flush=True)
    os.wait()
"""
ENCODES = """
import earmark
encoder = earmark.load_encoder({file!r})
frames = encoder.encode(torch.zeros(1, 1600), torch.tensor([1600]))
assert frames.values.shape == (1, 10, 7), frames.values.shape
"""
NAMES = """
import importlib.util
import earmark, earmark.benchmark.settings
assert dir(earmark) == sorted(earmark.__all__), dir(earmark)
assert all(getattr(earmark, name) for name in dir(earmark))
from earmark.benchmark.result.published import load_published
assert load_published()
assert earmark.load_encoder("dasheng-tiny").embedding_dim > 0
for name in ("benchmark", "encoders", "tasks", "run_bench"):
    assert importlib.util.find_spec(name) is None, name
"""
OWN_FIRST = """
from {encoders} import WIDTH
from {tasks} import NAME
from {benchmark} import SECONDS
assert (WIDTH, NAME, SECONDS) == (7, "a task of mine", 3)
"""


def bare_environment(folder: Path) -> Path:
    """A virtual environment with the libraries of this one, but without Earmark; its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # a folder named in a .pth file has no .pth files of its own, which an editable install needs
    (site / "libraries.pth").write_text(str(Path(numpy.__file__).parents[1]))
    return folder / "bin" / "python"


def site_of(python: Path) -> Path:
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    return site


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By `wheel` and `editable`: what pip would install, built from this checkout."""
    found = {}
    for kind in ("wheel", "editable"):
        out = tmp_path_factory.mktemp(kind)
        code = (
            "import sys; from setuptools import build_meta as b; "
            f"b.build_{kind}(sys.argv[1]) if {kind!r} == 'editable' else b.build_wheel(sys.argv[1])"
        )
        subprocess.run(
            [sys.executable, "-c", code, str(out)], cwd=REPOSITORY, check=True, timeout=120,
            capture_output=True,
        )  # fmt: skip
        (found[kind],) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module", params=["wheel", "editable", "checkout"])
def python(
    request: pytest.FixtureRequest,
    wheels: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, str]:
    """A Python that has Earmark in one of three ways, and how a program begins with it."""
    interpreter = bare_environment(tmp_path_factory.mktemp("venv"))
    if request.param == "checkout":  # as run_bench.py does
        folder = str(REPOSITORY)
        start = f"sys.path.append({folder!r})\nimport earmark\nsys.path.remove({folder!r})\n"
        return interpreter, start
    with zipfile.ZipFile(wheels[request.param]) as wheel:
        wheel.extractall(site_of(interpreter))
    return interpreter, ""


def asked(python: Path, cases: list[dict[str, object]]) -> list[str]:
    """What comes of each case, in one process."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-c", DRIVER], input="\n".join(map(json.dumps, cases)), text=True,
        capture_output=True, env=environment, timeout=300, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def make_project(folder: Path, layout: str) -> dict[str, str]:
    """A user's files; how their own modules are called."""
    for name, text in (FILES if layout == "modules" else MODULES).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        if layout == "packages":
            (folder / name).with_name("__init__.py").write_text("")
    tail = "" if layout == "modules" else ".mine"
    names = {name: f"{name}{tail}" for name in ("encoders", "tasks", "benchmark")}
    (folder / "net.py").write_text(ENCODER.format(**names))
    return names


def cases_of(folder: Path, start: str) -> dict[str, dict[str, object]]:
    """A user's project in every layout and place, its own code first and Earmark first."""
    cases: dict[str, dict[str, object]] = {}
    for layout in ("modules", "packages", "namespaces"):
        for place in ("working folder", "PYTHONPATH", "beside the file"):
            project = folder / layout / place
            project.mkdir(parents=True)
            names = make_project(project, layout)
            encodes = start + ENCODES.format(file=f"{project / 'net.py'}:Net")
            own = "" if place == "beside the file" else OWN_FIRST.format(**names)
            path = {"working folder": [""], "PYTHONPATH": [str(project)], "beside the file": []}
            where = str(project if place == "working folder" else folder)
            for order, code in (("theirs first", own + encodes), ("ours first", encodes + own)):
                case = {"folder": where, "path": path[place], "code": code}
                cases[f"{layout}, {place}, {order}"] = case
    return cases


def test_a_users_own_folders_and_files_work_and_so_does_earmark(
    python: tuple[Path, str], tmp_path: Path
) -> None:
    """And beside `earmark` there is no name of ours; it shows its public face alone."""
    interpreter, start = python
    cases = cases_of(tmp_path, start)
    cases["names"] = {"folder": str(tmp_path), "path": [], "code": start + NAMES}
    found = asked(interpreter, list(cases.values()))
    assert dict(zip(cases, found, strict=True)) == dict.fromkeys(cases, "fine")
    assert found == ["fine"] * 19


def test_a_wheel_holds_files_of_one_name_and_all_that_is_read(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels["wheel"]) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"earmark"}
    for folder, pattern in (
        ("results/published", "*"), ("tasks", "*.yaml"), ("tasks/classes", "*.txt"),
        ("encoders/dasheng/tiny", "model.safetensors"), ("benchmark/webpage/templates", "*"),
    ):  # fmt: skip
        wanted = sorted((REPOSITORY / folder).glob(pattern))
        assert wanted
        for path in wanted:
            place = folder.replace("results/published", "published")
            assert f"earmark/{place}/{path.name}" in names
    assert "earmark/py.typed" in names
