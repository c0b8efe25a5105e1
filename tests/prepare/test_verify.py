"""`datasets --verify`: what it counts, against counts by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import TASK_YAML, audio_bytes, clip_members, write_tar
from original_trees import TREES

from earmark.benchmark.cli.main import main
from earmark.benchmark.prepare.run import prepare
from earmark.benchmark.prepare.verify import AS_KNOWN, DIFFERS, NOT_VERIFIED, SOUND, verify
from earmark.tasks import TaskSpec, builtin_tasks, read_task

KNOWN = "known: {clips: {train: 3, valid: 1, test: 2}, from: counted by hand}\n"


def tone(seconds: float, rate: int) -> bytes:
    return audio_bytes(0.1 * np.sin(np.arange(round(seconds * rate))), rate)


@pytest.fixture
def shards(tmp_path: Path) -> Callable[..., TaskSpec]:
    """make(more=members of train's second shard, known=...) -> the task, shards under `<tmp>/d`."""

    def make(more: list[tuple[str, bytes]] | None = None, known: str = KNOWN) -> TaskSpec:
        low, high = {"label": "low"}, {"label": "high"}
        folder = tmp_path / "d/toy"
        write_tar(
            folder / "train-0.tar",
            [
                *clip_members("r1-a", tone(0.5, 16_000), low),
                *clip_members("r1-b", tone(1.5, 16_000), low),
                *clip_members("r2-a", tone(1.0, 8_000), high),
            ],
        )
        if more is not None:
            write_tar(folder / "train-1.tar", more)
        write_tar(folder / "valid-0.tar", clip_members("r3-a", tone(0.25, 8_000), high))
        write_tar(
            folder / "test-0.tar",
            [
                *clip_members("r4-a", tone(0.5, 44_100), low),
                *clip_members("odd", tone(0.5, 44_100), high),
            ],
        )
        (tmp_path / "toy.yaml").write_text(TASK_YAML + known)
        return read_task(tmp_path / "toy.yaml")

    return make


def test_what_is_counted(shards: Callable[..., TaskSpec], tmp_path: Path) -> None:
    found = verify(shards(), tmp_path / "d", workers=2)
    train, valid, test = (found.parts[name] for name in ("train", "valid", "test"))
    assert [part.clips for part in (train, valid, test)] == [3, 1, 2]
    assert dict(train.classes) == {"low": 2, "high": 1}
    assert dict(valid.classes) == {"high": 1}
    assert dict(train.rates) == {16_000: 2, 8_000: 1}
    assert sorted(train.seconds) == pytest.approx([0.5, 1.0, 1.5])
    assert (train.sources, valid.sources, test.sources) == (2, 1, 2)
    assert found.guessed_sources == 1  # `odd`
    assert (found.shards, found.clips, found.state) == (3, 6, AS_KNOWN)
    assert (found.undecodable, found.unlabelled, found.empty_classes) == ([], [], [])


@pytest.mark.parametrize(
    ("known", "state", "differences"),
    [
        ("", SOUND, []),
        ("known: {clips: 6, from: x}\n", AS_KNOWN, []),
        ("known: {clips: 7, from: x}\n", DIFFERS, ["6 clips, known are 7"]),
        (
            KNOWN.replace("train: 3, valid: 1", "train: 1, valid: 3"),  # as many in all
            DIFFERS,
            ["split train: 3 clips, known are 1", "split valid: 1 clips, known are 3"],
        ),
    ],
)
def test_known_counts(
    known: str, state: str, differences: list[str], shards: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    found = verify(shards(known=known), tmp_path / "d")
    assert (found.state, found.differences) == (state, differences)


def test_what_cannot_be_used(shards: Callable[..., TaskSpec], tmp_path: Path) -> None:
    whole = tone(0.5, 16_000)
    more = [
        *clip_members("r5-cut", whole[:-200], {"label": "low"}),
        *clip_members("r5-label", whole, {"label": "mid"}),
        *clip_members("r5-json", whole, b"{"),
        ("r5-alone.wav", whole),
    ]
    found = verify(shards(more, known=""), tmp_path / "d", workers=3)
    assert sorted((f.key, f.reason) for f in found.undecodable) == [
        ("r5-alone", "no JSON beside the audio"),
        ("r5-cut", "cut short: 15800 of 16000 bytes of samples"),
    ]
    assert sorted((f.key, f.reason) for f in found.unlabelled) == [
        ("r5-json", "its JSON is broken"),
        ("r5-label", "unknown label 'mid' (the task has 2 names)"),
    ]
    assert (found.state, found.parts["train"].clips) == (DIFFERS, 6)
    assert len(found.parts["train"].seconds) == 5


def test_shards_that_cannot_be_read(shards: Callable[..., TaskSpec], tmp_path: Path) -> None:
    spec = shards()
    (tmp_path / "d/toy/test-0.tar").write_bytes(b"<html>not found</html>" * 100)
    found = verify(spec, tmp_path / "d")
    assert found.state == NOT_VERIFIED and found.error is not None
    assert "is not a tar file" in found.error
    found = verify(spec, tmp_path / "nowhere")
    assert found.error is not None and "no shards for split train" in found.error
    assert found.parts == {}


def test_progress_counts_every_clip(shards: Callable[..., TaskSpec], tmp_path: Path) -> None:
    seen: list[tuple[Any, ...]] = []
    verify(shards(), tmp_path / "d", report=lambda *step: seen.append(step))
    assert [step[:2] for step in seen] == [(n, 6) for n in range(1, 7)]
    assert sum(step[2] for step in seen) == pytest.approx(4.25)


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.task)
def test_what_was_prepared_is_sound(tree: Any, tmp_path: Path) -> None:
    """Every clip of a miniature can be used; there are fewer than the whole data set has."""
    tree.make(tmp_path / "original")
    done = prepare(tree.task, tmp_path / "original", tmp_path / "d")
    found = verify(done.spec, tmp_path / "d", workers=2)
    assert (found.error, found.undecodable, found.unlabelled) == (None, [], [])
    assert found.clips == len(tree.clips) and found.differences
    assert found.guessed_sources == 0


# ------------------------------------------------------------------------------------- command line


def test_the_command(
    shards: Callable[..., TaskSpec], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards()
    words = ["datasets", "--verify", str(tmp_path / "toy.yaml"), "--data", str(tmp_path / "d")]
    assert main([*words, "--classes"]) == 0
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("toy  ") or " train " in line)
    assert row.split() == ["toy", "train", "3", "3", "1-2", "2", "0.00", "0.5-1.5", "16,", "8"]
    assert "1 tasks: 1 as known" in out
    assert ["low", "2", "0", "1"] in [line.split() for line in out.splitlines()]
    assert "source (recording) the task's rule does not find: 1" in out
    (tmp_path / "toy.yaml").write_text(TASK_YAML + KNOWN.replace("train: 3", "train: 4"))
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "split train: 3 clips, known are 4" in out and "known from: counted by hand" in out
    (tmp_path / "d/toy/test-0.tar").unlink()
    assert main(words) == 3
    assert "not verified: toy: no shards for split test" in capsys.readouterr().out


def test_faults_are_named(
    shards: Callable[..., TaskSpec], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [m for n in range(7) for m in clip_members(f"r9-{n}", b"", {"label": "low"})]
    shards(more, known="")
    words = ["datasets", "--verify", str(tmp_path / "toy.yaml"), "--data", str(tmp_path / "d")]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "clips that cannot be paired or decoded: 7" in out
    assert "train-1.tar/r9-4: empty file" in out and "and 2 more" in out


def test_without_names_what_is_there_is_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = TREES[0]
    tree.make(tmp_path / "original")
    prepare(tree.task, tmp_path / "original", tmp_path / "d")
    assert main(["datasets", "--verify", "--data", str(tmp_path / "d")]) == 1
    out = capsys.readouterr().out
    assert "fold 1: 1 clips, known are 400" in out and "1 tasks: 1 with faults" in out
    (tmp_path / "empty").mkdir()
    assert main(["datasets", "--verify", "--data", str(tmp_path / "empty")]) == 2
    assert "holds no shards of any task" in capsys.readouterr().err


def test_an_unknown_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "--verify", "esc5"]) == 2
    assert "did you mean 'esc50'?" in capsys.readouterr().err


def test_real_shards(real_data: Path) -> None:
    """280 utterances of three readers, split as ../shared/data/README.md says."""
    found = verify(builtin_tasks()["librispeech_mf"], real_data)
    assert [part.clips for part in found.parts.values()] == [200, 40, 40]
    assert [part.sources for part in found.parts.values()] == [3, 3, 3]
    assert all(set(part.rates) == {16_000} for part in found.parts.values())
    assert (found.undecodable, found.unlabelled, found.state) == ([], [], DIFFERS)
    assert found.differences == [
        "split train: 200 clips, known are 28539",
        "split valid: 40 clips, known are 2703",
        "split test: 40 clips, known are 2620",
    ]
