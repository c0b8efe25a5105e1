"""DashengTokenizer with random weights, without a checkpoint on the disk; and clips for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from gpu_record import Settings
from numpy.typing import NDArray

from earmark.encoders.dasheng import TokenizerCodec, TokenizerConfig, random_weights
from earmark.encoders.dasheng.checkpoint import tokenizer_from
from earmark.encoders.dasheng.config import CHUNK_TOKENS, FRAME_RATE, MLP_RATIO, SAMPLE_RATE

SMALL = TokenizerConfig(
    embed_dim=64, depth=2, num_heads=4, decoder_embed_dim=48, decoder_depth=2,
    decoder_intermediate_size=80,
)  # fmt: skip
CLIP_SECONDS = 10


def codecs(
    config: TokenizerConfig, outputs: tuple[str, ...] = ("",), precision: str = "fp32"
) -> list[TokenizerCodec]:
    """Encoders that share one network, on the CPU."""
    tokenizer = tokenizer_from(config, random_weights(config, seed=3), "random", precision)
    return [TokenizerCodec(tokenizer, output, config).eval() for output in outputs]


def full(settings: Settings) -> TokenizerConfig:
    """The released sizes, 805 million weights; in a trial of the script a small network."""
    return SMALL if settings.tiny else TokenizerConfig()


def noise(samples: int, seed: int) -> NDArray[np.float32]:
    """Noise whose loudness swings by 40 dB within seconds, so that frames differ."""
    rng = np.random.default_rng(seed)
    swing = 10 ** (np.sin(np.arange(samples) / 9001.0 + seed) - 1)
    drawn = rng.standard_normal(samples, np.float32)
    return (0.2 * swing * drawn).clip(-1, 1).astype(np.float32)


def batch_of(lengths: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of so many samples, zero-padded: (B, T) and (B,)."""
    waveforms = torch.zeros(len(lengths), max(lengths))
    for row, length in enumerate(lengths):
        waveforms[row, :length] = torch.from_numpy(noise(length, seed + row))
    return waveforms, torch.tensor(lengths)


def operations_a_second(config: TokenizerConfig) -> float:
    """Operations of the matrix products for one second of audio in chunks of 10 s."""
    width = config.embed_dim
    matrices = config.depth * (4 + 2 * MLP_RATIO) * width**2
    patches = (config.n_mels_patch + 64) * 4 * width
    attention = config.depth * 2 * CHUNK_TOKENS * width
    return FRAME_RATE * 2 * (matrices + patches + attention)


def sources() -> Path:
    """The folder `tests/helpers`, whose float64 reference of the network is used."""
    return Path(__file__).resolve().parents[1] / "helpers"


SAMPLES = CLIP_SECONDS * SAMPLE_RATE
