"""Sealed files and folders: every byte is known, what is damaged is made anew."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.benchmark.io.sealed import (
    is_whole,
    make_folder,
    read_manifest,
    read_sealed,
    write_sealed,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=40), place=st.integers(0, 200), change=st.integers(1, 255))
def test_no_wrong_byte_of_a_sealed_file_passes(
    tmp_path: Path, content: bytes, place: int, change: int
) -> None:
    path = tmp_path / "note"
    write_sealed(path, content)
    assert read_sealed(path) == content
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= change
    path.write_bytes(data)
    assert read_sealed(path) is None


FACTS = {"what": "a corpus", "seconds": 1.5}


def filled(folder: Path) -> None:
    (folder / "a.wav").write_bytes(b"sound")
    (folder / "b.json").write_text("{}")


def spoil(damage: str, folder: Path) -> None:
    if damage == "a byte":
        (folder / "a.wav").write_bytes(b"souND")
    elif damage == "a file is gone":
        (folder / "b.json").unlink()
    elif damage == "a file too many":
        (folder / "c").touch()
    elif damage == "no manifest":
        (folder / "m.json").unlink()
    else:
        (folder / "m.json").write_text("[" * 100_000)


@pytest.mark.parametrize(
    "damage",
    ["a byte", "a file is gone", "a file too many", "no manifest", "a manifest too deep to read"],
)
def test_a_folder_is_made_once_and_again_where_it_is_damaged(damage: str, tmp_path: Path) -> None:
    target = tmp_path / "corpus"
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        filled(folder)

    for _ in range(2):
        make_folder(target, "m.json", FACTS, make)
    assert len(made) == 1
    (target / ".hidden").touch()  # as file managers leave it
    assert is_whole(target, "m.json", FACTS)
    spoil(damage, target)
    assert not is_whole(target, "m.json", FACTS)
    make_folder(target, "m.json", FACTS, make)
    assert len(made) == 2 and is_whole(target, "m.json", FACTS)
    assert read_manifest(target, "m.json") == FACTS | {
        "files": {
            name: hashlib.sha256(data).hexdigest()
            for name, data in {"a.wav": b"sound", "b.json": b"{}"}.items()
        }
    }


def test_a_folder_of_other_facts_is_replaced_unless_that_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "corpus"
    make_folder(target, "m.json", FACTS, filled)

    def refuse() -> None:
        raise RuntimeError("it is somebody's")

    other = FACTS | {"seconds": 2}
    with pytest.raises(RuntimeError, match="somebody's"):
        make_folder(target, "m.json", other, filled, check=refuse)
    assert is_whole(target, "m.json", FACTS)
    make_folder(target, "m.json", other, filled)
    assert is_whole(target, "m.json", other) and not is_whole(target, "m.json", FACTS)


def test_what_fails_while_it_is_made_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "corpus"
    make_folder(target, "m.json", FACTS, filled)

    def fail(folder: Path) -> None:
        filled(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_folder(target, "m.json", FACTS | {"seconds": 2}, fail)
    assert is_whole(target, "m.json", FACTS)
    left = {path.name for path in tmp_path.iterdir()} - {".corpus.lock"}
    assert left == {"corpus"}
