"""What is refused of an encoder's attributes, and what it does to a fingerprint to set them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from earmark.encoders import AudioEncoder, Codec, EncoderError, Frames, clip_dim, ready_encoder


class Plain(AudioEncoder):
    """Ten frames a second, each the mean of its samples."""

    name = "plain"
    sample_rate = 1000
    embedding_dim = 2
    frame_rate = 10.0

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        values = waveforms.unfold(1, 100, 100).mean(dim=2)
        return Frames(values[..., None].repeat(1, 1, 2), lengths // 100)


class OneVector(Plain):
    frame_rate = None  # type: ignore[assignment]


class Both(Plain):
    scene_dim = 5

    def encode_scene(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return waveforms[:, :5]


class Unstated(Both):
    scene_dim = None  # type: ignore[assignment]


class Vocoder(Codec):
    name = "vocoder"
    sample_rate = 1000
    embedding_dim = 2
    frame_rate = 10.0


class NoRate(AudioEncoder):
    name = "no rate"
    sample_rate = 1000
    embedding_dim = 2


class Several(Plain):
    def encode_outputs(self, waveforms: Any, lengths: Any, outputs: Any) -> dict[str, Frames]:
        return {}


REFUSED = {
    "no rate": (NoRate, {}, "frame_rate must be a number above 0, or None for one vector a clip; "
                "it is not set: set it on the class"),
    "rate 0": (Plain, {"frame_rate": 0}, "one vector a clip; not 0"),
    "varies without a grid": (OneVector, {"frame_rate_varies": True}, "needs a frame_rate"),
    "varies in words": (Plain, {"frame_rate_varies": "yes"}, "must be True or False, not 'yes'"),
    "codec of one vector": (Vocoder, {"frame_rate": None}, "a Codec needs a frame_rate"),
    "codec of windows": (Vocoder, {"max_seconds": 10}, "takes clips of any length"),
    "scene of one vector": (Both, {"frame_rate": None}, "scene_dim goes with encode_scene()"),
    "scene without a method": (Plain, {"scene_dim": 4}, "scene_dim goes with encode_scene()"),
    "scene without a size": (Unstated, {}, "encode_scene() needs scene_dim"),
    "scene of half a value": (Both, {"scene_dim": 2.5}, "scene_dim must be a whole number"),
    "seconds in words": (Plain, {"min_seconds": "1"}, "min_seconds must be a number above 0, or "
                         "None for any length, not '1'"),
    "seconds below 0": (Plain, {"max_seconds": -1}, "max_seconds must be a number above 0"),
    "seconds that are none": (Plain, {"fixed_seconds": True}, "not True"),
    "less than a sample": (Plain, {"fixed_seconds": 0.0004}, "less than a sample of 1000 Hz"),
    "fixed and least": (Plain, {"fixed_seconds": 10, "min_seconds": 1}, "leave out min_seconds"),
    "least above most": (Plain, {"min_seconds": 3, "max_seconds": 2}, "min_seconds 3 is above max"),
    "no layer": (Several, {"layer_count": 0}, "layer_count must be a whole number above 0"),
    "outputs in a word": (Several, {"named_outputs": "pooled"}, "must be names"),
    "an output with a colon": (Several, {"named_outputs": ("a:b",)}, "must be names"),
    "an output's own": (Several, {"named_outputs": {"a": {"embeding_dim": 2}}}, "['a'] has embed"),
    "an output of a number": (Several, {"named_outputs": {"a": 5}}, "must be names"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(case: str) -> None:
    cls, attributes, message = REFUSED[case]
    encoder = cls()
    for name, value in attributes.items():
        setattr(encoder, name, value)
    with pytest.raises(EncoderError) as refused:
        ready_encoder(encoder)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_can_be_is_taken() -> None:
    for attributes in (
        {"min_seconds": 1, "max_seconds": 1}, {"fixed_seconds": 10}, {"max_seconds": 0.5},
        {"frame_rate_varies": True}, {"frame_rate": None},
    ):  # fmt: skip
        encoder = Plain()
        for name, value in attributes.items():
            setattr(encoder, name, value)
        ready_encoder(encoder)
    assert clip_dim(ready_encoder(Both())) == 5
    assert clip_dim(ready_encoder(OneVector())) == 2


def test_attributes_that_are_an_encoders_own_stay_its_own() -> None:
    """Without encode_outputs a layer_count, or a module of that name, means nothing to Earmark."""
    encoder = Plain()
    encoder.layer_count = -3
    encoder.named_outputs = "mine"
    encoder.layers = torch.nn.ModuleList([torch.nn.Linear(2, 2)])
    assert len(ready_encoder(encoder).layers) == 1  # type: ignore[arg-type]


def test_each_attribute_that_is_set_is_part_of_the_fingerprint() -> None:
    class Shorter(Plain):
        max_seconds = 2.0

    class Fixed(Plain):
        fixed_seconds = 2.0

    class Least(Plain):
        min_seconds = 2.0

    class Varies(Plain):
        frame_rate_varies = True

    made = [cls().fingerprint() for cls in (Plain, Shorter, Fixed, Least, Varies)]
    assert len(set(made)) == len(made)
