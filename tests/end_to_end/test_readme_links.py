"""Links of the READMEs lead somewhere; what the walk through the code names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from clips import REPOSITORY
from readme_files import READMES, without_blocks

WALK = (REPOSITORY / "benchmark" / "README.md").read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """Those of a page's headings, as GitHub makes them; of two alike the second gets `-1`."""
    found: dict[str, int] = {}
    made = set()
    text = without_blocks(path.read_text(encoding="utf-8"))
    for head in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", head).replace("`", "")
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = found[anchor] = found.get(anchor, -1) + 1
        made.add(f"{anchor}-{count}" if count else anchor)
    return made


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", without_blocks(path.read_text(encoding="utf-8")))
    for link in links:
        if link.startswith("https://"):
            continue
        place, _, anchor = link.partition("#")
        target = path.parent / place if place else path
        assert target.exists(), link
        page = target / "README.md" if target.is_dir() else target
        assert not anchor or anchor in anchors(page), link


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_files_that_are_named_are_there(path: Path) -> None:
    """Those in sentences and tables, by their path from the top; NAME stands for one to be made."""
    text = without_blocks(path.read_text(encoding="utf-8"))
    for name in re.findall(r"`((?:benchmark|encoders|results|tasks|tests)/[\w./*-]+)`", text):
        if "NAME" not in name and not name.startswith(("results/runs", "results/contributed")):
            assert list(REPOSITORY.glob(name)), name


def test_every_readme_is_reached_from_the_main_one() -> None:
    seen, ahead = set(), [REPOSITORY / "README.md"]
    while ahead:
        path = ahead.pop()
        if path in seen:
            continue
        seen.add(path)
        for link in re.findall(r"\]\(([^)#\s]*README\.md)", path.read_text(encoding="utf-8")):
            ahead.append((path.parent / link).resolve())
    assert seen >= set(READMES)


def test_the_main_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 190


def defined(path: Path) -> set[str]:
    """Names of all functions, methods and classes of a file."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_what_the_walk_names_is_there() -> None:
    walk = WALK[WALK.index("## The walk") : WALK.index("## The folders")]
    assert len(walk.splitlines()) <= 60
    steps = re.findall(r"^\*\*\d\. (\w+)\.\*\*", walk, re.MULTILINE)
    assert " -> ".join(steps).lower() == (
        "shards -> audio -> encoder -> store -> probe -> metric -> result -> leaderboard"
    )
    for step in re.split(r"^\*\*\d\. ", walk, flags=re.MULTILINE)[1:]:
        assert re.search(r"\w\.py`\s\(`", step), f"no file with a function: {step[:40]}"
    for file, names in re.findall(r"`([\w/]+\.py)`(?:\s\(([^)]*)\))?", walk):
        (path,) = [
            root / file
            for root in (REPOSITORY / "benchmark", REPOSITORY)
            if (root / file).is_file()
        ]
        missing = set(re.findall(r"`(\w+)`", names)) - defined(path)
        assert not missing, f"{file}: {missing}"


def test_every_folder_of_the_benchmark_is_named() -> None:
    table = WALK[WALK.index("## The folders") : WALK.index("## How it is measured")]
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in (REPOSITORY / "benchmark").iterdir()
        if (path / "__init__.py").is_file() or path.suffix == ".py"
    }
    named = set(re.findall(r"`([a-z_]+(?:/|\.py))`", table))
    assert named >= there - {"__init__.py"}
