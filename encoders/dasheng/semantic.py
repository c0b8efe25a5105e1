"""The semantic path: log-mel spectrogram and transformer over chunks of 10.08 s.

Sources: arXiv 2406.06992 (Dasheng) and 2602.23765 (DashengTokenizer).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from earmark.encoders.dasheng.config import (
    CHUNK_TOKENS,
    PATCH_FRAMES,
    SEMANTIC_BANDS,
    SEMANTIC_FFT,
    SemanticConfig,
)
from earmark.encoders.dasheng.mel import MelSpectrogram, frame_counts
from earmark.encoders.dasheng.transformer import NORM_EPS, Block

POWER_FLOOR = 1e-10
DYNAMIC_RANGE = 120.0  # dB below a clip's maximum
# Tokens, padding counted, that go through the transformer at once: 32 chunks of 10.08 s.
TOKENS_AT_ONCE = 32 * CHUNK_TOKENS
# Chunks of unlike lengths share a forward pass as long as this share of it, at most, is padding.
PADDING_SHARE = 0.125


class Chunk(NamedTuple):
    """A stretch of a clip that the transformer sees on its own.

    row: among all chunks of the batch, `clip x chunks of the longest clip + its own number`.
    """

    row: int
    tokens: int


class SemanticPath(torch.nn.Module):
    """(B, T) samples at 16 kHz -> (B, F, D) at 25 Hz."""

    time_pos_embed: torch.Tensor
    freq_pos_embed: torch.Tensor

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        width = config.embed_dim
        self.mel = MelSpectrogram(SEMANTIC_FFT, SEMANTIC_BANDS, power=2)
        self.band_norm = torch.nn.BatchNorm1d(SEMANTIC_BANDS)
        self.patch_embed = torch.nn.Conv2d(1, width, (SEMANTIC_BANDS, PATCH_FRAMES))
        self.time_pos_embed = torch.nn.Parameter(torch.empty(1, width, 1, CHUNK_TOKENS))
        self.freq_pos_embed = torch.nn.Parameter(torch.empty(1, width, 1, 1))
        self.blocks = torch.nn.ModuleList(
            Block(width, config.num_heads) for _ in range(config.depth)
        )
        self.norm = torch.nn.LayerNorm(width, eps=NORM_EPS)

    def forward(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, counts: Sequence[int]
    ) -> torch.Tensor:
        """Encode clips of at least 4 mel frames.

        waveforms: (B, T); lengths: (B,) samples; counts: each clip's tokens, `token_counts` of
        its length. Returns (B, F, D) float32 with F the largest count, zero beyond a clip's own.

        The 1 to 3 mel frames after a clip's last whole token are not encoded. Where they are the
        whole of a last chunk, the released code pads that to one token; z never contains it, as
        it has no more frames than the acoustic path.
        """
        patches, across = self.chunked_patches(self.log_mel(waveforms, lengths), counts)
        encoded = patches.new_zeros(*patches.shape[:2], self.norm.normalized_shape[0])
        for group in chunk_groups(counts, across):
            longest = group[0].tokens
            rows = torch.tensor([chunk.row for chunk in group], device=patches.device)
            own = None
            if group[-1].tokens < longest:
                tokens = torch.tensor([chunk.tokens for chunk in group], device=patches.device)
                own = torch.arange(longest, device=patches.device) < tokens[:, None]
            found = self.transform(patches[rows, :longest], own)
            encoded[rows, :longest] = found if own is None else found * own[:, :, None]
        return encoded.view(len(waveforms), -1, encoded.shape[2])[:, : max(counts)]

    def log_mel(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, T) samples -> (B, N, 64) normalised dB, always in float32.

        10 log10 of the power (floor 1e-10), clamped to 120 dB below the maximum over the clip's
        own frames, then the affine map that batch norm is at inference.
        """
        mel = self.mel(waveforms, lengths)
        with torch.autocast(mel.device.type, enabled=False):
            decibels = 10 * mel.clamp(min=POWER_FLOOR).log10()
            frames = frame_counts(lengths)
            beyond = torch.arange(mel.shape[1], device=mel.device) >= frames[:, None]
            loudest = decibels.masked_fill(beyond[:, :, None], -torch.inf).amax((1, 2))
            decibels = decibels.maximum((loudest - DYNAMIC_RANGE)[:, None, None])
            return self.band_norm(decibels.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]

    def chunked_patches(
        self, log_mel: torch.Tensor, counts: Sequence[int]
    ) -> tuple[torch.Tensor, int]:
        """Cut (B, N, 64) into chunks of patches of 4 frames.

        Returns (B x C, W, 256) and C, the chunks of the longest clip. W is 252 tokens, or fewer
        where no clip has that many. A patch is in the order of the weights: bands, then frames.
        """
        across = -(-max(counts) // CHUNK_TOKENS)
        width = min(max(counts), CHUNK_TOKENS)
        missing = across * width * PATCH_FRAMES - log_mel.shape[1]  # negative: cut
        frames = torch.nn.functional.pad(log_mel, (0, 0, 0, missing))
        patches = frames.view(-1, width, PATCH_FRAMES, SEMANTIC_BANDS).transpose(2, 3)
        return patches.flatten(2), across

    def transform(self, patches: torch.Tensor, own: torch.Tensor | None = None) -> torch.Tensor:
        """(K, L, 256) patches of K chunks -> (K, L, D). own: (K, L), False for padding."""
        keys = None if own is None else own[:, None, None]
        return self.encode(self.embed(patches), keys)

    def embed(self, patches: torch.Tensor, places: torch.Tensor | None = None) -> torch.Tensor:
        """(K, L, 256) patches -> (K, L, D) tokens, each with its position's embedding.

        places: (K, L) positions in the chunk; None: from the first on.
        """
        kernel = self.patch_embed.weight.flatten(1)
        tokens = torch.nn.functional.linear(patches, kernel, self.patch_embed.bias)
        if places is None:
            positions = self.time_pos_embed[..., : patches.shape[1]] + self.freq_pos_embed
            return tokens.float() + positions[0, :, 0].T
        positions = (self.time_pos_embed + self.freq_pos_embed)[0, :, 0].T
        return tokens.float() + positions[places]

    def encode(self, tokens: torch.Tensor, keys: torch.Tensor | None = None) -> torch.Tensor:
        """(K, L, D) -> (K, L, D). keys: (K, 1, 1, L), True where a token is read; None: all are."""
        for block in self.blocks:
            tokens = block(tokens, keys)
        return self.norm(tokens)  # type: ignore[no-any-return]


def chunk_groups(counts: Sequence[int], across: int) -> list[list[Chunk]]:
    """All chunks of clips of so many tokens, in groups that go through the transformer together.

    Longest first. A group is at most TOKENS_AT_ONCE large, so that memory does not grow with a
    clip's length, and at most PADDING_SHARE of it is padding.
    """
    chunks = [
        Chunk(clip * across + start // CHUNK_TOKENS, min(CHUNK_TOKENS, count - start))
        for clip, count in enumerate(counts)
        for start in range(0, count, CHUNK_TOKENS)
    ]
    groups: list[list[Chunk]] = []
    filled = 0
    for chunk in sorted(chunks, key=lambda chunk: (-chunk.tokens, chunk.row)):
        if groups:
            size = (len(groups[-1]) + 1) * groups[-1][0].tokens
            padding = size - filled - chunk.tokens
            if size <= TOKENS_AT_ONCE and padding <= PADDING_SHARE * size:
                groups[-1].append(chunk)
                filled += chunk.tokens
                continue
        groups.append([chunk])
        filled = chunk.tokens
    return groups
