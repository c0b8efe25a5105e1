"""The layout of the code: what may import what, from the ground up; how long its parts may be."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from clips import REPOSITORY

# From the ground: what a line names may import from the lines above it alone. A file of
# `benchmark/` itself counts as a folder.
FLOORS = (
    ("encoders", "tasks"),
    ("audio", "bounds", "controls", "costs", "io", "paths"),
    ("protocol", "readouts", "shots", "zenodo"),
    ("shards",),
    ("result",),
    ("metric", "store", "synthetic"),
    ("probe", "settings", "uncertainty"),
    ("embedding", "leaderboard", "score"),
    ("audit", "comparison", "conformance", "prepare"),
    ("identity",),
    ("evaluation", "reconstruction"),
    ("agreement", "training", "webpage"),
    ("cli",),
)
ROOTS = ("benchmark", "encoders", "tasks")
LONGEST_FILE, LONGEST_FUNCTION = 400, 60  # lines
Imports = dict[str, list[tuple[int, str]]]


def modules(root: Path) -> dict[str, Path]:
    """Dotted name, as it is imported, -> file."""
    found = {}
    for path in (path for name in ROOTS for path in sorted((root / name).rglob("*.py"))):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(("earmark", *parts)).removesuffix(".__init__")] = path
    return found


def imported(node: ast.AST) -> Iterator[tuple[int, str, list[str]]]:
    """(line, module, names from it) of every import in a file, those for type checkers left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((child.lineno, alias.name, []) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            module = "." * child.level + (child.module or "")
            yield child.lineno, module, [alias.name for alias in child.names]
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from imported(ast.Module(child.orelse, []))
        else:
            yield from imported(child)


def read_imports(files: dict[str, Path]) -> Imports:
    """Module -> (line, module of ours) of what it imports, anywhere in it."""
    found: Imports = {name: [] for name in files}
    for name, path in files.items():
        for line, module, names in imported(ast.parse(path.read_text("utf-8"))):
            for target in [f"{module}.{each}" for each in names] or [module]:
                if (ours := target if target in files else module) in files:
                    found[name].append((line, ours))
    return found


def folder_of(module: str) -> str:
    parts = module.split(".")[1:]
    return parts[1] if parts[0] == "benchmark" and len(parts) > 1 else parts[0]


def upward(found: Imports) -> list[str]:
    """Every import that goes to a floor above its own, or sideways to another folder of it."""
    floors = {name: floor for floor, names in enumerate(FLOORS) for name in names}
    return [
        f"{module}, line {line}: {folder_of(module)} may not import {folder_of(target)}"
        for module, targets in found.items()
        for line, target in targets
        if folder_of(module) != folder_of(target)
        and floors[folder_of(module)] <= floors[folder_of(target)]
    ]


def circle(found: Imports) -> list[str]:
    """Files that import each other in a ring; empty where there is none."""
    graph = {module: {target for _, target in targets} for module, targets in found.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


@pytest.fixture(scope="module")
def found() -> Imports:
    return read_imports(modules(REPOSITORY))


def test_every_folder_has_its_floor_and_imports_from_below_alone(found: Imports) -> None:
    folders = {folder_of(module) for module in found} - {"benchmark"}  # its __init__ is no stage
    assert folders == {name for names in FLOORS for name in names}
    assert upward(found) == []


def test_no_file_imports_itself_by_way_of_others(found: Imports) -> None:
    assert circle(found) == []


def test_our_own_code_is_imported_by_its_one_name_in_full() -> None:
    """Not as `encoders...`, which may be a user's, and not relative to the file."""
    wrong = [
        f"{path.relative_to(REPOSITORY)}, line {line}: {module}"
        for folder in (*ROOTS, "tests")
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for line, module, _ in imported(ast.parse(path.read_text("utf-8")))
        if module.split(".")[0] in ("", "run_bench", *ROOTS)
    ]
    assert wrong == []


def test_what_breaks_the_order_is_seen(tmp_path: Path) -> None:
    """Upward, sideways, in a ring, and inside a function; not what type checkers alone read."""
    files = {
        "encoders/a.py": "def late():\n    from earmark.benchmark.io import files\n",
        "benchmark/io/files.py": "import earmark.benchmark.audio.decode\n",
        "benchmark/audio/decode.py": "from earmark.benchmark.audio.cut import cut\n",
        "benchmark/audio/cut.py": (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
            "    from earmark.benchmark.cli import main\nelse:\n"
            "    from earmark.benchmark.audio import decode\n"
        ),
        "benchmark/cli/main.py": "from earmark.benchmark.io.files import x\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = read_imports(modules(tmp_path))
    assert upward(found) == [
        "earmark.benchmark.io.files, line 1: io may not import audio",
        "earmark.encoders.a, line 2: encoders may not import io",
    ]
    ring = circle(found)
    assert set(ring) == {"earmark.benchmark.audio.cut", "earmark.benchmark.audio.decode"}


def test_files_and_functions_are_short() -> None:
    folders = (*ROOTS, "tests")
    paths = [path for folder in folders for path in sorted((REPOSITORY / folder).rglob("*.py"))]
    long = []
    for path in [*paths, *REPOSITORY.glob("*.py"), *REPOSITORY.glob("earmark/*.py")]:
        name, text = path.relative_to(REPOSITORY), path.read_text("utf-8")
        if len(text.splitlines()) > LONGEST_FILE:
            long.append(f"{name}: {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                text_ends = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
                head = node.body[0].lineno if ast.get_docstring(node) else node.lineno
                # what a docstring says of each argument is no code
                lines = (node.end_lineno or 0) - node.lineno - ((text_ends or 0) - head)
                if lines > LONGEST_FUNCTION:
                    long.append(f"{name}, line {node.lineno}: {node.name} has {lines} lines")
    assert long == []
