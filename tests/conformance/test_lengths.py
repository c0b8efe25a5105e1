"""What is measured of one vector a clip, scenes, varying rates and bounded lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitted_encoders import RATE, Both, OneVector, SevenFrames, TenHertz

from earmark import validate
from earmark.benchmark.conformance.run import BREACH, OK, SKIPPED, Check
from earmark.benchmark.identity.behaviour import behaviours
from earmark.encoders import AudioEncoder, Frames


def checked(encoder: AudioEncoder, *, quick: bool = True) -> dict[str, Check]:
    return {check.what: check for check in validate(encoder, quick=quick, device="cpu")}


def breaches(encoder: AudioEncoder) -> dict[str, str]:
    return {what: one.measured for what, one in checked(encoder).items() if one.verdict == BREACH}


SOUND = {
    "one vector": OneVector(), "of ten seconds": OneVector(fixed_seconds=10.0),
    "of two at most": TenHertz(max_seconds=2.0), "of one at least": TenHertz(min_seconds=1.0),
    "lengths honoured": TenHertz(min_seconds=1.0, max_seconds=3.0, honours_lengths=True),
    "lengths honoured, windows": TenHertz(fixed_seconds=0.7, honours_lengths=True),
    "both": Both(fixed_seconds=1.5), "varies": SevenFrames(),
    "varies, cut": SevenFrames(max_seconds=4),
}  # fmt: skip


@pytest.mark.parametrize("case", SOUND)
def test_what_is_as_claimed_passes(case: str) -> None:
    found = checked(SOUND[case], quick=False)
    assert {one.what: one.measured for one in found.values() if one.verdict == BREACH} == {}
    assert found["10 min"].verdict == OK


def test_the_claims_are_named() -> None:
    found = checked(OneVector(fixed_seconds=10.0))
    assert found["frame rate"].claimed == "one vector a clip"
    assert found["frame rate"].measured == "1 frame a clip"
    assert found["end of the clip"].measured == "that of 10 s"
    assert checked(OneVector())["end of the clip"].measured == "that of 12 s"
    assert checked(SevenFrames())["frame rate"].verdict == SKIPPED
    assert checked(Both())["scene"].measured == "(2, 3)"
    assert checked(TenHertz(max_seconds=2.0))["frame rate"].measured == "20 for 2 s"
    fixed = checked(TenHertz(fixed_seconds=0.7, honours_lengths=True))["padding"]
    assert (fixed.verdict, fixed.why) == (SKIPPED, "its batches hold windows of equal length")
    assert checked(TenHertz(min_seconds=2.0, honours_lengths=True))["padding"].verdict == OK


class Truncates(OneVector):
    """Hears five seconds, whatever it is given."""

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        heard = waveforms[:, : 5 * RATE]
        return super().encode(heard, lengths.clamp(max=5 * RATE))


class FewFrames(TenHertz):
    """A frame for each 100 ms, of its windows but seven tenths of them."""

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        made = super().encode(waveforms, lengths)
        return Frames(made.values, (made.lengths * 7 // 10).clamp(min=1))


class TwoRows(OneVector):
    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        made = super().encode(waveforms, lengths)
        return Frames(made.values.repeat(1, 2, 1), made.lengths * 2)


class SceneOfTheBatch(Both):
    """Its scene depends on the other clips of the batch."""

    def encode_scene(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return super().encode_scene(waveforms / waveforms.amax(), lengths)


class SceneOfAnotherSize(Both):
    def encode_scene(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return super().encode_scene(waveforms, lengths)[:, :2]


class SceneInWords(Both):
    def encode_scene(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Any:
        return "scene"


class OneScene(Both):
    def encode_scene(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(waveforms), 3)


def test_what_is_cut_off_is_found() -> None:
    assert breaches(Truncates()) == {"end of the clip": "not that of 12 s"}
    assert "set max_seconds" in checked(Truncates())["end of the clip"].why
    assert breaches(Truncates(max_seconds=5.0)) == {}
    assert breaches(Truncates(max_seconds=9)) == {"end of the clip": "not that of 9 s"}


BROKEN = {
    "frames lost": (FewFrames(fixed_seconds=10.0), "frame rate", "70 for 10 s"),
    "two rows": (TwoRows(), "frame rate", "2 frames a clip"),
    "scene of the batch": (SceneOfTheBatch(), "scene", "off by"),
    "scene of another size": (SceneOfAnotherSize(), "scene", "of shape (2, 2) from encode_scene()"),
    "scene in words": (SceneInWords(), "scene", "returned str from encode_scene()"),
    "one scene for all": (OneScene(), "scene", "the same for different clips"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_not_as_claimed_is_named(case: str) -> None:
    encoder, what, measured = BROKEN[case]
    assert measured in breaches(encoder)[what]


def test_an_encoder_that_needs_a_second_is_told_to_say_so() -> None:
    class NeedsASecond(TenHertz):
        def taken(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> None:
            if bool((lengths < RATE).any()):
                raise RuntimeError("too short")

    found = checked(NeedsASecond())
    assert "set min_seconds" in found["0.5 s of noise"].why
    assert breaches(NeedsASecond(min_seconds=1.0)) == {}


def test_what_a_scene_is_made_of_belongs_to_the_identity() -> None:
    class Other(Both):
        def encode_scene(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return 2 * super().encode_scene(waveforms, lengths)

    one, other = Both(fixed_seconds=1.0), Other(fixed_seconds=1.0)
    found = behaviours([one, other], "cpu")
    names = [name for name in found[one].sketches if name.endswith(", scene")]
    assert len(names) == 3 and found[one].sketches[names[0]][:2] == [1, 3]
    sizes = [found[each].sketches[names[0]][2] for each in (one, other)]
    assert np.isclose(sizes[1], 2 * sizes[0])
    assert found[one].sketches["noise"] == found[other].sketches["noise"]
