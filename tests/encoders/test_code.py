"""Encoders of classes that no file holds: what they are told apart by."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from clips import REPOSITORY

from earmark.encoders.code import code_digest, has_no_file

CELL = """
import torch
from earmark import AudioEncoder, Frames, evaluate


class Cell(AudioEncoder):
    name, sample_rate, embedding_dim, frame_rate = "cell", 16_000, 4, 100.0

    def encode(self, waveforms, lengths):
        if "x" in {"a", "b", "x", "c"}:  # a frozen set among the constants
            counts = (lengths // 160).clamp(min=1)
        audio = waveforms[:, : int(counts.max()) * 160]
        audio = torch.nn.functional.pad(audio, (0, int(counts.max()) * 160 - audio.shape[1]))
        return Frames(audio.view(len(audio), -1, 4, 40).abs().mean(3) * FACTOR, counts)
"""
RUN = """
(result,) = evaluate(Cell(), "esc50", data="synthetic", limit=8, cache={cache!r}, results={out!r},
                     device="cpu")
print(result.status, result.encoder.fingerprint, result.scores["knn"].value)
"""


def run(code: str, seed: str) -> str:
    """What a fresh Python prints of code that is in no file."""
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": seed},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return made.stdout.strip().splitlines()[-1]


def test_an_object_of_a_cell_is_measured_and_told_apart(tmp_path: Path) -> None:
    """In another process with another order of sets the same; edited another."""
    where = RUN.format(cache=str(tmp_path / "cache"), out=str(tmp_path / "out"))
    first = run(CELL.replace("FACTOR", "1.0") + where, "1")
    assert first.startswith("done ")
    again = run("# a comment\n" + CELL.replace("FACTOR", "1.0") + where, "2")
    assert again == first
    edited = run(CELL.replace("FACTOR", "(audio[:, :1, None] + 0.5)") + where, "1")
    assert edited.startswith("done ") and edited.split()[1] != first.split()[1]


def defined(source: str) -> type:
    """A class as the notebook's kernel makes it: in `__main__`, in no file."""
    names = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec"), names)
    made = names["C"]
    assert isinstance(made, type)
    return made


BODY = "class C:\n    size = 3\n    def f(self, x=1):\n        return [x + 2 for x in (1, 2)]\n"


@pytest.mark.parametrize(
    "edit",
    [
        ("size = 3", "size = 4"), ("x=1", "x=2"), ("x + 2", "x + 3"), ("x + 2", "x - 2"),
        ("f(self", "g(self"), ("(1, 2)", "(1, 3)"), ("class C", "class C(dict)"),
    ],
)  # fmt: skip
def test_any_edit_of_the_code_is_another_digest(edit: tuple[str, str]) -> None:
    first, second = defined(BODY), defined(BODY.replace(*edit))
    same = edit[1] == "class C(dict)"  # bases are hashed as classes of their own
    assert (code_digest(first) == code_digest(second)) is same
    assert has_no_file(first)


def test_comments_and_places_do_not_count() -> None:
    assert code_digest(defined(BODY)) == code_digest(defined("# one\n\n" + BODY))


def test_classes_of_files_are_those_of_their_files() -> None:
    assert not has_no_file(Path)
    made = type("Odd", (), {"__module__": "nowhere"})
    assert has_no_file(made)
