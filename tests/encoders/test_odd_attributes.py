"""Attributes of odd kinds: one line each, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from faulty_encoders import Honest

from earmark import validate
from earmark.encoders import AudioEncoder, EncoderError, ready_encoder


def circular() -> list[Any]:
    found: list[Any] = [1]
    found.append(found)
    return found


def odd(**attributes: Any) -> Honest:
    encoder = Honest()
    for name, value in attributes.items():
        setattr(encoder, name, value)
    return encoder


def with_weight(weight: torch.Tensor) -> Honest:
    encoder = Honest()
    encoder.layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    return encoder


def with_lazy_layer() -> Honest:
    encoder = Honest()
    encoder.more = torch.nn.LazyLinear(3)
    return encoder


REFUSED: dict[str, tuple[Callable[[], AudioEncoder], str]] = {
    "a name that is no text": (lambda: odd(name=3), "name must be text, not 3"),
    "half a character": (
        lambda: odd(name="a\ud800"), "name holds half a character at 1, 'a\\ud800'; give it a name",
    ),
    "a rate that takes 6 GB": (
        lambda: odd(sample_rate=10**9), "sample_rate is 1000000000, above 1000000; it is in Hz",
    ),
    "an infinite rate": (lambda: odd(frame_rate=float("inf")), "frame_rate must be a number above"),
    "more frames than samples": (
        lambda: odd(frame_rate=1e9), "frame_rate 1e+09 is above its sample_rate, 16000 Hz",
    ),
    "no dimension": (lambda: odd(embedding_dim=None), "embedding_dim must be a whole number"),
    "a dimension beyond memory": (
        lambda: odd(embedding_dim=10**12), "embedding_dim is 1000000000000, above 16777216",
    ),
    "weights on meta": (
        lambda: with_weight(torch.zeros(8, 3, device="meta")),
        "its weight layer.weight is on meta, where nothing is: load the weights onto the CPU",
    ),
    "sparse weights": (
        lambda: with_weight(torch.zeros(8, 3).to_sparse()),
        "its weight layer.weight is sparse, which no fingerprint covers: keep it as a plain tensor",
    ),
    "nested weights": (
        lambda: with_weight(torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])),
        "its weight layer.weight is nested",
    ),
    "weights without a size": (
        with_lazy_layer, "its weight more.weight has no size yet: give its layer all sizes",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # torch warns of nested and lazy ones
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_one_line(case: str) -> None:
    make, said = REFUSED[case]
    with pytest.raises(EncoderError) as caught:
        validate(make(), quick=True, device="cpu")
    assert said in str(caught.value) and "\n" not in str(caught.value)
    str(caught.value).encode()  # it can be written


@pytest.mark.parametrize("config", [{"a": circular()}, {"a": {1, 2}}, {"a": object()}])
def test_a_configuration_that_cannot_be_written(config: dict[str, Any]) -> None:
    with pytest.raises(EncoderError, match="its config must hold plain JSON values") as caught:
        ready_encoder(odd(config=config)).fingerprint()
    assert "\n" not in str(caught.value)


def test_a_library_that_is_not_installed() -> None:
    with pytest.raises(EncoderError, match="names 'no-such-library', which is not installed"):
        ready_encoder(odd(libraries=("no-such-library",))).fingerprint()


def test_an_attribute_that_holds_itself_is_passed_over() -> None:
    assert ready_encoder(odd(kept=circular())).fingerprint() == Honest().eval().fingerprint()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">f4"), np.arange(6, dtype="<i2"), np.arange(6.0)[::-1],
        np.arange(6.0).reshape(2, 3)[:, ::-1], np.array(2.0), np.arange(6.0)[::2],
    ],
)  # fmt: skip
def test_arrays_are_told_apart_by_their_numbers(array: Any) -> None:
    """Whatever order their bytes and their items are in."""
    plain = np.array(array.tolist(), array.dtype.newbyteorder("="))
    one, same = odd(kept=array).fingerprint(), odd(kept=plain).fingerprint()
    other = odd(kept=plain + 1).fingerprint()
    assert one == same != other
