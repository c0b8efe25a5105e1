"""Pre-norm transformer blocks, as in the vision transformer (arXiv 2010.11929, equations 2, 3)."""

from __future__ import annotations

import torch

from earmark.encoders.dasheng.config import MLP_RATIO
from earmark.encoders.dasheng.precision import Linear

NORM_EPS = 1e-6


class Attention(torch.nn.Module):
    """Self-attention with one projection to queries, keys and values (arXiv 1706.03762)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, tokens: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
        """(B, L, D) -> (B, L, D). own: (B, 1, 1, L), True where a key is read; None: all are."""
        batch, length, width = tokens.shape
        qkv = self.qkv(tokens).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, L, D / heads)
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, own)
        mixed = mixed.transpose(1, 2).reshape(batch, length, width)
        return self.proj(mixed)  # type: ignore[no-any-return]


class Mlp(torch.nn.Module):
    """Two layers with an exact GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, MLP_RATIO * width)
        self.fc2 = Linear(MLP_RATIO * width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.fc2(torch.nn.functional.gelu(self.fc1(tokens)))  # type: ignore[no-any-return]


class Block(torch.nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = torch.nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = Attention(width, heads)
        self.norm2 = torch.nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = Mlp(width)

    def forward(self, tokens: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
        """(B, L, D) -> (B, L, D); own as in `Attention`."""
        tokens = tokens + self.attn(self.norm1(tokens), own)
        return tokens + self.mlp(self.norm2(tokens))  # type: ignore[no-any-return]
