"""Task files that commands write: read as any other, and never written over another task's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from task_files import DROP, load, task

from earmark.benchmark.prepare.task_file import (
    check_name,
    compose,
    own_division,
    shard_patterns,
    standing,
)
from earmark.tasks import TaskError, read_task


@pytest.mark.parametrize("name", ["a", "0", "my_task-2"])
def test_names_of_tasks(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "A", "_a", "-a", "a b", "a/b", "../a", "a.yaml", "ä", "a\n"])
def test_what_could_not_name_a_file_and_a_folder(name: str) -> None:
    with pytest.raises(TaskError, match="may hold only a-z"):
        check_name(name)


def test_what_is_composed_is_what_is_read(tmp_path: Path) -> None:
    text, spec = compose("mine", task(title="Kürzel: 1"), "Written by hand.")
    assert text.splitlines()[0] == "# Written by hand."
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    read = read_task(tmp_path / "mine.yaml")
    assert (read.title, read.digest(), spec.name) == ("Kürzel: 1", spec.digest(), "mine")


def test_a_fault_names_the_task_and_no_temporary_file() -> None:
    with pytest.raises(TaskError) as caught:
        compose("mine", task(metric="mood"), "x")
    assert str(caught.value).startswith("task mine: ")


@pytest.mark.parametrize(
    ("division", "part", "patterns"),
    [
        ({}, "split",
         {part: f"my_task_earmark_{part}_*.tar" for part in ("train", "valid", "test")}),
        ({"splits": DROP, "folds": {1: "a*.tar", 2: "b*.tar"}}, "fold",
         {part: f"my_task_earmark_fold_{part}_*.tar" for part in ("1", "2")}),
    ],
    ids=["splits", "folds"],
)  # fmt: skip
def test_an_own_division_shares_nothing_with_the_published_shards(
    division: dict[str, Any], part: str, patterns: dict[str, str], tmp_path: Path
) -> None:
    published = load(task(zenodo_record=7, also_in="elsewhere", **division), tmp_path)
    _, own = own_division(published, "half by half")
    assert (own.name, own.folder) == ("my_task_earmark", "mine_earmark")
    assert own.title == f"My task (Earmark's {part}s)"
    assert own.abbreviation == "Mine-E" and own.description.endswith("; half by half")
    assert not own.zenodo_record and not own.also_in
    assert own.shard_patterns == patterns
    assert own.digest() != published.digest()


def test_shards_bear_the_name_of_their_part() -> None:
    assert shard_patterns("a", ["x"], folds=False) == {"x": "a_x_*.tar"}
    assert shard_patterns("a", ["1"], folds=True) == {"1": "a_fold_1_*.tar"}


def test_a_file_that_stands_there_is_kept_or_refused(tmp_path: Path) -> None:
    spec = load(task(), tmp_path)
    assert not standing(tmp_path / "other.yaml", spec)
    load(task(name="my_task", licence="what somebody found out"), tmp_path, "other.yaml")
    assert standing(tmp_path / "other.yaml", spec)
    for changes in ({"classes": ["hum", "hiss"]}, {"folder": "elsewhere"}):
        load(task(name="my_task", **changes), tmp_path, "other.yaml")
        with pytest.raises(TaskError, match="declares another task; move it away"):
            standing(tmp_path / "other.yaml", spec)
