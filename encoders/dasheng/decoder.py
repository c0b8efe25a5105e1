"""The decoder: upsampling, ConvNeXt blocks and an inverse STFT.

Sources: Vocos (arXiv 2306.00814) for backbone and head, ConvNeXt (arXiv 2201.03545) for its block.
"""

from __future__ import annotations

from typing import Protocol

import torch

NORM_EPS = 1e-6
KERNEL = 7  # frames
LARGEST_MAGNITUDE = 100.0
# Frames whose inner width is held at once: bounds memory (0.2 GB at width 5120) for long clips.
FRAMES_AT_ONCE = 8192


class DecoderSizes(Protocol):
    """What a decoder's sizes are read from: `TokenizerConfig`, or those of another tokenizer."""

    @property
    def embed_dim(self) -> int: ...

    @property
    def decoder_embed_dim(self) -> int: ...

    @property
    def decoder_depth(self) -> int: ...

    @property
    def decoder_intermediate_size(self) -> int: ...

    @property
    def istft_n_fft(self) -> int: ...

    @property
    def istft_hop(self) -> int: ...

    @property
    def upsample_tokens(self) -> int: ...


class ConvNeXtBlock(torch.nn.Module):
    """Convolution over time per channel, then two layers over the channels, scaled and added."""

    gamma: torch.Tensor

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.dwconv = torch.nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = torch.nn.LayerNorm(width, eps=NORM_EPS)
        self.pwconv1 = torch.nn.Linear(width, inner)
        self.pwconv2 = torch.nn.Linear(inner, width)
        self.gamma = torch.nn.Parameter(torch.empty(width))

    def forward(self, frames: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """(B, H, T) -> (B, H, T). own: (B, 1, T), False beyond a clip's end."""
        mixed = self.dwconv(frames * own).transpose(1, 2)
        parts = mixed.split(max(1, FRAMES_AT_ONCE // len(mixed)), dim=1)
        scaled = torch.cat([self.gamma * self._channels(part) for part in parts], dim=1)
        return frames + scaled.transpose(1, 2)

    def _channels(self, frames: torch.Tensor) -> torch.Tensor:
        inner = torch.nn.functional.gelu(self.pwconv1(self.norm(frames)))
        return self.pwconv2(inner)  # type: ignore[no-any-return]


class Backbone(torch.nn.Module):
    """(B, D, T) -> (B, T, H)."""

    def __init__(self, config: DecoderSizes) -> None:
        super().__init__()
        width = config.decoder_embed_dim
        self.embed = torch.nn.Conv1d(config.embed_dim, width, KERNEL, padding=KERNEL // 2)
        self.norm = torch.nn.LayerNorm(width, eps=NORM_EPS)
        self.convnext = torch.nn.ModuleList(
            ConvNeXtBlock(width, config.decoder_intermediate_size)
            for _ in range(config.decoder_depth)
        )
        self.final_layer_norm = torch.nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, frames: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """own: (B, 1, T), False beyond a clip's end, which every convolution then sees as zeros."""
        hidden = self.norm(self.embed(frames * own).transpose(1, 2)).transpose(1, 2)
        for block in self.convnext:
            hidden = block(hidden, own)
        return self.final_layer_norm(hidden.transpose(1, 2))  # type: ignore[no-any-return]


class Head(torch.nn.Module):
    """(B, T, H) -> (B, T x hop) samples: log-magnitude and phase, then the inverse STFT."""

    window: torch.Tensor

    def __init__(self, config: DecoderSizes) -> None:
        super().__init__()
        self.n_fft, self.hop = config.istft_n_fft, config.istft_hop
        self.out = torch.nn.Linear(config.decoder_embed_dim, self.n_fft + 2)
        self.register_buffer("window", torch.empty(self.n_fft))

    def forward(self, hidden: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """own: (B, 1, T), False for frames beyond a clip's end."""
        # a phase of several turns in half precision would be off by degrees
        with torch.autocast(hidden.device.type, enabled=False):
            return self.inverse(self.spectrum(hidden.float()), own)

    def spectrum(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B, T, H) -> (B, T, n_fft / 2 + 1) complex."""
        log_magnitude, phase = self.out(hidden).chunk(2, dim=2)
        return torch.polar(log_magnitude.exp().clamp(max=LARGEST_MAGNITUDE), phase)

    def inverse(self, spectrum: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Overlap-add, divided by the summed squared window; (n_fft - hop) / 2 off either end.

        Only a clip's own frames are added, so that its end is as it would be alone.
        """
        frames = torch.fft.irfft(spectrum, self.n_fft, dim=2).transpose(1, 2)
        summed = self._overlap_add(frames * self.window[:, None] * own)
        weight = self._overlap_add(self.window.square()[:, None] * own)
        # beyond its end a clip still has the last windows' tails
        inside = own[:, 0].repeat_interleave(self.hop, dim=1) & (weight > 1e-11)
        return (summed / weight).where(inside, 0.0)

    def _overlap_add(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, n_fft, T) -> (B, T x hop)."""
        edge = (self.n_fft - self.hop) // 2
        total = (frames.shape[2] - 1) * self.hop + self.n_fft
        summed = torch.nn.functional.fold(
            frames, (1, total), kernel_size=(1, self.n_fft), stride=(1, self.hop)
        )
        return summed[:, 0, 0, edge : total - edge]


class Decoder(torch.nn.Module):
    """Latents (B, F, D) at 25 Hz -> (B, 640 F) samples at 16 kHz."""

    def __init__(self, config: DecoderSizes) -> None:
        super().__init__()
        step = self.step = config.upsample_tokens
        self.upsampler = torch.nn.ConvTranspose1d(
            config.embed_dim, config.embed_dim, step, stride=step
        )
        self.backbone = Backbone(config)
        self.head = Head(config)

    def forward(self, latents: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """lengths: (B,) latent frames. Returns float32, zero beyond a clip's own samples."""
        places = torch.arange(latents.shape[1] * self.step, device=latents.device)
        own = (places < self.step * lengths[:, None])[:, None]
        # what lies beyond a clip's end may be NaN, which no product with a mask removes
        latents = latents.masked_fill(~own[:, 0, :: self.step, None], 0.0)
        frames = self.upsampler(latents.transpose(1, 2))
        return self.head(self.backbone(frames, own), own)  # type: ignore[no-any-return]
