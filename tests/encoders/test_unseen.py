"""Weights that no fingerprint covers are found where an encoder's own code reaches them."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
import torch

from earmark.encoders import load_encoder
from earmark.encoders.unseen import unseen_weights

CODE = """
import torch
from earmark.encoders import AudioEncoder, Frames

MODEL = torch.nn.Linear(1, 2)
{more}

class Mine(AudioEncoder):
    name, sample_rate, embedding_dim, frame_rate = "mine", 16000, 2, 100.0
    {inside}

    def encode(self, waveforms, lengths):
        return Frames({work}(waveforms[:, ::160, None]), lengths // 160)
"""


def encoder(monkeypatch: pytest.MonkeyPatch, module: str, work: str, **parts: str) -> Any:
    made = types.ModuleType(module)
    monkeypatch.setitem(sys.modules, module, made)
    text = CODE.format(work=work, more=parts.get("more", ""), inside=parts.get("inside", ""))
    exec(text, made.__dict__)
    return made.Mine()


@pytest.mark.parametrize("module", ["mine", "encoders.mine", "benchmark", "tasks.encoders"])
def test_a_model_of_the_users_own_module_is_found_whatever_it_is_called(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unseen_weights(encoder(monkeypatch, module, "MODEL")) == ["MODEL"]


@pytest.mark.parametrize(
    ("work", "parts", "found"),
    [
        ("torch.zeros_like", {}, []),
        ("self.parts[1]", {"inside": "parts = [1, MODEL]"}, ["Mine.parts[1]"]),
        ("late", {"more": "def late(x, net=MODEL):\n    return net(x)"}, ["defaults of late[0]"]),
        ("BOX['w']", {"more": "BOX = {'w': torch.nn.Parameter(torch.ones(2))}"}, ["BOX['w']"]),
    ],
)  # fmt: skip
def test_where_it_is_held(
    work: str, parts: dict[str, str], found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unseen_weights(encoder(monkeypatch, "mine", work, **parts)) == found


def test_what_is_a_part_of_the_encoder_is_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = encoder(monkeypatch, "mine", "torch.zeros_like")
    mine.net = torch.nn.Linear(1, 2)
    assert unseen_weights(mine) == []
    assert unseen_weights(load_encoder("logmel")) == []
