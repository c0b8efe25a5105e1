"""BEATs against a calculation in float64 from its papers' formulas, one clip at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dasheng_reference as reference
import numpy as np
import pytest
import torch
import torchaudio.compliance.kaldi as kaldi
from numpy.typing import NDArray

from earmark.benchmark.conformance.run import validate
from earmark.encoders import AudioEncoder, EncoderError, load_encoder, load_encoders

Array = NDArray[np.float64]
WIDTH, EMBED, INNER, DEPTH, HEADS, BUCKETS, FARTHEST, KERNEL = 32, 24, 40, 3, 4, 32, 90, 16
CFG: dict[str, Any] = {
    "input_patch_size": 16, "embed_dim": EMBED, "conv_bias": False, "encoder_layers": DEPTH,
    "encoder_embed_dim": WIDTH, "encoder_ffn_embed_dim": INNER, "encoder_attention_heads": HEADS,
    "activation_fn": "gelu", "layer_norm_first": False, "deep_norm": True, "conv_pos": KERNEL,
    "conv_pos_groups": 4, "relative_position_embedding": True, "num_buckets": BUCKETS,
    "max_distance": FARTHEST, "gru_rel_pos": True, "dropout": 0.1, "finetuned_model": True,
}  # fmt: skip


def checkpoint(seed: int = 0) -> dict[str, torch.Tensor]:
    """A small BEATs under the names of the released files, classifier among them."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embedding.weight": (EMBED, 1, 16, 16), "layer_norm.weight": (EMBED,),
        "layer_norm.bias": (EMBED,), "post_extract_proj.weight": (WIDTH, EMBED),
        "post_extract_proj.bias": (WIDTH,), "encoder.pos_conv.0.weight_g": (1, 1, KERNEL),
        "encoder.pos_conv.0.weight_v": (WIDTH, WIDTH // 4, KERNEL),
        "encoder.pos_conv.0.bias": (WIDTH,), "encoder.layer_norm.weight": (WIDTH,),
        "encoder.layer_norm.bias": (WIDTH,), "predictor.weight": (527, WIDTH),
    }  # fmt: skip
    for i in range(DEPTH):
        at = f"encoder.layers.{i}."
        for layer, (out, into) in {
            "self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (WIDTH, WIDTH),
            "self_attn.v_proj": (WIDTH, WIDTH), "self_attn.out_proj": (WIDTH, WIDTH),
            "self_attn.grep_linear": (8, WIDTH // HEADS), "fc1": (INNER, WIDTH),
            "fc2": (WIDTH, INNER),
        }.items():  # fmt: skip
            shapes |= {f"{at}{layer}.weight": (out, into), f"{at}{layer}.bias": (out,)}
        for norm in ("self_attn_layer_norm", "final_layer_norm"):
            shapes |= {f"{at}{norm}.weight": (WIDTH,), f"{at}{norm}.bias": (WIDTH,)}
        shapes[f"{at}self_attn.grep_a"] = (1, HEADS, 1, 1)
    found = {k: rng.normal(0, 0.3, shape).astype(np.float32) for k, shape in shapes.items()}
    table = rng.normal(0, 2, (BUCKETS, HEADS)).astype(np.float32)
    for i in range(DEPTH):
        found[f"encoder.layers.{i}.self_attn.relative_attention_bias.weight"] = table
    return {key: torch.from_numpy(value) for key, value in found.items()}


def save(folder: Path, state: dict[str, torch.Tensor], **cfg: Any) -> Path:
    path = folder / "BEATs_iter3_plus_AS2M.pt"
    torch.save({"cfg": CFG | cfg, "model": state}, path)
    return path


def bucket(ahead: int) -> int:
    """T5's buckets (arXiv 1910.10683), both directions."""
    half, distance = BUCKETS // 2, abs(ahead)
    exact = half // 2
    if distance >= exact:
        steps = np.log(distance / exact) / np.log(FARTHEST / exact) * (half - exact)
        distance = min(exact + int(steps), half - 1)
    return distance + (half if ahead > 0 else 0)


def attention(x: Array, w: reference.Weights, at: str, table: Array) -> Array:
    size, count = WIDTH // HEADS, len(x)
    mixed = []
    for head in range(HEADS):
        own = slice(head * size, (head + 1) * size)
        q, k, v = (reference.linear(x, w, f"{at}{part}_proj.")[:, own] for part in "qkv")
        gates = reference.linear(q, w, at + "grep_linear.")
        update = 1 / (1 + np.exp(-gates[:, :4].sum(1)))
        reset = 1 / (1 + np.exp(-gates[:, 4:].sum(1)))
        scale = update * (reset * w[at + "grep_a"][0, head, 0, 0] - 1) + 2
        by_distance = [table[bucket(ahead), head] for ahead in range(1 - count, count)]
        bias = np.array([by_distance[count - 1 - i : 2 * count - 1 - i] for i in range(count)])
        scores = q @ k.T / np.sqrt(size) + scale[:, None] * bias
        weights = np.exp(scores - scores.max(1, keepdims=True))
        mixed.append(weights / weights.sum(1, keepdims=True) @ v)
    return reference.linear(np.concatenate(mixed, 1), w, at + "out_proj.")


def positions(x: Array, w: reference.Weights) -> Array:
    """Grouped convolution around each token, one more before it than after, GELU of it added."""
    v, g = w["encoder.pos_conv.0.weight_v"], w["encoder.pos_conv.0.weight_g"]
    kernel = np.stack(
        [g[0, 0, t] * v[:, :, t] / np.linalg.norm(v[:, :, t]) for t in range(KERNEL)], axis=2
    )
    total = np.zeros_like(x) + w["encoder.pos_conv.0.bias"]
    group = WIDTH // 4
    for tap in range(KERNEL):
        moved = np.zeros_like(x)  # at each token what is `ahead` of it
        for token in range(len(x)):
            ahead = token - KERNEL // 2 + tap
            if 0 <= ahead < len(x):
                moved[token] = x[ahead]
        for first in range(0, WIDTH, group):
            own = slice(first, first + group)
            total[:, own] += moved[:, own] @ kernel[own, :, tap].T
    return x + reference.gelu(total)


def expected(samples: NDArray[np.float32], state: dict[str, torch.Tensor]) -> dict[str, Array]:
    """Grids (columns, 8, D) of the output and of each layer; pieces of 64 columns on their own."""
    w = {key: value.double().numpy() for key, value in state.items()}
    logs = kaldi.fbank(
        torch.from_numpy(samples).double()[None] * 2**15, num_mel_bins=128,
        sample_frequency=16_000, frame_length=25, frame_shift=10,
    ).numpy()  # fmt: skip
    mel = (logs - 15.41663) / (2 * 6.55582)
    total = len(mel) // 16
    parts: dict[str, list[Array]] = {}
    table = w["encoder.layers.0.self_attn.relative_attention_bias.weight"]
    alpha = (2 * DEPTH) ** 0.25
    for start in range(0, total, 64):
        columns = range(start, min(start + 64, total))
        cells = [mel[16 * c : 16 * c + 16, 16 * b : 16 * b + 16] for c in columns for b in range(8)]
        x = np.array([(w["patch_embedding.weight"][:, 0] * cell).sum((1, 2)) for cell in cells])
        x = reference.layer_norm(x, w, "layer_norm.", eps=1e-5)
        x = positions(reference.linear(x, w, "post_extract_proj."), w)
        states = [reference.layer_norm(x, w, "encoder.layer_norm.", eps=1e-5)]
        for i in range(DEPTH):
            at = f"encoder.layers.{i}."
            x = alpha * states[-1] + attention(states[-1], w, at + "self_attn.", table)
            x = reference.layer_norm(x, w, at + "self_attn_layer_norm.", eps=1e-5)
            inner = reference.linear(
                reference.gelu(reference.linear(x, w, at + "fc1.")), w, at + "fc2."
            )
            states.append(
                reference.layer_norm(alpha * x + inner, w, at + "final_layer_norm.", eps=1e-5)
            )
        named = {f"layer-{i}": values for i, values in enumerate(states)}
        named[""] = states[-1]
        for name, values in named.items():
            parts.setdefault(name, []).append(values.reshape(len(columns), 8, WIDTH))
    return {name: np.concatenate(found) for name, found in parts.items()}


def encode(encoder: AudioEncoder, samples: NDArray[np.float32]) -> Array:
    frames = encoder.encode(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
    return frames.values[0, : int(frames.lengths[0])].double().numpy()  # type: ignore[no-any-return]


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return checkpoint()


@pytest.mark.parametrize("samples", [400 + 160 * 95, 400 + 160 * (64 * 16 + 40)])
def test_every_output_is_that_of_the_formulas(
    tmp_path: Path, state: dict[str, torch.Tensor], samples: int
) -> None:
    path = save(tmp_path, state)
    audio = reference.noise(samples)
    wanted = expected(audio, state)
    for encoder in load_encoders(["beats", "beats:grid", "beats:layer-all"], weights=path):
        output = encoder.name.partition(":")[2]
        grid = wanted["" if output == "grid" else output]
        frames = grid.reshape(len(grid), -1) if output == "grid" else grid.mean(1)
        found = encode(encoder, audio)
        assert found.shape == frames.shape == (len(grid), encoder.embedding_dim)
        np.testing.assert_allclose(found, frames, atol=1e-3 * np.abs(frames).max())
    assert encoder.frame_rate == 6.25


def test_clips_of_a_batch_are_as_alone(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    encoder = load_encoder("beats:grid", weights=save(tmp_path, state))
    clips = [reference.noise(n, seed) for seed, n in enumerate((100, 170_000, 33_333))]
    waveforms = torch.full((3, 170_500), 0.7)  # what is beyond a clip is never heard
    for row, clip in enumerate(clips):
        waveforms[row, : len(clip)] = torch.from_numpy(clip)
    frames = encoder.encode(waveforms, torch.tensor([len(clip) for clip in clips]))
    assert frames.lengths.tolist() == [1, 66, 12]
    for row, clip in enumerate(clips):
        own = frames.values[row, : frames.lengths[row]].double().numpy()
        np.testing.assert_allclose(own, encode(encoder, clip), atol=1e-4)


def test_it_does_what_it_claims(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    encoder = load_encoder("beats", weights=save(tmp_path, state))
    checks = validate(encoder, device="cpu", quick=True)
    assert [check for check in checks if check.verdict == "BREACH"] == []


def test_layers_are_those_that_there_are(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(EncoderError, match="'beats' has layers 0 to 3, no 4"):
        load_encoder("beats:layer-4", weights=save(tmp_path, state))


@pytest.mark.parametrize(
    ("cfg", "said"),
    [
        ({"layer_norm_first": True}, "layer_norm_first True"),
        ({"gru_rel_pos": False}, "gru_rel_pos False"),
        ({"encoder_layers": "12"}, "encoder_layers of its `cfg` cannot be '12'"),
        ({"encoder_layers": 0}, "encoder_layers of its `cfg` cannot be 0"),
        ({"encoder_attention_heads": 5}, "do not go together"),
        ({"encoder_layers": 4}, "does not fit the model: missing blocks.3"),
    ],
)
def test_settings_of_another_network_are_refused(
    tmp_path: Path, state: dict[str, torch.Tensor], cfg: dict[str, Any], said: str
) -> None:
    path = save(tmp_path, state, **cfg)
    with pytest.raises(EncoderError) as caught:
        load_encoder("beats", weights=path)
    assert said in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_settings_is_refused(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "some.pt"
    torch.save(state, path)
    with pytest.raises(EncoderError, match="none of BEATs' files"):
        load_encoder("beats", weights=path)
    torch.save({"cfg": {k: v for k, v in CFG.items() if k != "conv_pos"}, "model": state}, path)
    with pytest.raises(EncoderError, match="lacks conv_pos"):
        load_encoder("beats", weights=path)
    with pytest.raises(EncoderError, match=r"BEATs_iter3_plus_AS2M.pt from github"):
        load_encoder("beats")
