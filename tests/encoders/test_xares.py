"""Encoder files written for X-ARES run unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from xares_files import XARES

from earmark.benchmark.cli.main import main
from earmark.encoders import EncoderError, load_encoder


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str = XARES, name: str = "ToneEncoder", weight: float = 0.5) -> Path:
        path = tmp_path / "their_encoder.py"
        path.write_text(text.replace("{name}", name).replace("{weight}", str(weight)))
        return path

    return write


def refusal(name: str) -> str:
    with pytest.raises(EncoderError) as caught:
        load_encoder(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_facts_and_output_are_the_files_own(file: Callable[..., Path]) -> None:
    path = file()
    for asked in (str(path), f"{path}:ToneEncoder"):
        encoder = load_encoder(asked)
        facts = (encoder.name, encoder.sample_rate, encoder.embedding_dim, encoder.frame_rate)
        assert facts == ("ToneEncoder", 16_000, 8, 25.0)
        assert not encoder.honours_lengths
        assert not encoder.training
        audio = torch.randn(2, 3000)
        frames = encoder.encode(audio, torch.tensor([3000, 3000]))
        assert frames.lengths.tolist() == [5, 5]
        padded = torch.nn.functional.pad(audio, (0, 200)).view(2, 5, 640)
        weight, bias = encoder.get_parameter("wrapped.layer.weight"), "wrapped.layer.bias"
        torch.testing.assert_close(frames.values, padded @ weight.T + encoder.get_parameter(bias))


def test_clips_of_unequal_length_are_refused(file: Callable[..., Path]) -> None:
    encoder = load_encoder(str(file()))
    with pytest.raises(EncoderError, match="equal length"):
        encoder.encode(torch.zeros(2, 3000), torch.tensor([3000, 2000]))


def test_output_of_another_shape_is_refused(file: Callable[..., Path]) -> None:
    encoder = load_encoder(str(file(XARES.replace("640))\n", "640)).mean(1)\n"))))
    with pytest.raises(EncoderError, match=r"shape \(1, 8\); expected a tensor \(B, T, 8\)"):
        encoder.encode(torch.zeros(1, 3000), torch.tensor([3000]))


def test_fingerprint_covers_file_and_weights(file: Callable[..., Path]) -> None:
    one = load_encoder(str(file())).fingerprint()
    assert load_encoder(str(file())).fingerprint() == one
    assert load_encoder(str(file(weight=0.25))).fingerprint() != one
    assert load_encoder(str(file(XARES + "# a comment\n"))).fingerprint() != one
    changed = load_encoder(str(file()))
    changed.get_parameter("wrapped.layer.bias").data += 1
    assert changed.fingerprint() != one


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import torch\n", "no class whose name ends in Encoder, of none; name the class"),
        ("class Model:\n    pass\n", "no class whose name ends in Encoder, of Model"),
        (XARES + XARES.replace("{name}", "OtherEncoder"), "2 classes whose names end in Encoder"),
        ("from torch.nn import TransformerEncoder\n", "no class whose name ends in Encoder"),
        (XARES.replace("16000", "None"), "sampling_rate must be a number above 0, not None"),
        (XARES.replace("dim = 8", "dim = -8"), "output_dim must be a number above 0, not -8"),
        (XARES.replace("        self.output_dim = 8\n", ""), "subclass of earmark.AudioEncoder"),
        ("class AnEncoder:\n    pass\n", "subclass of earmark.AudioEncoder"),
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
    ],
)
def test_files_that_cannot_be_used(file: Callable[..., Path], text: str, said: str) -> None:
    line = refusal(str(file(text)))
    assert said in line
    assert "their_encoder.py" in line or "ToneEncoder" in line


def test_a_run_from_the_file_alone(
    file: Callable[..., Path], toy: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    task, data = toy()
    path = file()
    words = ["--encoder", str(path), "--tasks", str(task), "--data", str(data)]
    assert main([*words, "--results", str(tmp_path / "r")]) == 0
    (result,) = [json.loads(f.read_text()) for f in (tmp_path / "r").rglob("*.json")]
    assert result["encoder"]["name"] == "ToneEncoder"
    assert result["encoder"]["spec"] == str(path)
    assert f"--encoder {path} " in result["command"]
