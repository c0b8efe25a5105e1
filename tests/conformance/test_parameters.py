"""How many weights encoding reads: a decoder's are not among them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from dasheng_reference import SMALL
from faulty_encoders import Faulty, Honest, raising_where

from earmark.benchmark.conformance.parameters import encoding_parameters
from earmark.encoders import Frames, load_encoder
from earmark.encoders.dasheng import load as load_dasheng
from earmark.encoders.dasheng import random_weights, save_checkpoint

LAYER = 3 * 8 + 8


class _Copying(torch.nn.Module):
    """Holds a copy of its weights from the first call on, and reads only that."""

    copy: torch.Tensor | None = None

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(8))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if self.copy is None:
            self.copy = self.weight.detach().clone()
        return values * self.copy


def with_part(part: Any, use: Callable[[Any, torch.Tensor], torch.Tensor]) -> Honest:
    """Honest with something more, and what encode() does with it."""

    class More(Honest):
        def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
            made = super().encode(waveforms, lengths)
            return Frames(use(self.part, made.values), made.lengths)

    encoder = More()
    encoder.part = part
    return encoder.eval()


def in_a_cache(part: _Copying, values: torch.Tensor) -> torch.Tensor:
    part(values)  # the copy is there before it is looked at
    return part(values)


@pytest.mark.parametrize(
    ("part", "use", "more"),
    [
        (torch.nn.Linear(8, 8), lambda part, values: values, 0),  # a decoder
        (torch.nn.Linear(8, 8), lambda part, values: part(values), 72),
        # its weight alone, by a function, as a view
        (torch.nn.Linear(8, 8), lambda part, v: torch.nn.functional.linear(v, part.weight.T), 64),
        (torch.nn.Parameter(torch.ones(5, 8)), lambda part, values: values + part[2], 40),
        # to ask what it is is not to read it
        (torch.nn.Linear(8, 8), lambda part, v: v.to(part.weight.dtype) * len(part.weight) / 8, 0),
        (_Copying(), in_a_cache, 8),
        (torch.nn.LSTM(8, 8), lambda part, v: part(v)[0], 4 * 8 * (8 + 8 + 2)),
    ],
)
def test_weights_that_an_operation_takes_are_counted(
    part: Any, use: Callable[..., torch.Tensor], more: int
) -> None:
    assert encoding_parameters(with_part(part, use), "cpu") == LAYER + more


def test_one_matrix_at_two_places_is_counted_once() -> None:
    part = torch.nn.ModuleList([torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)])
    part[1].weight = part[0].weight
    encoder = with_part(part, lambda p, v: p[1](p[0](v)))
    assert encoding_parameters(encoder, "cpu") == LAYER + 64 + 2 * 8


def test_of_a_codec_the_decoder_is_left_out(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, SMALL, random_weights(SMALL, seed=3))
    (codec,) = load_dasheng(weights=folder)
    shared: Any = codec.shared
    own = sum(p.numel() for part in (shared.semantic, shared.acoustic) for p in part.parameters())
    assert encoding_parameters(codec, "cpu") == own < sum(p.numel() for p in codec.parameters())


def test_what_cannot_be_told() -> None:
    assert encoding_parameters(load_encoder("logmel"), "cpu") == 0
    assert encoding_parameters(Faulty(raising_where(len)), "cpu") is None
    elsewhere = Faulty(lambda v, *_: v * 0)
    elsewhere.encode = lambda w, n: Frames(torch.zeros(1, 60, 8), n // 160)  # type: ignore[method-assign]
    assert encoding_parameters(elsewhere, "cpu") is None
    assert not torch.nn.modules.module._global_forward_pre_hooks
