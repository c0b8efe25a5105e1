"""Permuted weights: every number is still there, in another order that is the same everywhere."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from earmark.encoders import AudioEncoder, EncoderError, Frames, load_encoder, load_encoders
from earmark.encoders.control import control_of, has_parameters, permute_weights
from earmark.encoders.spec import parsed


class Net(AudioEncoder):
    """One layer, a buffer and weights of several kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.sample_rate, self.embedding_dim, self.frame_rate = "net", 8000, 6, 100.0
        self.layer = torch.nn.Linear(80, 6)
        self.tied = torch.nn.Linear(80, 6, bias=False)
        self.tied.weight = self.layer.weight
        self.small = torch.nn.Parameter(torch.arange(12.0).half().view(3, 4))
        self.counts = torch.nn.Parameter(torch.arange(5), requires_grad=False)
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.register_buffer("window", torch.hann_window(80))

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        frames = (lengths // 80).clamp(min=1)
        blocks = waveforms[:, : int(frames.max()) * 80].unflatten(1, (-1, 80)) * self.window
        return Frames(self.layer(blocks), frames)


@pytest.mark.parametrize(
    ("name", "base", "draw"),
    [
        ("logmel", "logmel", 0),
        ("logmel:permuted", "logmel", 1),
        ("dasheng:semantic:permuted-12", "dasheng:semantic", 12),
        ("my.py:Net:permuted", "my.py:Net", 1),
        ("my.py:permuted_net", "my.py:permuted_net", 0),
        ("x:permuted-0", "x:permuted-0", 0),
        (":permuted", ":permuted", 0),
    ],
)
def test_names(name: str, base: str, draw: int) -> None:
    assert parsed(name) == (base, draw)
    assert parsed(name).name == name


def test_every_tensor_keeps_its_values_and_buffers_stay() -> None:
    net = Net()
    made = control_of(net)
    assert (made.name, net.name) == ("net:permuted", "net")
    before, after = dict(net.named_parameters()), dict(made.named_parameters())
    assert list(before) == list(after)
    for name, own in before.items():
        assert after[name].dtype == own.dtype
        assert torch.equal(after[name].flatten().sort().values, own.flatten().sort().values)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {
        "layer.weight",
        "layer.bias",
        "small",
    }  # numbers of one entry, and counts, stay
    assert made.tied.weight is made.layer.weight
    assert torch.equal(made.window, net.window)
    assert made.fingerprint() != net.fingerprint()


def test_the_order_is_that_of_numpys_frozen_generator() -> None:
    """Written out here, and as a digest: on any machine, with any numpy, it is the same."""
    net = Net()
    with torch.no_grad():
        net.layer.weight.copy_(torch.arange(480.0).view(6, 80))
    permute_weights([net], draw=2)
    digest = hashlib.sha256(b"permuted-2 layer.weight 480").digest()
    words = [int.from_bytes(digest[4 * i : 4 * i + 4], "little") for i in range(8)]
    order = np.random.RandomState(words).permutation(480)
    assert net.layer.weight.flatten().tolist() == order.tolist()
    assert net.layer.weight.flatten()[:6].tolist() == FIRST


FIRST = [222.0, 337.0, 73.0, 434.0, 452.0, 432.0]


def test_what_is_loaded_together_is_permuted_once_and_the_rest_is_left_alone() -> None:
    names = ["dasheng-tiny", "dasheng-tiny:semantic", "dasheng-tiny:semantic:permuted"]
    names += ["dasheng-tiny:permuted", "dasheng-tiny:permuted-2"]
    loaded = {encoder.name: encoder for encoder in load_encoders(names)}
    assert set(loaded) == set(names)
    plain, control = loaded["dasheng-tiny:semantic"], loaded["dasheng-tiny:semantic:permuted"]
    assert loaded["dasheng-tiny:permuted"].shared is control.shared  # type: ignore[attr-defined]
    assert plain.fingerprint() == load_encoder("dasheng-tiny:semantic").fingerprint()
    assert control.fingerprint() == load_encoder("dasheng-tiny:semantic:permuted").fingerprint()
    assert len({encoder.fingerprint() for encoder in loaded.values()}) == 5
    audio = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0)) / 10
    with torch.inference_mode():
        one, other = (e.encode(audio, torch.tensor([16000])).values for e in (plain, control))
    assert one.shape == other.shape
    assert not torch.allclose(one, other, atol=0.1)


def test_without_weights_there_is_no_control() -> None:
    assert not has_parameters(load_encoder("logmel"))
    with pytest.raises(EncoderError, match="'logmel' has no parameters to permute"):
        load_encoder("logmel:permuted")
    with pytest.raises(EncoderError, match="unknown encoder 'logmle'; did you mean 'logmel'"):
        load_encoder("logmle:permuted")
