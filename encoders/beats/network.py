"""BEATs' network: Kaldi's filter bank in patches of 16 x 16 through a post-norm transformer whose
attention has a gated bias of relative position.

Sources: Chen et al., BEATs (arXiv 2212.09058); the gate is that of WavLM (2110.13900, section 3.2),
the residuals DeepNet's (2203.00555); sizes and settings from its code (microsoft/unilm, beats/).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from earmark.encoders.grid import GridPass
from earmark.encoders.kaldi import KaldiFbank

SAMPLE_RATE = 16_000  # Hz
MEL_BANDS = 128
INT16 = 2**15  # full scale, in which Kaldi's samples are
MEAN, DEVIATION = 15.41663, 6.55582  # of the filter bank on AudioSet
GATE = 8  # numbers from which the two gates of a head are summed, four each
PIECE_COLUMNS = 64  # 10.24 s: it was trained on clips of 10 s


@dataclass(frozen=True)
class BeatsConfig:
    """Sizes and settings, under the names of a checkpoint's `cfg`."""

    input_patch_size: int = 16
    embed_dim: int = 512
    conv_bias: bool = False
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    deep_norm: bool = True
    conv_pos: int = 128
    conv_pos_groups: int = 16
    num_buckets: int = 320
    max_distance: int = 800


class BeatsPass(GridPass):
    """16 kHz -> 6.25 columns a second of 8 bands. Tokens are in the order of time, then band."""

    sample_rate = SAMPLE_RATE
    hop = KaldiFbank.hop
    piece_columns = PIECE_COLUMNS
    columns_at_once = 8 * PIECE_COLUMNS  # each has a bias for every pair of tokens: 0.1 GB in all

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.patch = config.input_patch_size
        self.bands = MEL_BANDS // self.patch
        self.width, self.layers = config.encoder_embed_dim, config.encoder_layers
        self.facts = dataclasses.asdict(config)
        self.fbank = KaldiFbank(MEL_BANDS)
        self.patch_embed = torch.nn.Conv2d(
            1, config.embed_dim, self.patch, stride=self.patch, bias=config.conv_bias
        )
        self.patch_norm = torch.nn.LayerNorm(config.embed_dim)
        self.proj = torch.nn.Linear(config.embed_dim, self.width)
        self.pos_conv = torch.nn.Conv1d(
            self.width, self.width, config.conv_pos, padding=config.conv_pos // 2,
            groups=config.conv_pos_groups,
        )  # fmt: skip
        self.norm = torch.nn.LayerNorm(self.width)
        self.position_bias = RelativeBias(config)
        self.blocks = torch.nn.ModuleList(Block(config) for _ in range(self.layers))

    def spectrograms(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
        """Each clip's (N, 128) normalised logs; the end of a clip below 0.175 s is silence."""
        shortest = self.fbank.size + (self.patch - 1) * self.hop
        found = []
        for clip, length in zip(waveforms, lengths.tolist(), strict=True):
            own = torch.nn.functional.pad(clip[:length], (0, max(0, shortest - length)))
            logs = self.fbank(own[None] * INT16)[0]
            found.append((logs - MEAN) / (2 * DEVIATION))
        return found

    def states(
        self, frames: torch.Tensor, layers: Sequence[int]
    ) -> tuple[torch.Tensor, Mapping[int, torch.Tensor]]:
        patches = self.patch_embed(frames[:, None])  # (B, C, columns, bands)
        tokens = self.proj(self.patch_norm(patches.flatten(2).transpose(1, 2)))
        around = self.pos_conv(tokens.transpose(1, 2))[:, :, : tokens.shape[1]]
        tokens = self.norm(tokens + torch.nn.functional.gelu(around).transpose(1, 2))
        bias = self.position_bias(tokens.shape[1])
        hidden = {0: tokens}
        for number, block in enumerate(self.blocks, 1):
            tokens = block(tokens, bias)
            hidden[number] = tokens
        return self._grid(tokens), {number: self._grid(hidden[number]) for number in layers}

    def _grid(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, columns x bands, D) -> (B, columns, bands, D)."""
        grid: torch.Tensor = tokens.unflatten(1, (-1, self.bands))
        return grid


class RelativeBias(torch.nn.Module):
    """A learned number for each head and bucket of distance between two tokens (T5's buckets).

    Half of the buckets are for keys after the query. Of each half the first half are for distances
    of one token each, the others for ranges that grow with the logarithm up to `max_distance`.
    """

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.max_distance = config.max_distance
        self.weight = torch.nn.Parameter(
            torch.empty(config.num_buckets, config.encoder_attention_heads)
        )

    def forward(self, tokens: int) -> torch.Tensor:
        """(heads, tokens, tokens): of each query the bias for each key."""
        places = torch.arange(tokens, device=self.weight.device)
        ahead = places[None, :] - places[:, None]
        half = len(self.weight) // 2
        exact = half // 2
        distance = ahead.abs()
        growth = math.log(self.max_distance / exact)
        far = (distance.clamp(min=1).float() / exact).log() / growth * (half - exact)
        bucket = distance.where(distance < exact, (exact + far.long()).clamp(max=half - 1))
        return self.weight[bucket + (ahead > 0) * half].permute(2, 0, 1)


class Attention(torch.nn.Module):
    """Self-attention whose bias of position each query scales by two gates of its own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = torch.nn.Linear(width, width)
        self.k_proj = torch.nn.Linear(width, width)
        self.v_proj = torch.nn.Linear(width, width)
        self.out_proj = torch.nn.Linear(width, width)
        self.grep_linear = torch.nn.Linear(width // heads, GATE)
        self.grep_a = torch.nn.Parameter(torch.empty(1, heads, 1, 1))

    def forward(self, tokens: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """(B, L, D) -> (B, L, D). bias: (heads, L, L)."""
        query, key, value = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        gates = self.grep_linear(query).unflatten(3, (2, -1)).sum(-1).sigmoid()  # (B, heads, L, 2)
        update, reset = gates.split(1, dim=3)
        scale = update * (reset * self.grep_a - 1) + 2
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, scale * bias)
        found: torch.Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return found


class Block(torch.nn.Module):
    """norm(a x + attention(x)), then norm(a x + mlp(x)); a = (2 layers)^(1/4) with deep norm."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width, inner = config.encoder_embed_dim, config.encoder_ffn_embed_dim
        self.alpha = (2 * config.encoder_layers) ** 0.25 if config.deep_norm else 1.0
        self.self_attn = Attention(width, config.encoder_attention_heads)
        self.self_attn_layer_norm = torch.nn.LayerNorm(width)
        self.fc1 = torch.nn.Linear(width, inner)
        self.fc2 = torch.nn.Linear(inner, width)
        self.final_layer_norm = torch.nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """(B, L, D) -> (B, L, D); bias as in `Attention`."""
        tokens = self.self_attn_layer_norm(self.alpha * tokens + self.self_attn(tokens, bias))
        inner = self.fc2(torch.nn.functional.gelu(self.fc1(tokens)))
        found: torch.Tensor = self.final_layer_norm(self.alpha * tokens + inner)
        return found
