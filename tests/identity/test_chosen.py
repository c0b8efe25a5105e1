"""Encoders as callers ask for them: arguments, sweeps and names, from Python and the command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earmark import evaluate
from earmark.benchmark.cli.main import main
from earmark.benchmark.identity.chosen import Title, chosen_from
from earmark.encoders import EncoderError, load_encoder

MINE = """\
import torch
from earmark import AudioEncoder, Frames


class Mine(AudioEncoder):
    sample_rate = 8_000
    embedding_dim = 4
    frame_rate = 50.0

    def __init__(self, ckpt, power=1):
        super().__init__()
        self.bank = torch.nn.Linear(160, 4, bias=False)
        scale = float(open(ckpt).read())
        with torch.no_grad():
            self.bank.weight.copy_(torch.sin(torch.arange(640.0).view(4, 160) * scale))
        self.power = power

    def encode(self, waveforms, lengths):
        frames = (lengths // 160).clamp(min=1)
        short = int(frames.max()) * 160 - waveforms.shape[1]
        heard = torch.nn.functional.pad(waveforms, (0, max(0, short)))
        heard = heard[:, : int(frames.max()) * 160].unfold(1, 160, 160)
        return Frames(self.bank(heard).abs() ** self.power, frames)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "runs").mkdir()
    for name, scale in (("2k", 0.2), ("10k", 0.7)):
        (tmp_path / "runs" / f"{name}.pt").write_text(str(scale))
    return tmp_path


def test_a_mapping_is_one_form_of_a_text(folder: Path) -> None:
    def text(**asked: Any) -> Any:
        return chosen_from(asked).encoders

    asked = {"ckpt": Path("runs/2k.pt"), "power": 2, "mode": "a, b", "off": None}
    assert text(encoder="mine.py:Mine:x", arguments=asked) == [
        "mine.py:Mine(ckpt=runs/2k.pt, power=2, mode='a, b', off=None):x"
    ]
    assert text(encoder="logmel:permuted") == ["logmel:permuted"]
    assert text(encoder="m:permuted-2", arguments={"a": 1}) == ["m(a=1):permuted-2"]
    each = {"ckpt": {"each": "runs/*.pt"}, "power": {"each": [1, 2]}}
    found = chosen_from([{"encoder": "m", "arguments": each, "name": "mine"}, "logmel"])
    assert found.encoders == [
        "m(ckpt=runs/2k.pt, power=1)", "m(ckpt=runs/2k.pt, power=2)",
        "m(ckpt=runs/10k.pt, power=1)", "m(ckpt=runs/10k.pt, power=2)", "logmel",
    ]  # fmt: skip
    assert found.titles["m(ckpt=runs/10k.pt, power=2)"] == Title("mine", "ckpt=10k, power=2")
    assert text(encoder="m", arguments={"a": {"each": ["x*y", 1]}}) == ["m(a='x*y')", "m(a=1)"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"encodr": "logmel"}, "unknown key 'encodr'; did you mean 'encoder'?"),
        ({"arguments": {}}, "`encoder` must be text"),
        ({"encoder": "m", "arguments": [1]}, "`arguments` a mapping"),
        ({"encoder": "m(a=1)", "arguments": {"a": 1}}, "arguments in both"),
        ({"encoder": "m", "arguments": {"a": {"b": 1}}}, "a mapping must be {'each': [1, 2]}"),
        ({"encoder": "m", "arguments": {"a b": 1}}, "argument 'a b' is no name"),
        ({"encoder": "m", "arguments": {"a": object()}}, "is a object; arguments are finite"),
        ({"encoder": "m", "name": "logmel"}, "so is a known encoder called"),
        ({"encoder": "m", "name": "a:permuted"}, "what Earmark adds"),
        ({"encoder": "m", "name": ""}, "must be a line of text"),
        ([3], "text, an object or a mapping, not 3"),
        ([{"encoder": "m", "name": "a"}, {"encoder": "m", "name": "b"}], "under two names"),
        ([{"encoder": "m", "name": "a"}, {"encoder": "n", "name": "a"}], "two encoders are named"),
    ],
)
def test_what_is_no_encoder_is_said_in_a_line(asked: Any, said: str) -> None:
    with pytest.raises(EncoderError) as raised:
        chosen_from(asked)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_a_sweep_is_one_command_and_each_column_can_be_made_again(
    folder: Path, toy: Callable[..., tuple[Path, Path]]
) -> None:
    task, data = toy({"train": 12, "valid": 6, "test": 8})
    where = ["--tasks", str(task), "--data", str(data), "--device", "cpu", "--results"]
    asked = ["--encoder", "mine.py:Mine(ckpt={runs/*.pt}, power=2)"]
    assert main([*asked, *where, "first", "--control"]) == 0
    found = {one["encoder"]["name"]: one for one in results("first")}
    assert list(found) == [
        "Mine(ckpt=10k)", "Mine(ckpt=10k):permuted", "Mine(ckpt=2k)", "Mine(ckpt=2k):permuted",
    ]  # fmt: skip
    encoder = found["Mine(ckpt=10k)"]["encoder"]
    assert encoder["arguments"] == {"ckpt": "runs/10k.pt", "power": 2}
    (content,) = encoder["contents"]
    assert content["path"] == "runs/10k.pt" and len(content["sha256"]) == 64
    for one in found.values():
        words = shlex.split(one["command"])
        assert words[:3] == ["python", "run_bench.py", "--encoder"]
        again = words[2:]
        assert main([*again, "--device", "cpu", "--results", "again"]) == 0
    made = {one["encoder"]["name"]: one for one in results("again")}
    assert {name: one["scores"] for name, one in made.items()} == {
        name: one["scores"] for name, one in found.items()
    }
    assert {name: one["encoder"] for name, one in made.items()} == {
        name: one["encoder"] for name, one in found.items()
    }


def results(folder: str) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted(Path(folder).glob("*/*/*.json"))]
    return sorted(found, key=lambda one: str(one["encoder"]["name"]))


def test_another_checkpoint_under_the_same_path_takes_no_stored_score(
    folder: Path, toy: Callable[..., tuple[Path, Path]]
) -> None:
    task, data = toy({"train": 12, "valid": 6, "test": 8})

    def score(asked: Any = "mine.py:Mine(ckpt=runs/2k.pt)") -> Any:
        (result,) = evaluate(asked, str(task), data=data, results="out", device="cpu")
        assert result.error is None
        return result

    first = score()
    assert score().run.started == first.run.started  # as before
    named = score({"encoder": "mine.py:Mine", "arguments": {"ckpt": "runs/2k.pt"}, "name": "me"})
    assert named.encoder.name == "me" and named.encoder.fingerprint == first.encoder.fingerprint
    handed = score(load_encoder("mine.py:Mine(ckpt=runs/2k.pt)"))
    assert handed.encoder.fingerprint == first.encoder.fingerprint
    Path("runs/2k.pt").write_text("0.3")
    second = score()
    assert second.encoder.fingerprint != first.encoder.fingerprint
    assert second.run.started is not None and second.path != first.path


def test_a_name_goes_with_one_encoder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--encoder", "logmel", "mfcc", "--name", "x", "--data", "synthetic"]) == 2
    assert "--name x: goes with one encoder, not 2" in capsys.readouterr().err
    assert main(["--encoder", "mine.py:Mine(ckpt={no/*.pt})", "--data", "synthetic"]) == 2
    assert "no file fits no/*.pt" in capsys.readouterr().err
