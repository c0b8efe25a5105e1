"""DashengTokenizer step by step in float64, one clip at a time, from the published description.

Written from the formulas with numpy alone, and shares no code with `encoders/dasheng.py`: sums are
written out, transforms are matrices of sines and cosines. Weights are under the checkpoint's names.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from earmark.encoders.dasheng import SemanticConfig, TokenizerConfig

RATE, HOP = 16_000, 160
Array = NDArray[np.float64]
Weights = dict[str, Array]

SMALL = TokenizerConfig(
    embed_dim=64, depth=2, num_heads=4, n_mels_patch=128, decoder_embed_dim=48, decoder_depth=2,
    decoder_intermediate_size=80,
)  # fmt: skip
SMALL_SEMANTIC = SemanticConfig(embed_dim=64, depth=2, num_heads=4)


def noise(n: int, seed: int = 0) -> NDArray[np.float32]:
    """Noise whose loudness swings by 40 dB, so that frames and bands differ."""
    rng = np.random.default_rng(seed)
    swing = 10 ** (np.sin(np.arange(n) / 3001.0 + seed) - 1)
    return (0.3 * swing * rng.uniform(-1, 1, n)).astype(np.float32)


@cache
def htk(n_fft: int, bands: int) -> Array:
    """(n_fft / 2 + 1, bands): one triangle after another."""
    top = 2595 * np.log10(1 + 8000 / 700)
    corners = [700 * (10 ** (top * i / (bands + 1) / 2595) - 1) for i in range(bands + 2)]
    filters = np.zeros((n_fft // 2 + 1, bands))
    for bin_ in range(n_fft // 2 + 1):
        hertz = bin_ * RATE / n_fft
        for band in range(bands):
            low, peak, high = corners[band : band + 3]
            if low < hertz <= peak:
                filters[bin_, band] = (hertz - low) / (peak - low)
            elif peak < hertz < high:
                filters[bin_, band] = (high - hertz) / (high - peak)
    return filters


def hann(n: int) -> Array:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)


def spectrum(samples: NDArray[np.float32], n_fft: int) -> Array:
    """(frames, n_fft / 2 + 1) magnitudes: each window picked sample by sample, then the DFT."""
    x = samples.astype(np.float64)
    places = np.arange(1 + len(x) // HOP)[:, None] * HOP - n_fft // 2 + np.arange(n_fft)
    places = np.abs(places)  # -1 is 1
    places = np.where(places >= len(x), 2 * (len(x) - 1) - places, places)  # n is n - 2
    angle = 2 * np.pi * np.outer(np.arange(n_fft), np.arange(n_fft // 2 + 1)) / n_fft
    windows = x[places] * hann(n_fft)
    return np.hypot(windows @ np.cos(angle), windows @ np.sin(angle))


def lengthened(samples: NDArray[np.float32], shortest: int = 513) -> NDArray[np.float32]:
    return np.concatenate([samples, np.zeros(max(0, shortest - len(samples)), np.float32)])


def decibels(samples: NDArray[np.float32]) -> Array:
    power = spectrum(samples, 512) ** 2 @ htk(512, 64)
    level = 10 * np.log10(np.maximum(power, 1e-10))
    return np.maximum(level, level.max() - 120)


def semantic_mel(samples: NDArray[np.float32], w: Weights, at: str = "encoder.model.") -> Array:
    """(frames, 64) after the batch norm's affine map."""
    bn = f"{at}init_bn.1."
    centred = decibels(samples) - w[bn + "running_mean"]
    return centred / np.sqrt(w[bn + "running_var"] + 1e-5) * w[bn + "weight"] + w[bn + "bias"]


def patches(mel: Array, kernel: Array, bias: Array) -> Array:
    """(frames, bands) -> (frames // 4, D), term after term; frames that are left over are lost."""
    count = len(mel) // 4
    tokens = np.zeros((count, len(kernel))) + bias
    for band in range(mel.shape[1]):
        for step in range(4):
            tokens += np.outer(mel[step : 4 * count : 4, band], kernel[:, 0, band, step])
    return tokens


def layer_norm(x: Array, w: Weights, at: str, eps: float = 1e-6) -> Array:
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps) * w[at + "weight"] + w[at + "bias"]


def linear(x: Array, w: Weights, at: str) -> Array:
    return x @ w[at + "weight"].T + w[at + "bias"]


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def attention(x: Array, w: Weights, at: str, heads: int) -> Array:
    """(L, D): rows of the joint weight are q, then k, then v, each in consecutive head blocks."""
    size = x.shape[1] // heads
    joint = linear(x, w, at + "qkv.")
    mixed = []
    for head in range(heads):
        q, k, v = (
            joint[:, part * x.shape[1] + head * size : part * x.shape[1] + (head + 1) * size]
            for part in range(3)
        )
        scores = q @ k.T * size**-0.5
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        mixed.append(weights / weights.sum(axis=1, keepdims=True) @ v)
    return linear(np.concatenate(mixed, axis=1), w, at + "proj.")


def block(x: Array, w: Weights, at: str, heads: int) -> Array:
    x = x + attention(layer_norm(x, w, at + "norm1."), w, at + "attn.", heads)
    inner = gelu(linear(layer_norm(x, w, at + "norm2."), w, at + "mlp.fc1."))
    return x + linear(inner, w, at + "mlp.fc2.")


def semantic(
    samples: NDArray[np.float32], w: Weights, config: SemanticConfig, at: str = "encoder.model."
) -> Array:
    """(tokens, D): every chunk of 1008 frames on its own; a last one below 4 padded to 4."""
    mel = semantic_mel(samples, w, at)
    tokens = []
    for start in range(0, len(mel), 1008):
        chunk = mel[start : start + 1008]
        if len(chunk) < 4:
            chunk = np.concatenate([chunk, np.zeros((4 - len(chunk), 64))])
        proj = f"{at}patch_embed.proj."
        x = patches(chunk, w[proj + "weight"], w[proj + "bias"])
        x = x + w[at + "time_pos_embed"][0, :, 0, : len(x)].T + w[at + "freq_pos_embed"][0, :, 0, 0]
        for i in range(config.depth):
            x = block(x, w, f"{at}blocks.{i}.", config.num_heads)
        tokens.append(layer_norm(x, w, at + "norm."))
    return np.concatenate(tokens)


def acoustic_mel(samples: NDArray[np.float32], bands: int) -> Array:
    return np.log(np.maximum(spectrum(samples, 1024) @ htk(1024, bands), 1e-7))


def acoustic(samples: NDArray[np.float32], w: Weights, bands: int) -> Array:
    at = "encoder.patch_embed."
    tokens = patches(acoustic_mel(samples, bands), w[at + "weight"], w[at + "bias"])
    return layer_norm(tokens, w, "encoder.norm.", eps=1e-5)


def encode(samples: NDArray[np.float32], w: Weights, config: TokenizerConfig) -> dict[str, Array]:
    """All three outputs of one clip."""
    samples = lengthened(samples)
    fine = acoustic(samples, w, config.n_mels_patch)
    coarse = semantic(samples, w, config.semantic)[: len(fine)]
    return {"": coarse + fine, "semantic": coarse, "acoustic": fine}


def upsample(z: Array, w: Weights) -> Array:
    """(F, D) -> (2F, D): each frame gives as many as the kernel is long."""
    kernel = w["upsampler.weight"]  # (in, out, step)
    steps = [z @ kernel[:, :, step] + w["upsampler.bias"] for step in range(kernel.shape[2])]
    return np.stack(steps, axis=1).reshape(-1, kernel.shape[1])


def convolve(x: Array, w: Weights, at: str) -> Array:
    """(T, C) with a kernel of 7, 3 zeros before and after; one channel in where it is depthwise."""
    kernel = w[at + "weight"]
    padded = np.concatenate([np.zeros((3, x.shape[1])), x, np.zeros((3, x.shape[1]))])
    total = np.zeros((len(x), len(kernel))) + w[at + "bias"]
    for tap in range(7):
        part = padded[tap : tap + len(x)]
        depthwise = kernel.shape[1] == 1
        total += part * kernel[:, 0, tap] if depthwise else part @ kernel[:, :, tap].T
    return total


def convnext(x: Array, w: Weights, at: str) -> Array:
    y = layer_norm(convolve(x, w, at + "dwconv."), w, at + "norm.")
    return x + w[at + "gamma"] * linear(gelu(linear(y, w, at + "pwconv1.")), w, at + "pwconv2.")


def inverse_stft(log_magnitude: Array, phase: Array, n_fft: int, hop: int) -> Array:
    """Each frame a sum of cosines; overlap-add frame after frame; the edges cut off."""
    magnitude = np.minimum(np.exp(log_magnitude), 100)
    n = np.arange(n_fft)
    total = np.zeros((len(phase) - 1) * hop + n_fft)
    weight = np.zeros_like(total)
    window = hann(n_fft)
    twice = np.full(n_fft // 2 + 1, 2.0)
    twice[[0, -1]] = 1  # these two have no mirror image
    angle = 2 * np.pi * np.outer(np.arange(n_fft // 2 + 1), n) / n_fft
    real, imaginary = magnitude * np.cos(phase) * twice, magnitude * np.sin(phase) * twice
    frames = (real @ np.cos(angle) - imaginary @ np.sin(angle)) / n_fft
    for i, frame in enumerate(frames):
        total[i * hop : i * hop + n_fft] += frame * window
        weight[i * hop : i * hop + n_fft] += window**2
    edge = (n_fft - hop) // 2
    return total[edge : len(total) - edge] / weight[edge : len(total) - edge]


def decode(z: Array, w: Weights, config: TokenizerConfig) -> Array:
    """(F, D) -> (640 F,) samples."""
    x = layer_norm(
        convolve(upsample(z, w), w, "decoder.backbone.embed."), w, "decoder.backbone.norm."
    )
    for j in range(config.decoder_depth):
        x = convnext(x, w, f"decoder.backbone.convnext.{j}.")
    x = layer_norm(x, w, "decoder.backbone.final_layer_norm.")
    out = linear(x, w, "decoder.head.out.")
    half = config.istft_n_fft // 2 + 1
    return inverse_stft(out[:, :half], out[:, half:], config.istft_n_fft, config.istft_hop)
