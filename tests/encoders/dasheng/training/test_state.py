"""A killed training goes on to the same losses and the same weights, bit for bit."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_files import INJECTION, SEMANTIC, corpus, dasheng_file

from earmark.encoders.dasheng.training import TrainingError, train
from earmark.encoders.dasheng.training.history import History

AUDIO = corpus(1.0, 0.8)
STAGES = {
    "semantic": replace(SEMANTIC, steps=5, checkpoint_every=2),
    # the adversary begins after the first state
    "injection": replace(
        INJECTION, steps=5, checkpoint_every=2,
        losses=replace(INJECTION.losses, adversarial_from=0.5),
    ),
}  # fmt: skip


class Killed(BaseException):
    pass


def run(stage, out, semantic=None, until=None, **others):
    """Train, killed after step `until`; returns the numbers of the steps taken."""
    taken = []

    def on_step(step, losses):
        taken.append(step)
        if step == until:
            raise Killed

    semantic = semantic if stage == "injection" else None
    config = others.pop("config", STAGES[stage])
    try:
        train(
            config, others.pop("audio", AUDIO), out, semantic=semantic, on_step=on_step,
            held_out=corpus(0.5, seed=6), **others,
        )  # fmt: skip
    except Killed:
        assert until is not None
    return taken


def losses(out, file="losses.csv"):
    """Every column as it is written, but for the speed."""
    with (out / "training" / file).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row.pop("clips_per_second", None)
    return rows


def weights(out):
    return {p.name: p.read_bytes() for p in out.iterdir() if p.suffix == ".safetensors"} or {
        name: tensor.numpy().tobytes()
        for name, tensor in torch.load(out / "dasheng.pt", weights_only=True)["model"].items()
    }


@pytest.fixture(scope="module")
def semantic(tmp_path_factory):
    return dasheng_file(tmp_path_factory.mktemp("semantic"))


@pytest.fixture(scope="module", params=list(STAGES))
def uninterrupted(request, tmp_path_factory, semantic):
    out = tmp_path_factory.mktemp(request.param)
    assert run(request.param, out, semantic) == [1, 2, 3, 4, 5]
    return request.param, out


@pytest.mark.parametrize("kills", [[1], [2], [3, 4, 5]], ids=str)
def test_killed_anywhere(uninterrupted, tmp_path, semantic, kills):
    stage, whole = uninterrupted
    begun = 0
    for until in kills:
        # steps after the last state are taken again
        assert run(stage, tmp_path, semantic, until) == list(range(begun + 1, until + 1))
        begun = (until - 1) // 2 * 2  # killed before the state of its own step is written
    assert run(stage, tmp_path, semantic) == list(range(begun + 1, 6))
    assert losses(tmp_path) == losses(whole)
    assert [row["step"] for row in losses(whole)] == ["1", "2", "3", "4", "5"]
    assert losses(tmp_path, "held_out.csv") == losses(whole, "held_out.csv")
    assert weights(tmp_path) == weights(whole)


def test_a_finished_training_is_not_trained_again(uninterrupted, semantic):
    stage, out = uninterrupted
    before = weights(out), losses(out)
    assert run(stage, out, semantic) == []
    assert (weights(out), losses(out)) == before


def test_fresh_begins_anew(tmp_path, semantic):
    run("injection", tmp_path, semantic, until=3)
    assert run("injection", tmp_path, semantic, until=1, fresh=True) == [1]
    # what was before does not come back
    assert run("injection", tmp_path, semantic, until=2) == [1, 2]


def test_killed_between_losses_and_state(tmp_path, semantic, monkeypatch):
    """The losses know more steps than the state: those are taken again, and stand there once."""
    run("injection", tmp_path, semantic, until=3)

    def killed(*arguments):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("earmark.encoders.dasheng.training.loop.write_state", killed)
        run("injection", tmp_path, semantic, until=0)
    assert len(losses(tmp_path)) == 4
    assert run("injection", tmp_path, semantic) == [3, 4, 5]
    assert [row["step"] for row in losses(tmp_path)] == ["1", "2", "3", "4", "5"]


def test_a_state_that_is_half_written_is_no_state(tmp_path, semantic, monkeypatch):
    run("injection", tmp_path, semantic, until=3)

    def killed(content, file):
        file.write(b"half")
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("earmark.encoders.dasheng.training.state.torch.save", killed)
        run("injection", tmp_path, semantic, until=0)
    assert run("injection", tmp_path, semantic, until=3) == [3]


def refused(out, semantic, **others):
    with pytest.raises(TrainingError) as caught:
        run("injection", out, others.pop("semantic", semantic), **others)
    message = str(caught.value)
    assert "\n" not in message
    assert str(out / "training") in message
    assert "begin anew with --fresh" in message
    return message


def test_the_state_of_another_training_is_refused(tmp_path, semantic):
    run("injection", tmp_path, semantic, until=3)
    config = STAGES["injection"]
    other = replace(config, optimizer=replace(config.optimizer, rate=2e-3))
    audio = corpus(1.0, seed=1)
    encoder = dasheng_file(tmp_path / "other", seed=8)
    said = "is the state of a training with another"
    assert f"{said} config; choose" in refused(tmp_path, semantic, config=other)
    assert f"{said} audio; choose" in refused(tmp_path, semantic, audio=audio)
    assert f"{said} semantic encoder; choose" in refused(tmp_path, encoder)
    assert f"{said} config and audio; " in refused(tmp_path, semantic, config=other, audio=audio)
    assert run("injection", tmp_path, semantic, until=3, config=other, fresh=True) == [1, 2, 3]


def test_how_often_a_state_is_kept_may_change(tmp_path, semantic):
    run("injection", tmp_path, semantic, until=3)
    other = replace(STAGES["injection"], checkpoint_every=1, semantic="elsewhere")
    assert run("injection", tmp_path, semantic, config=other) == [3, 4, 5]


def test_a_damaged_state_is_refused(tmp_path, semantic):
    run("injection", tmp_path, semantic, until=3)
    state = tmp_path / "training" / "state.pt"
    whole = state.read_bytes()
    bits = [bytearray(whole) for _ in range(4)]
    for number, one in enumerate(bits, start=1):
        one[number * len(one) // 5] ^= 0x10  # in a tensor, where torch sees nothing wrong
    cut = (b"", b"garbage" * 100, whole[:1000], whole[:-200], whole[200:])
    for damaged in (*cut, *map(bytes, bits)):
        state.write_bytes(damaged)
        assert "state.pt cannot be read: " in refused(tmp_path, semantic)
    kept = torch.load(io.BytesIO(whole), weights_only=True)
    for content in (
        [1, 2], torch.zeros(3), {"step": 1}, kept | {"identity": 3}, kept | {"networks": {}},
        kept | {"step": "many"},
    ):  # fmt: skip
        torch.save(content, state)
        assert "state.pt cannot be read: " in refused(tmp_path, semantic)


class Planted:
    """What makes a folder when it is read by a loader that runs what a pickle says."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_nothing_in_a_state_is_run(tmp_path, semantic):
    run("injection", tmp_path, semantic, until=3)
    state = tmp_path / "training" / "state.pt"
    torch.save({"step": Planted(tmp_path / "made")}, state)
    assert "state.pt cannot be read: " in refused(tmp_path, semantic)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", ["", "step,mel\n1,0.5\n", "step,mel\nx,y\n1,2\n", "a\n1\n2\n"])
def test_losses_that_do_not_go_with_the_state_are_refused(tmp_path, semantic, content):
    run("injection", tmp_path, semantic, until=3)
    (tmp_path / "training" / "losses.csv").write_text(content)
    assert "losses.csv" in refused(tmp_path, semantic)


def test_numbers_survive_the_file_exactly(tmp_path):
    rng = np.random.default_rng(0)
    names = ["mel", "later", "x"]
    first = History(tmp_path / "a.csv", tmp_path / "b.csv", names)
    rows = [
        {"step": step, "mel": float(np.float32(rng.standard_normal())), "x": rng.random()}
        for step in range(1, 40)
    ]
    for number, row in enumerate(rows):
        if number == 20:
            first.write()
        first.add(row["step"], {name: row[name] for name in ("x", "mel")})
    assert first.steps == rows  # written or not
    first.write()
    second = History(tmp_path / "a.csv", tmp_path / "b.csv", names)
    second.cut(39)
    assert second.steps == rows
    with (tmp_path / "a.csv").open("a") as file:
        file.write("4,0.5")  # a kill in the middle of a line
    second.cut(39)
    assert second.steps == rows
    second.cut(12)
    assert second.steps == rows[:12]
