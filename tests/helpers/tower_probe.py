"""Captions and clips, and the two towers in plain torch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from earmark.benchmark.probe.splits import Split
from earmark.benchmark.probe.towers import Captions, Towers


class Plain(torch.nn.Module):
    """Both towers as the protocol words them, in float64, begun from those that are tested."""

    def __init__(self, towers: Towers) -> None:
        super().__init__()
        dimension, width = towers.clip_in.in_features, towers.clip_in.out_features
        linear, nn = torch.nn.Linear, torch.nn
        self.clip = nn.Sequential(
            nn.LayerNorm(dimension), linear(dimension, width), nn.GELU(), linear(width, width)
        )
        self.embedding = nn.Embedding(towers.token.num_embeddings, width)
        self.text = nn.Sequential(linear(width, width), nn.GELU(), linear(width, width))
        self.scale = nn.Parameter(torch.tensor(0.0))
        self.double()
        pairs = [
            (self.clip[0], towers.clip_norm), (self.clip[1], towers.clip_in),
            (self.clip[3], towers.clip_out), (self.embedding, towers.token),
            (self.text[0], towers.text_in), (self.text[2], towers.text_out),
        ]  # fmt: skip
        for mine, theirs in pairs:
            mine.load_state_dict({k: v.double() for k, v in theirs.state_dict().items()})
        self.scale.data = towers.scale.data.double()

    def of_clip(self, embedding: Any) -> torch.Tensor:
        found = self.clip(torch.from_numpy(embedding).double())
        return found / found.norm()

    def of_caption(self, tokens: list[int]) -> torch.Tensor:
        each = [self.text(self.embedding(torch.tensor(token))) for token in tokens]
        found = torch.stack(each).mean(dim=0)
        return found / found.norm()

    def loss(self, embeddings: Any, captions: Captions, batch: Any) -> torch.Tensor:
        """A caption's and its clip's turn among all of the batch that are not the same clip's."""
        clips = [self.of_clip(embeddings[captions.clips[i]]) for i in batch]
        texts = [self.of_caption(captions.tokens[i]) for i in batch]
        scale = self.scale.exp().clamp(max=100)
        total = torch.zeros((), dtype=torch.float64)
        for a, i in enumerate(batch):
            others = [b for b, j in enumerate(batch) if captions.clips[j] != captions.clips[i]]
            own = scale * clips[a] @ texts[a]
            to_text = torch.stack([own] + [scale * clips[a] @ texts[b] for b in others])
            to_clip = torch.stack([own] + [scale * clips[b] @ texts[a] for b in others])
            total = total + to_text.logsumexp(0) - own + to_clip.logsumexp(0) - own
        return total / (2 * len(batch))

    @torch.no_grad()
    def similarity(self, embeddings: Any, captions: Captions, clips: Any) -> Any:
        texts = [self.of_caption(captions.tokens[i]) for i in mine(captions, clips)]
        rows = [[float(self.of_clip(embeddings[c]) @ text) for text in texts] for c in clips]
        return np.array(rows)


def mine(captions: Captions, clips: Any) -> list[int]:
    return [i for i, clip in enumerate(captions.clips) if clip in set(clips.tolist())]


def plain_recall(similarity: Any, captions: Captions, clips: Any) -> float:
    """Recall@1, mean of both directions, counted query by query."""
    owners = [captions.clips[i] for i in mine(captions, clips)]
    to_text = [owners[row.argmax()] == clip for row, clip in zip(similarity, clips, strict=True)]
    to_clip = [clips[c.argmax()] == owner for c, owner in zip(similarity.T, owners, strict=True)]
    return float((np.mean(to_text) + np.mean(to_clip)) / 2)


def made(count: int = 14, dimension: int = 5) -> tuple[Any, Captions]:
    """One to three captions a clip, of one to five tokens out of nine, some twice."""
    rng = np.random.default_rng(3)
    clips = np.repeat(np.arange(count), rng.integers(1, 4, count))
    tokens = [rng.integers(0, 9, rng.integers(1, 6)).tolist() for _ in clips]
    embeddings = (3 * rng.standard_normal((count, dimension)) + 1).astype(np.float32)
    return embeddings, Captions(clips, tokens, 9)


def attributes() -> tuple[Any, Captions, Split]:
    """Clips of three properties of four values each; a caption names them in some order."""
    rng = np.random.default_rng(1)
    values = rng.permutation(list(itertools.product(range(4), repeat=3)))
    hot = np.eye(4)[values].reshape(64, 12)
    embeddings = (hot + 0.05 * rng.standard_normal(hot.shape)).astype(np.float32)
    clips = np.repeat(np.arange(64), 2)
    # token 0 is of unseen words; 13 and 14 say nothing
    tokens = [
        rng.permutation([*(1 + values[c] + [0, 4, 8]), *rng.integers(13, 15, 2)]).tolist()
        for c in clips
    ]
    parts = [np.arange(40), np.arange(40, 50), np.arange(50, 64)]
    return (
        embeddings,
        Captions(clips, tokens, 15),
        Split("test", *parts, given_train=np.concatenate(parts[:2])),
    )
