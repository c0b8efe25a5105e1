"""Layers and other outputs of a user's own class: asked for by name, made in one pass."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from readme_files import example_files

import earmark
from earmark.benchmark.cli.main import main
from earmark.benchmark.conformance.run import BREACH
from earmark.encoders import (
    AudioEncoder,
    EncoderError,
    Frames,
    encode_each,
    group_names,
    load_encoders,
    names_of,
    register_encoder,
    with_layer,
)
from earmark.encoders.catalogue import REGISTERED
from earmark.encoders.outputs import outputs_of

WAVES = torch.randn(2, 3200, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([3200, 3200])


@pytest.fixture
def place(tmp_path: Path) -> str:
    """The example of the README, as a file."""
    (tmp_path / "layered.py").write_text(example_files()["layered.py"])
    return f"{tmp_path}/layered.py:Layered"


def by_hand(encoder: Any, waves: torch.Tensor) -> list[torch.Tensor]:
    """Hidden states by the layers' own weights, in float64."""
    whole = getattr(encoder, "shared", encoder)
    blocks = waves.double().reshape(len(waves), -1, 320)
    states = [blocks @ whole.front.weight.double().T + whole.front.bias.double()]
    for block in whole.blocks:
        states.append((states[-1] @ block.weight.double().T + block.bias.double()).clamp(min=0))
    return states


def test_every_layer_is_an_encoder_of_its_own(place: str) -> None:
    encoders = load_encoders([place], layer="all")
    assert [one.name for one in encoders] == [f"Layered:layer-{n}" for n in range(4)]
    states = by_hand(encoders[0], WAVES)
    for state, frames in zip(states, encode_each(encoders, WAVES, LENGTHS), strict=True):
        assert torch.allclose(frames.values.double(), state, atol=1e-5)
        assert frames.lengths.tolist() == [10, 10]
    alone = [one.encode(WAVES, LENGTHS).values for one in encoders]
    assert all(torch.allclose(a.double(), b, atol=1e-5) for a, b in zip(alone, states, strict=True))


def test_all_that_is_asked_for_comes_from_one_pass_and_one_copy(place: str) -> None:
    names = [place, f"{place}:layer-1", f"{place}:wide"]
    assert group_names(names) == [names]
    encoders = load_encoders(names)
    assert [one.name for one in encoders] == ["Layered", "Layered:layer-1", "Layered:wide"]
    assert [one.embedding_dim for one in encoders] == [64, 64, 128]
    whole: Any = encoders[0]
    assert encoders[1].shared is whole and encoders[2].shared is whole
    asked: list[list[str]] = []
    real = type(whole).encode_outputs

    def watched(self: Any, waves: Any, lengths: Any, outputs: Any) -> Any:
        asked.append(list(outputs))
        return real(self, waves, lengths, outputs)

    type(whole).encode_outputs = watched
    own, layer, wide = encode_each(encoders, WAVES, LENGTHS)
    assert asked == [["", "layer-1", "wide"]]
    states = by_hand(whole, WAVES)
    assert torch.allclose(own.values.double(), states[3], atol=1e-5)
    assert torch.allclose(layer.values.double(), states[1], atol=1e-5)
    assert torch.allclose(wide.values.double(), torch.cat(states[2:], dim=2), atol=1e-5)


def test_a_fingerprint_does_not_depend_on_the_company(place: str, tmp_path: Path) -> None:
    together = load_encoders([place, f"{place}:layer-1"])
    prints = [one.fingerprint() for one in together]
    assert len(set(prints)) == 2
    assert [
        load_encoders([name])[0].fingerprint() for name in (place, f"{place}:layer-1")
    ] == prints
    control = load_encoders([f"{place}:permuted", f"{place}:layer-1:permuted"])
    names = [one.name for one in control]
    assert names == ["Layered:permuted", "Layered:layer-1:permuted"]
    alone = load_encoders([f"{place}:layer-1:permuted"])[0]
    assert alone.fingerprint() == control[1].fingerprint()


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        (":layer-4", "has no output 'layer-4'; it has layer-0 to layer-3, wide"),
        (":pooled", "has no output 'pooled'; it has layer-0 to layer-3, wide"),
    ],
)
def test_an_output_that_there_is_not(place: str, ending: str, message: str) -> None:
    with pytest.raises(EncoderError, match=re.escape(message)):
        load_encoders([place + ending])


def test_a_class_without_layers_says_how_to_have_them(place: str, tmp_path: Path) -> None:
    (tmp_path / "vectors.py").write_text(example_files()["vectors.py"])
    plain = f"{tmp_path}/vectors.py:Spectrum"
    with pytest.raises(EncoderError, match=r"no output 'layer-1': its class has no encode_outputs"):
        load_encoders([f"{plain}:layer-1"])
    with pytest.raises(EncoderError, match=r"no layers to choose from; .* and classes with"):
        with_layer(plain, 1)
    with pytest.raises(EncoderError, match="no layers to choose from"):
        with_layer(f"{place}:wide", 1)
    with pytest.raises(EncoderError, match="layer 'last': must be a whole number"):
        with_layer(place, "last")
    assert with_layer(place, 2) == f"{place}:layer-2"


def test_names_by_which_all_layers_can_be_asked_for_again(place: str) -> None:
    names = [f"{place}:layer-all:permuted"]
    encoders = load_encoders(names)
    assert names_of(names, encoders) == [f"{place}:layer-{n}:permuted" for n in range(4)]


def test_a_registered_name_has_layers_too(place: str) -> None:
    (loaded,) = load_encoders([place])
    register_encoder("layers-of-mine")(type(loaded))
    try:
        (made,) = load_encoders(["layers-of-mine:layer-2"])
        assert made.name == "layers-of-mine:layer-2"
        assert with_layer("layers-of-mine", "all") == "layers-of-mine:layer-all"
    finally:
        del REGISTERED["layers-of-mine"]


def test_an_output_that_is_not_returned_is_named() -> None:
    class Forgets(AudioEncoder):
        name, sample_rate, embedding_dim, frame_rate = "forgets", 1000, 1, 10.0
        layer_count = 1

        def encode_outputs(self, waveforms: Any, lengths: Any, outputs: Any) -> dict[str, Frames]:
            return {"": Frames(waveforms[:, :, None], lengths)}

    class ForgetsItself(Forgets):
        def encode_outputs(self, waveforms: Any, lengths: Any, outputs: Any) -> dict[str, Frames]:
            return {}

    with pytest.raises(EncoderError, match="did not return the output '', which is its own"):
        ForgetsItself().encode(WAVES, LENGTHS)
    encoders = outputs_of(Forgets(), ["", "layer-all"])
    with pytest.raises(EncoderError, match="did not return the output 'layer-0'"):
        encode_each(encoders, WAVES, LENGTHS)


def test_validate_and_a_run_over_all_layers(place: str, toy: Any, tmp_path: Path) -> None:
    for encoder in load_encoders([place, f"{place}:wide"]):
        checks = earmark.validate(encoder, quick=True, device="cpu")
        assert [one for one in checks if one.verdict == BREACH] == []
    task, data = toy({"train": 20, "valid": 8, "test": 12})
    status = main([
        "--encoder", place, "--layer", "all", "--tasks", str(task), "--data", str(data),
        "--results", str(tmp_path / "r"), "--cache", str(tmp_path / "c"), "--device", "cpu",
    ])  # fmt: skip
    assert status == 0
    found = [json.loads(path.read_text()) for path in (tmp_path / "r").rglob("toy*.json")]
    assert {one["encoder"]["name"] for one in found} == {f"Layered:layer-{n}" for n in range(4)}
    assert all(":layer-" in one["command"] for one in found)
    # the first of them encodes for all
    spent = [one["run"].get("encoded_audio_seconds", 0) for one in found]
    assert sum(value > 0 for value in spent) == 1
