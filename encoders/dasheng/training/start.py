"""What untrained weights are: drawn from a seed, the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import numpy as np
import torch

from encoders.dasheng.config import ACOUSTIC_FFT, CHUNK_TOKENS, SEMANTIC_BANDS, SEMANTIC_FFT
from encoders.dasheng.decoder import ConvNeXtBlock
from encoders.dasheng.mel import frame_counts, hann_window, htk_filters
from encoders.dasheng.semantic import SemanticPath
from encoders.dasheng.tokenizer import DashengTokenizer
from encoders.dasheng.training.corpus import Crops
from encoders.dasheng.training.masked import sinusoids

SPREAD = 0.02  # standard deviation of weights, cut at two, as in Vocos and vision transformers


def start_semantic(semantic: SemanticPath, seed: int) -> None:
    """All of it; its batch norm does nothing yet."""
    draw_weights(semantic, seed)
    width = semantic.norm.normalized_shape[0]
    with torch.no_grad():
        semantic.mel.window.copy_(hann_window(SEMANTIC_FFT))
        semantic.mel.filters.copy_(htk_filters(SEMANTIC_FFT, SEMANTIC_BANDS))
        semantic.band_norm.reset_parameters()
        semantic.time_pos_embed.copy_(sinusoids(CHUNK_TOKENS, width).T[None, :, None])
        semantic.freq_pos_embed.zero_()


def measure_bands(semantic: SemanticPath, contexts: Iterable[Crops]) -> None:
    """Give batch norm mean and variance of the mel bands in dB over these contexts.

    Padding is left out. Afterwards every band has mean 0 and variance 1 over them.
    """
    norm = semantic.band_norm
    assert norm.running_mean is not None and norm.running_var is not None
    frames: list[torch.Tensor] = []
    with torch.no_grad():
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
        for crops in contexts:
            found = semantic.log_mel(crops.waveforms, crops.lengths)
            counts = frame_counts(crops.lengths)
            own = torch.arange(found.shape[1], device=found.device) < counts[:, None]
            frames.append(found[own].double())
        every = torch.cat(frames)
        norm.running_mean.copy_(every.mean(0))
        norm.running_var.copy_(every.var(0, correction=0).clamp(min=1e-3) - norm.eps)


def start_injection(tokenizer: DashengTokenizer, seed: int) -> None:
    """The acoustic path, the upsampler and the decoder; the semantic path is left as it is."""
    draw_weights(tokenizer.acoustic, seed)
    draw_weights(tokenizer.decoder, seed + 1)
    head = tokenizer.decoder.head
    blocks = cast(list[ConvNeXtBlock], list(tokenizer.decoder.backbone.convnext))
    with torch.no_grad():
        tokenizer.acoustic.mel.window.copy_(hann_window(ACOUSTIC_FFT))
        bands = tokenizer.acoustic.mel.filters.shape[1]
        tokenizer.acoustic.mel.filters.copy_(htk_filters(ACOUSTIC_FFT, bands))
        head.window.copy_(hann_window(len(head.window)))
        for block in blocks:
            block.gamma.fill_(1 / len(blocks))


def start_adversary(adversary: torch.nn.Module, seed: int) -> None:
    """Kernels of normalised layers, their norm that of what was drawn; biases 0."""
    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for layer in adversary.modules():
            if isinstance(layer, torch.nn.Conv2d):
                spread = 1 / math.sqrt(layer.weight[0].numel())
                drawn = generator.standard_normal(tuple(layer.weight.shape), np.float32) * spread
                layer.weight = torch.from_numpy(drawn)
                assert layer.bias is not None
                layer.bias.zero_()


def draw_weights(network: torch.nn.Module, seed: int) -> None:
    """Matrices and kernels from a normal distribution cut at two deviations; biases 0, norms 1."""
    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim < 2:
                weight.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
                continue
            fan = weight[0].numel()
            spread = max(SPREAD, 1 / math.sqrt(fan)) if weight.ndim > 2 else SPREAD
            drawn = generator.standard_normal(tuple(weight.shape), np.float32)
            weight.copy_(torch.from_numpy(np.clip(drawn, -2, 2)) * spread)
