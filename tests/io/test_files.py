"""Files and folders that are whole or not there at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from earmark.benchmark.io.files import folder_written_whole, remove_leftovers, write_atomically


def test_a_file_takes_the_place_of_another_with_usual_permissions(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "made"
    with folder_written_whole(target) as folder:
        (folder / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    with pytest.raises(KeyboardInterrupt), folder_written_whole(tmp_path / "cut") as folder:
        (folder / "a").write_text("1")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("replace", "kept"), [(False, "first"), (True, "second")])
def test_of_two_the_first_stays_unless_it_is_to_be_replaced(
    tmp_path: Path, replace: bool, kept: str
) -> None:
    target = tmp_path / "made"
    with folder_written_whole(target, replace=replace) as folder:
        (folder / "a").write_text("second")
        target.mkdir()  # another run is done meanwhile
        (target / "a").write_text("first")
    assert (target / "a").read_text() == kept
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_in_the_place_of_a_folder_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "made"
    target.write_text("no folder")
    with folder_written_whole(target, replace=True) as folder:
        (folder / "a").write_text("whole")
    assert (target / "a").read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_what_killed_runs_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    for name in (".tmp-old", ".tmp-young"):
        (tmp_path / f"{name}-file").touch()
        (tmp_path / f"{name}-folder").mkdir()
        (tmp_path / f"{name}-folder" / "inner").touch()
    (tmp_path / "result.json").touch()
    for path in (*tmp_path.glob(".tmp-old*"), tmp_path / "result.json"):
        os.utime(path, (1, 1))
    remove_leftovers(tmp_path, 3600)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"result.json", ".tmp-young-file", ".tmp-young-folder"}
