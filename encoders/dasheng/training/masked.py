"""Stage 1: a semantic encoder by masked autoencoding of mel patches.

Sources: arXiv 2406.06992 (Dasheng) and 2111.06377 (masked autoencoders). Most patches of 40 ms are
left out, the encoder sees the rest, and a small decoder predicts those left out.
"""

from __future__ import annotations

import math

import torch

from earmark.encoders.dasheng.config import CHUNK_TOKENS, PATCH_FRAMES, SEMANTIC_BANDS
from earmark.encoders.dasheng.mel import token_counts
from earmark.encoders.dasheng.precision import autocast
from earmark.encoders.dasheng.semantic import SemanticPath
from earmark.encoders.dasheng.training.config import SemanticTraining
from earmark.encoders.dasheng.training.corpus import Crops
from earmark.encoders.dasheng.transformer import NORM_EPS, Block


class MaskedAutoencoder(torch.nn.Module):
    """SemanticPath with the decoder that trains it.

    Crops are placed at random in the 252 positions of a chunk, so that each position is learnt.
    """

    mask_token: torch.Tensor
    positions: torch.Tensor

    def __init__(self, semantic: SemanticPath, config: SemanticTraining) -> None:
        super().__init__()
        self.config = config
        self.semantic = semantic
        masked, width = config.masked, config.masked.embed_dim
        self.kept = config.kept_tokens
        self.narrow = torch.nn.Linear(config.model.embed_dim, width)
        self.mask_token = torch.nn.Parameter(torch.zeros(width))
        self.register_buffer("positions", sinusoids(CHUNK_TOKENS, width), persistent=False)
        self.blocks = torch.nn.ModuleList(
            Block(width, masked.num_heads) for _ in range(masked.depth)
        )
        self.norm = torch.nn.LayerNorm(width, eps=NORM_EPS)
        self.predict = torch.nn.Linear(width, SEMANTIC_BANDS * PATCH_FRAMES)
        semantic.requires_grad_(True)
        semantic.band_norm.requires_grad_(False)

    def train(self, mode: bool = True) -> MaskedAutoencoder:
        """As any module's, but that the bands' statistics stay those of the whole corpus."""
        super().train(mode)
        self.semantic.band_norm.eval()
        return self

    def forward(self, crops: Crops, order: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        """Mean squared error of the masked patches, in the variance of the corpus' bands.

        order: (B, L) a permutation of each crop's patches, the first of which are kept. first:
        (B,) position of each crop's first patch.
        """
        batch, length = order.shape
        semantic = self.semantic
        with autocast(crops.waveforms.device, self.config.precision):
            with torch.no_grad():
                patches = self._patches(crops)
            rows = torch.arange(batch, device=order.device)[:, None]
            kept = order[:, : self.kept]
            places = first[:, None] + order
            hidden = semantic.encode(semantic.embed(patches[rows, kept], places[:, : self.kept]))
            narrow = self.narrow(hidden)
            hidden = self.mask_token.expand(batch, length, -1).to(narrow.dtype).clone()
            hidden[rows, kept] = narrow
            hidden = (
                hidden + self.positions[first[:, None] + torch.arange(length, device=first.device)]
            )
            for block in self.blocks:
                hidden = block(hidden, None)
            masked = order[:, self.kept :]
            predicted = self.predict(self.norm(hidden)[rows, masked])
        loss: torch.Tensor = (predicted.float() - patches[rows, masked]).square().mean()
        return loss

    def _patches(self, crops: Crops) -> torch.Tensor:
        """(B, L, 256): normalised patches of each crop, cut from its whole context's."""
        log_mel = self.semantic.log_mel(crops.waveforms, crops.lengths)
        patches, _ = self.semantic.chunked_patches(log_mel, token_counts(crops.lengths).tolist())
        places = crops.starts + torch.arange(self.config.crop_tokens, device=log_mel.device)
        return patches[torch.arange(len(patches), device=log_mel.device)[:, None], places]


def sinusoids(count: int, width: int) -> torch.Tensor:
    """(count, width) positions as sines and cosines of falling frequency (arXiv 1706.03762)."""
    half = (width + 1) // 2
    rates = torch.exp(-math.log(10_000) * torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(count, dtype=torch.float64)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width].float()
