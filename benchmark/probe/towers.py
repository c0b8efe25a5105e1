"""Captions and clips in one space: two small towers, and the loss under which they meet.

Clip: LayerNorm(D) -> Linear(D, W) -> GELU -> Linear(W, W) on the clip's mean; on standardised clips
(`tower_stack`) without the LayerNorm. Caption: embedding (W) of each token -> Linear -> GELU ->
Linear, its mean over the tokens. Symmetric cross-entropy over the similarities within a batch, with
a learned temperature (Radford et al. 2021, arXiv 2103.00020, figure 3); both sides have unit length
in training and in testing, and captions of the same clip are not negatives of each other.

X-ARES 0.1.3 trains otherwise, and with `unit_length=False` so does this: on plain dot products;
all other captions of a batch are negatives, those of the same clip too, which often meet as pairs
are shuffled within a window only; and mean|e| / sqrt(sum e^2) of both sides is added to the loss.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy, gelu, normalize

from earmark.benchmark.metric import recall_at
from earmark.benchmark.probe.search import Chosen

WIDTH = 1024
_FIRST_TEMPERATURE = 0.07
_SHUFFLED, _FIRST_SHUFFLED = 512, 100  # X-ARES: pairs in the window that is drawn from
_LARGEST_SCALE = math.log(100.0)  # as CLIP's: beyond it training is unstable


@dataclass(frozen=True)
class Captions:
    """All captions of all items, in the items' order.

    clips: (M,) index of each caption's item; tokens: each caption's token numbers, none empty;
    vocabulary: how many token numbers there are.
    """

    clips: NDArray[np.int64]
    tokens: list[list[int]]
    vocabulary: int

    def of(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices of the captions of some items."""
        return np.flatnonzero(np.isin(self.clips, items))


@dataclass(frozen=True)
class TowerResult(Chosen):
    """What was chosen for each of S seeds; `validation` is recall@1 on the validation clips.

    similarities: per seed (test clips, captions of them) float32, in the items' order.
    """

    similarities: list[NDArray[np.float32]]


def relevance(captions: Captions, clips: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which captions of some clips are whose: (N, M)."""
    owners = captions.clips[captions.of(clips)]
    return np.equal(clips[:, None], owners[None, :])


def mean_recall(
    similarity: NDArray[np.float32], captions: Captions, clips: NDArray[np.int64], k: int
) -> float:
    """Mean of recall@k from clips to captions and from captions to clips."""
    relevant = relevance(captions, clips)
    to_text = recall_at(similarity, relevant, k).mean()
    return float((to_text + recall_at(similarity.T, relevant.T, k).mean()) / 2)


class Pairs:
    """Clips and captions on the device."""

    def __init__(self, embeddings: NDArray[np.float32], captions: Captions, device: str) -> None:
        self.captions, self.device = captions, device
        self.embeddings = torch.from_numpy(embeddings).to(device)

    def clips(self, items: NDArray[np.int64]) -> torch.Tensor:
        return self.embeddings[torch.from_numpy(items).to(self.device)]

    def bags(self, captions: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Different tokens (U,) of some captions, and each token's share in each caption (M, U).

        A token's way through the tower does not depend on its neighbours, so each is computed once.
        """
        lists = [self.captions.tokens[i] for i in captions]
        flat = np.array([token for tokens in lists for token in tokens])
        unique, place = np.unique(flat, return_inverse=True)
        shares = np.zeros((len(lists), len(unique)), np.float32)
        rows = np.repeat(np.arange(len(lists)), [len(tokens) for tokens in lists])
        np.add.at(shares, (rows, place), 1)
        shares /= shares.sum(axis=1, keepdims=True)
        return torch.from_numpy(unique).to(self.device), torch.from_numpy(shares).to(self.device)


class Towers(nn.Module):
    """Both towers of one seed, drawn as torch draws its layers."""

    def __init__(self, dimension: int, vocabulary: int, seed: int, width: int = WIDTH) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.clip_norm = nn.LayerNorm(dimension)
            self.clip_in, self.clip_out = nn.Linear(dimension, width), nn.Linear(width, width)
            self.token = nn.Embedding(vocabulary, width)
            self.text_in, self.text_out = nn.Linear(width, width), nn.Linear(width, width)
        self.scale = nn.Parameter(torch.tensor(math.log(1 / _FIRST_TEMPERATURE)))

    @staticmethod
    def order(
        captions: Captions, clips: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """An epoch's captions of some clips, in the order in which they are learned."""
        return rng.permutation(captions.of(clips))

    def embed_clips(self, embeddings: torch.Tensor) -> torch.Tensor:
        """(N, D) -> (N, W) of unit length."""
        return normalize(self.project_clips(embeddings), dim=1)

    def embed_captions(self, tokens: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """Tokens (U,) with their shares (M, U) -> (M, W) of unit length."""
        return normalize(self.project_captions(tokens, shares), dim=1)

    def project_clips(self, embeddings: torch.Tensor) -> torch.Tensor:
        """As `embed_clips`, of the length that comes out."""
        projected: torch.Tensor = self.clip_out(gelu(self.clip_in(self.clip_norm(embeddings))))
        return projected

    def project_captions(self, tokens: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """As `embed_captions`, of the length that comes out."""
        hidden = gelu(self.text_in(self.token(tokens)))
        # the last layer is linear, so the mean may be taken before it
        projected: torch.Tensor = self.text_out(shares @ hidden)
        return projected

    def loss(self, data: Pairs, batch: NDArray[np.int64]) -> torch.Tensor:
        """Symmetric cross-entropy of a batch of captions with their clips."""
        owners = data.captions.clips[batch]
        clips = self.project_clips(data.clips(owners))
        texts = self.project_captions(*data.bags(batch))
        return self.loss_of(clips, texts, self.scale, owners)

    @staticmethod
    def loss_of(
        clips: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, owners: NDArray[np.int64]
    ) -> torch.Tensor:
        """The same of projected clips and captions (..., B, W); scale: (...), owners: (B,)."""
        factor = scale.clamp(max=_LARGEST_SCALE).exp()[..., None, None]
        logits = factor * normalize(clips, dim=-1) @ normalize(texts, dim=-1).mT
        same = owners[:, None] == owners[None, :]
        np.fill_diagonal(same, False)
        logits = logits.masked_fill(torch.from_numpy(same).to(logits.device), -torch.inf)
        return _matched(logits)

    @torch.no_grad()
    def similarity(self, data: Pairs, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosine of each clip with each caption of them: (N, M)."""
        clips = self.embed_clips(data.clips(items))
        texts = self.embed_captions(*data.bags(data.captions.of(items)))
        found: NDArray[np.float32] = (clips @ texts.T).cpu().numpy()
        return found


class DotProductTowers(Towers):
    """Towers as X-ARES 0.1.3 trains them."""

    @staticmethod
    def order(
        captions: Captions, clips: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Clips at random, the captions of each together; of these a window is drawn from."""
        own = captions.of(clips)
        place = np.empty(int(captions.clips.max()) + 1, np.int64)
        place[rng.permutation(clips)] = np.arange(len(clips))
        pairs = iter(own[np.argsort(place[captions.clips[own]], kind="stable")].tolist())
        window: list[int] = []
        drawn: list[int] = []
        for pair in pairs:
            window.append(pair)
            if len(window) < _SHUFFLED:
                window += itertools.islice(pairs, 1)
            if len(window) >= _FIRST_SHUFFLED:
                drawn.append(window.pop(int(rng.integers(len(window)))))
        drawn += rng.permutation(window).tolist()
        return np.array(drawn, np.int64)

    def loss(self, data: Pairs, batch: NDArray[np.int64]) -> torch.Tensor:
        # the same as `loss_of`, to the bit as it was published
        clips = self.project_clips(data.clips(data.captions.clips[batch]))
        texts = self.project_captions(*data.bags(batch))
        logits = self.scale.exp() * clips @ texts.T
        own = torch.arange(len(batch), device=logits.device)
        loss = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
        for side in (clips, texts):
            loss = loss + side.abs().mean() / side.square().sum().sqrt()
        return loss

    @staticmethod
    def loss_of(
        clips: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, owners: NDArray[np.int64]
    ) -> torch.Tensor:
        loss = _matched(scale.exp()[..., None, None] * clips @ texts.mT)
        for side in (clips, texts):
            loss = loss + side.abs().mean(dim=(-2, -1)) / side.square().sum(dim=(-2, -1)).sqrt()
        return loss


def kind_of_towers(unit_length: bool) -> type[Towers]:
    """Which towers, see the module's words."""
    return Towers if unit_length else DotProductTowers


def _matched(logits: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of rows and of columns (..., B, B), of which the diagonal is right."""
    own = torch.diagonal(logits, dim1=-2, dim2=-1)
    wrong = [(logits.logsumexp(dim=dim) - own).mean(dim=-1) for dim in (-1, -2)]
    return (wrong[0] + wrong[1]) / 2
