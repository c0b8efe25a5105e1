"""The packages that in-wheel models are read from, installed once beside the environment."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from filelock import FileLock

from earmark.encoders.inwheel import crepe, musicnn, resemblyzer

PACKAGES = sorted(
    {
        f"{files.package}=={files.version}"
        for files in (resemblyzer.FILES, *musicnn.FILES.values(), *crepe.FILES.values())
    }
)


@functools.cache
def installed_packages() -> Path | str:
    """A folder in the user's cache with all of them, or why they cannot be had.

    As the README says, without their dependencies, which cannot be installed beside ours.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "earmark-tests"
    digits = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:16]
    folder = cache / f"inwheel-{digits}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "inwheel.lock"):
        if not folder.is_dir():
            made = cache / f"inwheel-{digits}.part"
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade",
                       "--retries", "1", "--timeout", "30", "--target", str(made)]  # fmt: skip
            found = subprocess.run([*command, *PACKAGES], capture_output=True, text=True)
            if found.returncode:
                return (found.stderr.strip().splitlines() or ["pip says nothing"])[-1]
            made.rename(folder)
    return folder


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the packages, which are as good as installed; or a skip that says why."""
    folder = installed_packages()
    if isinstance(folder, str):
        pytest.skip(f"the packages of in-wheel models cannot be had: {folder}")
    monkeypatch.syspath_prepend(folder)
    return folder


def module_from(path: Path, **stand_ins: ModuleType) -> ModuleType:
    """A package's own file, run with stand-ins for what it imports and this test does not need.

    In a name of what it imports `__` is a dot.
    """
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}_alone", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in stand_ins.items():
            patch.setitem(sys.modules, name.replace("__", "."), stand_in)
        spec.loader.exec_module(module)
    return module
