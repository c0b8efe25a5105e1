"""Real result files with one field missing, null, of another type or out of range.

Each is refused by name, or every face works on it: no field may end a leaderboard, a page, a
comparison or a check. The other files of the folder are always shown.
"""

from __future__ import annotations

import copy
import functools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clips import REPOSITORY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import earmark
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.formats import FORMATS
from earmark.benchmark.reconstruction import formats as codec_formats
from earmark.benchmark.reconstruction.leaderboard import make_tables
from earmark.benchmark.reconstruction.result import read_results
from earmark.benchmark.result.audit_report import stored_finding

GOLDEN = REPOSITORY / "results" / "golden"
TASKS = ("esc50", "fsd50k", "maestro", "clotho", "librispeech_100h")
GONE = object()
VALUES = [
    GONE, None, True, -1, 0, 10**12, 0.5, -0.5, "", "x" * 300, [], ["a"], [None], {}, {"a": 1},
    float("nan"), [0.9, 0.1],
]  # fmt: skip


def places(value: Any, inside: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value; of a list the first element alone."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:1])
    for key, inner in items:
        yield (*inside, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*inside, key))


def changed(raw: Any, place: tuple[Any, ...], value: Any) -> str:
    made = inner = copy.deepcopy(raw)
    for key in place[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return json.dumps(made)


@functools.cache
def golden() -> list[tuple[str, Path]]:
    """Golden results of tasks of several kinds."""
    found = [(task, GOLDEN / "logmel" / "strict" / f"{task}.json") for task in TASKS]
    assert all(path.is_file() for _, path in found)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two encoders' golden results of a few tasks, with their predictions."""
    root = tmp_path_factory.mktemp("mutated")
    for encoder in ("logmel", "mfcc"):
        (root / "r" / encoder).mkdir(parents=True)
        for task in ("esc50", "gtzan"):
            for path in (GOLDEN / encoder / "strict").glob(f"{task}.*"):
                shutil.copy(path, root / "r" / encoder)
    return root


def faces(root: Path, tmp: Path) -> list[str]:
    """Everything that reads a folder of results; the lines on files that cannot be read."""
    board, unreadable = Leaderboard.from_folder(root, cache=tmp / "cache")
    for form in FORMATS.values():
        form(board)
    made = earmark.report(root, tmp / "page.html", cache=tmp / "cache")
    assert made.paths
    earmark.compare("logmel", "mfcc", root, cache=tmp / "cache")
    verdict = earmark.check(root, against=str(GOLDEN))
    assert verdict.status in (0, 1, 3)
    return unreadable


@settings(
    max_examples=25, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(data=st.data())
def test_every_face_works_or_names_the_file(
    folder: Path, data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, path = data.draw(st.sampled_from(golden()))
    raw = json.loads(path.read_text())
    place = data.draw(st.sampled_from(sorted(places(raw), key=str)))
    value = data.draw(st.sampled_from(VALUES))
    target = folder / "r" / "logmel" / f"mutated-{task}.json"
    target.write_text(changed(raw, place, value))
    predictions = path.with_suffix(".predictions.npz")
    beside = target.parent / predictions.name
    added = not beside.exists()
    if added:
        shutil.copy(predictions, beside)
    try:
        unreadable = faces(folder / "r", folder)
    finally:
        target.unlink()
        if added:
            beside.unlink()
    assert all("mutated" in line and "\n" not in line for line in unreadable)
    assert len(unreadable) <= 1


def test_the_fault_that_ended_the_leaderboard_is_named(folder: Path) -> None:
    """A result that is done and has no `label_faults`."""
    raw = json.loads((GOLDEN / "logmel" / "strict" / "esc50.json").read_text())
    target = folder / "r" / "logmel" / "mutated-esc50.json"
    target.write_text(changed(raw, ("data", "label_faults"), GONE))
    try:
        (line,) = faces(folder / "r", folder)
    finally:
        target.unlink()
    assert line == f"{target}: not a result file (data.label_faults is missing); remove it"


@pytest.mark.parametrize(
    ("task", "place", "text"),
    [
        ("esc50", ("data", "label_faults"), "3"),
        ("esc50", ("task", "classes"), "1000000000000"),
        ("esc50", ("data", "seconds"), "1e400"),
        ("esc50", ("data", "clips"), "9" * 30),
        ("esc50", ("task", "title"), '"\\ud800"'),
        ("clotho", ("scores", "linear", "checkpoints", "test"), "[1]"),
    ],
)
def test_what_ended_the_tables_or_the_page_is_refused(
    tmp_path: Path, task: str, place: tuple[str, ...], text: str
) -> None:
    """Values that JSON may hold and no result: each once ended a command with a traceback."""
    raw = json.loads((GOLDEN / "logmel" / "strict" / f"{task}.json").read_text())
    path = tmp_path / "mutated.json"
    path.write_text(changed(raw, place, "HERE").replace('"HERE"', text))
    board, unreadable = Leaderboard.from_folder(tmp_path, cache=tmp_path)
    assert board.tables == []
    (line,) = unreadable
    assert line.startswith(f"{path}: not a result file (")
    assert "\n" not in line


@pytest.fixture(scope="module")
def codec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("codec")
    earmark.reconstruct("identity", "synthetic", limit=1, results=root, cache=root / "c", workers=1)
    return next(root.rglob("*.reconstruction.json"))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data())
def test_reconstruction_results(codec_file: Path, data: st.DataObject) -> None:
    raw = json.loads(codec_file.read_text())
    place = data.draw(st.sampled_from(sorted(places(raw), key=str)))
    text = changed(raw, place, data.draw(st.sampled_from(VALUES)))
    whole = codec_file.read_text()
    codec_file.write_text(text)
    try:
        results, unreadable = read_results(codec_file.parent)
        tables = make_tables(results)
        codec_formats.to_markdown(tables)
        codec_formats.to_csv(tables)
    finally:
        codec_file.write_text(whole)
    assert all(str(codec_file) in line and "\n" not in line for line in unreadable)


@pytest.fixture(scope="module")
def audit_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("audit")
    earmark.audit_tasks("esc50", data="synthetic", results=root, cache=root / "c")
    (path,) = (root / "audits").iterdir()
    return path


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_stored_audits(audit_file: Path, data: st.DataObject) -> None:
    """One that cannot be read counts as none; one that can gives its counts."""
    raw = json.loads(audit_file.read_text())
    place = data.draw(st.sampled_from(sorted(places(raw), key=str)))
    path = audit_file.with_name("changed.json")
    path.write_text(changed(raw, place, data.draw(st.sampled_from(VALUES))))
    finding = stored_finding(path)
    assert finding is None or isinstance(finding.summary().clips, int)
