"""MingTok-Audio against Qwen2's formulas in float64, one clip at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dasheng_reference as reference
import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

from earmark.benchmark.conformance.run import validate
from earmark.encoders import AudioEncoder, Codec, EncoderError, Frames, load_encoder

Array = NDArray[np.float64]
HOP, LATENT, WIDTH, HEADS, KEYS, THETA, EPS = 320, 6, 24, 4, 2, 10_000.0, 1e-5
BACKBONE: dict[str, Any] = {
    "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": HEADS,
    "num_key_value_heads": KEYS, "intermediate_size": 40, "rope_theta": THETA,
    "rms_norm_eps": EPS, "vocab_size": 7, "max_position_embeddings": 4096,
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "sample_rate": 16_000, "model_type": "", "patch_size": -1,
    "enc_kwargs": {"backbone": BACKBONE, "input_dim": HOP, "hop_size": HOP, "latent_dim": LATENT},
    "dec_kwargs": {"backbone": BACKBONE, "output_dim": HOP, "latent_dim": LATENT},
    "semantic_module_kwargs": {"whisper_encoder": {"n_state": 8}},
}  # fmt: skip


def checkpoint() -> dict[str, torch.Tensor]:
    """A small MingTok-Audio under the released names, parts that are not used among them."""
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.fc1.weight": (WIDTH, HOP), "encoder.fc2.weight": (WIDTH, WIDTH),
        "encoder.fc2.bias": (WIDTH,), "encoder.fc3.weight": (2 * LATENT, WIDTH),
        "encoder.fc3.bias": (2 * LATENT,), "encoder.norm.weight": (WIDTH,),
        "decoder.fc1.weight": (WIDTH, LATENT), "decoder.fc1.bias": (WIDTH,),
        "decoder.fc2.weight": (8, WIDTH), "decoder.fc3.weight": (WIDTH, 8),
        "decoder.semantic_model.blocks.0.weight": (8, 8),
        "decoder.head.out.weight": (4 * HOP + 2, WIDTH), "decoder.head.out.bias": (4 * HOP + 2,),
    }  # fmt: skip
    with torch.device("meta"):
        model = transformers.Qwen2Model(transformers.Qwen2Config.from_dict(dict(BACKBONE)))
    for part in ("encoder.encoder.", "decoder.decoder."):
        shapes |= {part + key: tuple(one.shape) for key, one in model.state_dict().items()}
    found = {key: rng.normal(0, 0.2, shape) for key, shape in shapes.items()}
    found["decoder.head.istft.window"] = reference.hann(4 * HOP)
    return {key: torch.from_numpy(value).float() for key, value in found.items()}


def save(folder: Path, state: dict[str, torch.Tensor], **config: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    torch.save(state, folder / "pytorch_model.bin")
    return folder


def rms(x: Array, weight: Array) -> Array:
    return x / np.sqrt((x**2).mean(1, keepdims=True) + EPS) * weight


def turned(x: Array) -> Array:
    """Rotary positions (arXiv 2104.09864): number i and i + half of a head are a pair."""
    half = x.shape[1] // 2
    angle = np.outer(np.arange(len(x)), THETA ** (-np.arange(half) / half))
    a, b = x[:, :half], x[:, half:]
    return np.concatenate(
        [a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], 1
    )


def qwen2(x: Array, w: reference.Weights, at: str) -> Array:
    """Pre-norm blocks of causal attention with shared keys, and of a gated layer (2407.10671)."""
    size = WIDTH // HEADS
    for i in range(2):
        own = f"{at}layers.{i}."
        y = rms(x, w[own + "input_layernorm.weight"])
        q, k, v = (reference.linear(y, w, f"{own}self_attn.{part}_proj.") for part in "qkv")
        mixed = []
        for head in range(HEADS):
            group = head // (HEADS // KEYS)
            query = turned(q[:, head * size : (head + 1) * size])
            key = turned(k[:, group * size : (group + 1) * size])
            scores = query @ key.T / np.sqrt(size)
            scores[np.triu_indices(len(x), 1)] = -np.inf
            weights = np.exp(scores - scores.max(1, keepdims=True))
            weights /= weights.sum(1, keepdims=True)
            mixed.append(weights @ v[:, group * size : (group + 1) * size])
        x = x + np.concatenate(mixed, 1) @ w[own + "self_attn.o_proj.weight"].T
        y = rms(x, w[own + "post_attention_layernorm.weight"])
        gate = y @ w[own + "mlp.gate_proj.weight"].T
        inner = gate / (1 + np.exp(-gate)) * (y @ w[own + "mlp.up_proj.weight"].T)
        x = x + inner @ w[own + "mlp.down_proj.weight"].T
    return rms(x, w[at + "norm.weight"])


def latents(samples: NDArray[np.float32], w: reference.Weights) -> Array:
    count = -(-len(samples) // HOP)
    frames = np.zeros((count, HOP))
    frames.flat[: len(samples)] = samples
    x = reference.linear(frames @ w["encoder.fc1.weight"].T, w, "encoder.fc2.")
    return reference.linear(qwen2(x, w, "encoder.encoder."), w, "encoder.fc3.")[:, :LATENT]


def decoded(z: Array, w: reference.Weights) -> Array:
    x = qwen2(reference.linear(z, w, "decoder.fc1."), w, "decoder.decoder.")
    out = reference.linear(x, w, "decoder.head.out.")
    half = 2 * HOP + 1
    return reference.inverse_stft(out[:, :half], out[:, half:], 4 * HOP, HOP)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return checkpoint()


def encode(encoder: AudioEncoder, samples: NDArray[np.float32]) -> Frames:
    return encoder.encode(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))


@pytest.mark.parametrize("samples", [100, 5_000, 320 * 40])
def test_latent_and_sound_are_those_of_the_formulas(
    tmp_path: Path, state: dict[str, torch.Tensor], samples: int
) -> None:
    codec = load_encoder("mingtok", weights=save(tmp_path, state))
    assert isinstance(codec, Codec)
    w = {key: value.double().numpy() for key, value in state.items()}
    audio = reference.noise(samples)
    frames = encode(codec, audio)
    wanted = latents(audio, w)
    assert frames.lengths.tolist() == [-(-samples // HOP)]
    np.testing.assert_allclose(frames.values[0].numpy(), wanted, atol=2e-5)
    heard, lengths = codec.decode(frames)
    sound = decoded(wanted, w)
    assert lengths.tolist() == [len(sound)] == [HOP * len(wanted)]
    np.testing.assert_allclose(heard[0].numpy(), sound, atol=2e-4 * np.abs(sound).max())
    assert (codec.frame_rate, codec.sample_rate, codec.embedding_dim) == (50.0, 16_000, LATENT)


def test_it_does_what_it_claims(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    codec = load_encoder("mingtok", weights=save(tmp_path, state))
    before = codec.fingerprint()
    checks = validate(codec, device="cpu", quick=True)
    assert [check for check in checks if check.verdict == "BREACH"] == []
    assert codec.fingerprint() == before
    assert codec.name.startswith("mingtok@config-")  # of another latent than the published one


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"enc_kwargs": None}, "no enc_kwargs with a backbone"),
        ({"patch_size": 4}, "patch_size is 4"),
        ({"dec_kwargs": CONFIG["dec_kwargs"] | {"output_dim": 882}}, "output_dim is 882"),
        ({"dec_kwargs": CONFIG["dec_kwargs"] | {"latent_dim": 5}}, "different sizes"),
        ({"enc_kwargs": CONFIG["enc_kwargs"] | {"latent_dim": 7},
          "dec_kwargs": CONFIG["dec_kwargs"] | {"latent_dim": 7}}, "misshapen gaussian.weight"),
    ],
)  # fmt: skip
def test_another_tokenizer_is_refused(
    tmp_path: Path, state: dict[str, torch.Tensor], config: dict[str, Any], said: str
) -> None:
    save(tmp_path, state, **config)
    with pytest.raises(EncoderError) as caught:
        load_encoder("mingtok", weights=tmp_path)
    assert said in str(caught.value) and "\n" not in str(caught.value)
