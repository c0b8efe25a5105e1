"""What untrained weights are: drawn from a seed, the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol, cast

import numpy as np
import torch

from earmark.encoders.dasheng.acoustic import AcousticPath
from earmark.encoders.dasheng.config import (
    ACOUSTIC_FFT,
    CHUNK_TOKENS,
    PATCH_FRAMES,
    SEMANTIC_BANDS,
    SEMANTIC_FFT,
)
from earmark.encoders.dasheng.decoder import ConvNeXtBlock, Decoder, Head
from earmark.encoders.dasheng.mel import frame_counts, hann_window, htk_filters, token_counts
from earmark.encoders.dasheng.semantic import SemanticPath
from earmark.encoders.dasheng.tokenizer import DashengTokenizer
from earmark.encoders.dasheng.training.corpus import Crops
from earmark.encoders.dasheng.training.masked import sinusoids


class Audio(Protocol):
    """waveforms: (C, T) samples, zero beyond lengths (C,)."""

    @property
    def waveforms(self) -> torch.Tensor: ...

    @property
    def lengths(self) -> torch.Tensor: ...


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

    Padding is left out, but for the silence that makes a short clip as long as a crop. Afterwards
    every band has mean 0 and variance 1 over them.
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
            frames.append(_exact(found[own]))
        every = torch.cat(frames)
        norm.running_mean.copy_(every.mean(0))
        norm.running_var.copy_(every.var(0, correction=0).clamp(min=1e-3) - norm.eps)


def start_injection(tokenizer: DashengTokenizer, seed: int) -> None:
    """The upsampler and the decoder, and the acoustic path's spectrogram and norm.

    The semantic path is left as it is; the acoustic projection is `fit_projection`'s.
    """
    draw_weights(tokenizer.acoustic, seed)
    start_decoder(tokenizer.decoder, seed + 1)
    with torch.no_grad():
        tokenizer.acoustic.mel.window.copy_(hann_window(ACOUSTIC_FFT))
        bands = tokenizer.acoustic.mel.filters.shape[1]
        tokenizer.acoustic.mel.filters.copy_(htk_filters(ACOUSTIC_FFT, bands))


def start_decoder(decoder: Decoder, seed: int) -> None:
    """Upsampler, backbone and head."""
    draw_weights(decoder, seed, least=0.0)
    blocks = cast(list[ConvNeXtBlock], list(decoder.backbone.convnext))
    with torch.no_grad():
        decoder.head.window.copy_(hann_window(len(decoder.head.window)))
        for block in blocks:
            block.gamma.fill_(1 / len(blocks))


def fit_projection(
    projection: torch.nn.Conv2d | torch.nn.Linear, patches: Iterable[torch.Tensor], seed: int
) -> None:
    """Start the acoustic projection where it tells the most: at the patches' principal components.

    A projection drawn at random spends its outputs on the patches' mean, which is far from zero,
    and steps are lost on that. Here the mean is taken off, and a component of variance v comes out
    with a variance proportional to the root of v: of all scalings this is the one that lets the
    components be read with the least squared error where something independent, as the semantic
    latent, is added (Lee and Petersen 1976, doi:10.1109/TCOM.1976.1093309). A constant of the
    same power keeps the norm after it from losing a frame's distance from the mean.

    patches: log-mel patches (N, bands x frames), in the order of the kernel.
    """
    every = _exact(torch.cat(list(patches)))
    mean = every.mean(0)
    variance, components = torch.linalg.eigh((every - mean).T @ (every - mean) / len(every))
    width = len(projection.weight)
    kept = min(width, len(variance))
    variance, components = variance.flip(0)[:kept], components.flip(1)[:, :kept]
    # eigenvectors are known but for their sign
    components = components * components.sum(0).sign().where(components.sum(0) != 0, 1.0)
    gain = variance.clamp(min=1e-6 * float(variance[0])).pow(-0.25)
    generator = np.random.default_rng([seed, 3])
    # more outputs than components: a mixture of them all, in which no component is lost
    mixed = torch.from_numpy(generator.standard_normal((width, kept)))
    mixed = torch.eye(kept, dtype=torch.float64) if width == kept else torch.linalg.qr(mixed)[0]
    kernel = mixed.to(every.device) @ (components * gain).T
    kernel = kernel / ((every - mean) @ kernel.T).square().mean().sqrt()
    constant = torch.from_numpy(generator.choice([-1.0, 1.0], width)).to(every.device)
    with torch.no_grad():
        projection.weight.copy_(kernel.view(projection.weight.shape))
        assert projection.bias is not None
        projection.bias.copy_(constant - kernel @ mean)


def own_patches(acoustic: AcousticPath, crops: Crops) -> torch.Tensor:
    """(N, bands x 4) log-mel patches of the contexts' own frames, in the order of the kernel."""
    with torch.no_grad():
        found = acoustic.log_mel(crops.waveforms, crops.lengths)
    counts = token_counts(crops.lengths)
    whole = found[:, : int(counts.max()) * PATCH_FRAMES].unflatten(1, (-1, PATCH_FRAMES))
    own = torch.arange(whole.shape[1], device=whole.device) < counts[:, None]
    patches: torch.Tensor = whole.transpose(2, 3).flatten(2)[own]
    return patches


def _exact(values: torch.Tensor) -> torch.Tensor:
    """As float64; on the CPU where the device has none, which is `mps`."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def fit_head(head: Head, contexts: Iterable[Audio]) -> None:
    """Start the log-magnitudes at their means: a bias takes thousands of steps to get there."""
    sums = _exact(head.window.new_zeros(head.n_fft // 2 + 1))
    frames = 0
    with torch.no_grad():
        for crops in contexts:
            windows = crops.waveforms.unfold(1, head.n_fft, head.hop)
            first = torch.arange(windows.shape[1], device=windows.device) * head.hop
            own = windows[first + head.n_fft <= crops.lengths[:, None]]
            magnitude = torch.fft.rfft(own * head.window).abs()
            sums += _exact(magnitude.clamp(min=1e-5).log()).sum(0)
            frames += len(own)
        if frames:
            head.out.bias[: len(sums)] = (sums / frames).to(head.out.bias)


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


def draw_weights(network: torch.nn.Module, seed: int, least: float = SPREAD) -> None:
    """Matrices and kernels from a normal distribution cut at two deviations; biases 0, norms 1.

    The deviation of kernels keeps a signal's variance; so does that of matrices, but where `least`
    is set: of matrices of a transformer it is that.
    """
    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim < 2:
                weight.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
                continue
            keeping = 1 / math.sqrt(weight[0].numel())
            spread = max(least, keeping) if weight.ndim > 2 else least or keeping
            drawn = generator.standard_normal(tuple(weight.shape), np.float32)
            weight.copy_(torch.from_numpy(np.clip(drawn, -2, 2)) * spread)
