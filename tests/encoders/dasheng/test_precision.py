"""Half precision: on GPUs only, never for spectrograms, and close to float32."""

from __future__ import annotations

import copy

import pytest
import torch
from dasheng_reference import SMALL, SMALL_SEMANTIC, noise

from earmark.benchmark.store import EmbeddingStore
from earmark.encoders.dasheng import (
    load,
    load_dasheng_encoder,
    random_weights,
    save_checkpoint,
    save_dasheng_file,
)
from earmark.encoders.dasheng.precision import Linear, autocast


@pytest.fixture
def codec(tmp_path):
    with torch.inference_mode():
        yield load(weights=save_checkpoint(tmp_path, SMALL, random_weights(SMALL, seed=3)))[0]


def clips(device="cpu"):
    lengths = torch.tensor([20_000, 170_000], device=device)
    waveforms = torch.zeros(2, 170_000)
    waveforms[0, :20_000] = torch.from_numpy(noise(20_000))
    waveforms[1] = torch.from_numpy(noise(170_000, seed=1))
    return waveforms.to(device), lengths


def close(found, expected, dtype):
    assert found.dtype == torch.float32
    error = (found.cpu() - expected).norm() / expected.norm()
    assert error < (2e-2 if dtype == torch.bfloat16 else 4e-3)
    return float(error)


@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
@pytest.mark.parametrize(
    ("precision", "native", "dtype"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float16),
        ("bf16", False, torch.bfloat16),
        ("fp16", True, torch.float16),
    ],
)
def test_the_choice_on_a_gpu(monkeypatch, precision, native, dtype):
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: native)
    assert autocast(torch.device("cuda"), precision).fast_dtype == dtype


def test_what_is_computed_in_is_told(codec, monkeypatch):
    """It is part of the store's key: no bf16 embedding is taken for a float32 one."""
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)
    assert (codec.compute_dtype("cpu"), codec.compute_dtype("cuda")) == ("float32", "bfloat16")
    codec.shared.precision = "fp32"
    assert codec.compute_dtype("cuda") == "float32"
    keys = {
        EmbeddingStore.key(
            encoder_fingerprint="f", audio={}, batches="padded", shard_sha256="s",
            compute=compute,
        ) for compute in ("float32", "bfloat16")
    }  # fmt: skip
    assert len(keys) == 2


@pytest.mark.parametrize("precision", ["auto", "bf16", "fp16", "fp32"])
def test_a_cpu_computes_in_float32_whatever_is_asked(codec, precision):
    expected = codec.encode(*clips())
    codec.shared.precision = precision
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = codec.encode(*clips())
        assert torch.equal(found.values, expected.values)
        assert torch.equal(codec.decode(found)[0], codec.decode(expected)[0])
    assert not autocast(torch.device("cuda"), "fp32")._enabled


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_as_on_a_gpu(codec, monkeypatch, dtype):
    """A CPU can compute as a GPU would: what is rounded is the matrix products alone."""
    network, (waveforms, lengths) = codec.shared, clips()
    mels = (
        network.semantic.log_mel(waveforms, lengths),
        network.acoustic.log_mel(waveforms, lengths),
    )
    frames = codec.encode(waveforms, lengths)
    sound, _ = codec.decode(frames)
    half = torch.autocast("cpu", dtype=dtype)
    monkeypatch.setattr("earmark.encoders.dasheng.tokenizer.autocast", lambda *_: half)
    rounded = codec.encode(waveforms, lengths)
    assert close(rounded.values, frames.values, dtype) > 1e-5
    assert close(codec.decode(frames)[0], sound, dtype) > 1e-5
    with half:
        assert torch.equal(network.semantic.log_mel(waveforms, lengths), mels[0])
        assert torch.equal(network.acoustic.log_mel(waveforms, lengths), mels[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_on_a_gpu(codec, tmp_path, precision):
    expected = codec.encode(*clips())
    sound, _ = codec.decode(expected)
    codec = codec.to("cuda")
    codec.shared.precision = precision
    frames = codec.encode(*clips("cuda"))
    dtype = {"bf16": torch.bfloat16}.get(precision, torch.float16)
    close(frames.values, expected.values, dtype)
    close(codec.decode(frames)[0], sound, torch.bfloat16)
    path = save_dasheng_file(tmp_path / "d.pt", SMALL_SEMANTIC, random_weights(SMALL_SEMANTIC))
    family = load_dasheng_encoder("dasheng-base", path, precision=precision)
    expected = family.encode(*clips())
    close(family.to("cuda").encode(*clips("cuda")).values, expected.values, dtype)


def layers(bias=True):
    """Torch's layer and ours, frozen, of the same weights."""
    torch.manual_seed(0)
    plain, own = torch.nn.Linear(5, 3, bias), Linear(5, 3, bias)
    own.load_state_dict(plain.state_dict())
    return plain.requires_grad_(False), own.requires_grad_(False)


def half(layer, values):
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        return layer(values)


def change_in_place(layer):
    layer.weight += 1


def put_another(layer):
    layer.weight = torch.nn.Parameter(layer.weight * 2, requires_grad=False)


def load_others(layer):
    layer.load_state_dict({name: 3 * value for name, value in layer.state_dict().items()})


def swap_the_data(layer):
    layer.weight.data = layer.weight.data.flip(0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("change", [change_in_place, put_another, load_others, swap_the_data])
def test_weights_cast_once_are_those_of_autocast(bias, change):
    """The same bits, also after the weights are others."""
    plain, own = layers(bias)
    values = torch.randn(7, 5)
    for _ in range(2):
        assert torch.equal(half(own, values), half(plain, values))
        assert half(own, values).dtype == torch.bfloat16
    for layer in (plain, own):
        change(layer)
    assert torch.equal(half(own, values), half(plain, values))
    assert torch.equal(own(values), plain(values))


def test_weights_are_cast_once():
    _, own = layers()
    values = torch.randn(7, 5)
    half(own, values)
    kept = own._cast.weight
    half(own, values)
    assert own._cast.weight is kept
    copied = copy.deepcopy(own)
    change_in_place(copied)
    assert copied._cast is None
    assert not torch.equal(half(copied, values), half(own, values))
    assert set(own.state_dict()) == {"weight", "bias"}


def test_weights_that_learn_are_not_kept():
    plain, own = layers()
    for layer in (plain, own):
        layer.requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16):
            layer(torch.ones(2, 5)).sum().backward()
    assert own._cast is None
    assert torch.equal(own.weight.grad, plain.weight.grad)
