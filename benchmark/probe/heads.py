"""Heads `LayerNorm(D) -> Linear(D, C)`, many at once: their parameters, gradients and Adam.

And heads that are a `Linear(D, C)` alone, on features that are standardised before.

LayerNorm without its scale and shift is the same for every head, so it is applied to the features
once; scale and shift fold into the linear layer. What is left of all heads is one matrix product a
step. Gradients are written out: automatic differentiation would cost more than they do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

_LAYER_NORM_EPS = 1e-5  # as torch.nn.LayerNorm
_BETA1, _BETA2, _ADAM_EPS = 0.9, 0.999, 1e-8
# Below so many multiplications a step, threads cost more than they save; on a busy machine, where
# they wait for each other, 50 times more.
_SMALL_STEP = 1 << 25


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a probe is trained; see `ProbeSettings` and `Protocol`.

    Heads of clips take the first four alone; the others also: rates, learning rates to choose from
    (none: `learning_rate`); least_updates, checkpoints, patience as `Protocol` has them;
    standardised, whether features are (by the training part), without a LayerNorm in the heads.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    learning_rate_floor: float
    device: str = "cpu"
    rates: tuple[float, ...] = ()
    least_updates: int = 0
    checkpoints: int = 0
    patience: float = 0.0
    standardised: bool = False

    def rate(self, epoch: int) -> float:
        """Adam's rate in an epoch: a cosine from the rate towards its floor, set once an epoch."""
        low = self.learning_rate * self.learning_rate_floor
        cosine = (1 + np.cos(np.pi * epoch / self.epochs)) / 2
        return float(low + (self.learning_rate - low) * cosine)


@dataclass(frozen=True)
class HeadKey:
    """Which head: index of its split, and its seed."""

    split: int
    seed: int


class Adam:
    """Parameters of many heads, (H, P), and Adam's state (Kingma and Ba, arXiv 1412.6980)."""

    def __init__(self, parameters: torch.Tensor) -> None:
        self.parameters = parameters
        self.gradient = torch.zeros_like(self.parameters)
        self.first_moment = torch.zeros_like(self.parameters)
        self.second_moment = torch.zeros_like(self.parameters)
        self.steps = np.zeros(len(parameters), np.int64)

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the heads alone."""
        index = torch.tensor(places, device=self.parameters.device)
        for name in ("parameters", "gradient", "first_moment", "second_moment"):
            setattr(self, name, getattr(self, name)[index])
        self.steps = self.steps[list(places)]

    def update(self, active: int, rate: float | NDArray[np.float64]) -> None:
        """One step of Adam for the first heads, each with its own count of steps.

        rate: of all, or (A,).
        """
        self.steps[:active] += 1
        gradient = self.gradient[:active]
        first, second = self.first_moment[:active], self.second_moment[:active]
        first.lerp_(gradient, 1 - _BETA1)
        second.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        # both bias corrections as one number a head: rate / c1 * m / (sqrt(v) / c2 + eps)
        # = rate * c2 / c1 * m / (sqrt(v) + eps * c2)
        correction = np.sqrt(1 - _BETA2 ** self.steps[:active])
        size = rate * correction / (1 - _BETA1 ** self.steps[:active])
        root = second.sqrt().add_(self._column(_ADAM_EPS * correction))
        self.parameters[:active].addcdiv_(first * self._column(size), root, value=-1)

    def _column(self, values: NDArray[np.float64]) -> torch.Tensor:
        """One number a head, (A, 1), on the device."""
        return torch.from_numpy(values.astype(np.float32)).to(self.parameters.device)[:, None]


class Heads(Adam):
    """The heads' parameters, one row each.

    parameters: (H, P); see `split_parameters` for what a row holds.
    """

    def __init__(self, keys: Sequence[HeadKey], dimension: int, classes: int, device: str) -> None:
        self.dimension = dimension
        rows = [initial_parameters(key, dimension, classes) for key in keys]
        super().__init__(torch.from_numpy(np.stack(rows)).to(device))

    def set_gradient(self, product: torch.Tensor, total: torch.Tensor) -> None:
        """Gradients of the first A heads from those of their logits.

        product: (A, C, D), sum over items of the logits' gradient times the normalised features.
        total: (A, C), sum over items of the logits' gradient. `product` is overwritten.
        """
        active = len(product)
        weight, _, scale, shift = split_parameters(self.parameters[:active], self.dimension)
        into = split_parameters(self.gradient[:active], self.dimension)
        torch.mul(product, scale[:, None, :], out=into[0])
        into[0].addcmul_(total[:, :, None], shift[:, None, :])
        into[1].copy_(total)
        into[2].copy_(product.mul_(weight).sum(dim=1))
        into[3].copy_(torch.bmm(total[:, None, :], weight)[:, 0])

    def folded(self, parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight (H, C, D) and offset (H, C) of rows (H, P) over the features that heads see."""
        return folded(parameters, self.dimension)


class LinearHeads(Heads):
    """Heads `Linear(D, C)`; a row of parameters: the weight, then the bias."""

    def __init__(self, keys: Sequence[HeadKey], dimension: int, classes: int, device: str) -> None:
        super().__init__(keys, dimension, classes, device)
        for name in ("parameters", "gradient", "first_moment", "second_moment"):
            setattr(self, name, getattr(self, name)[:, : classes * (dimension + 1)].clone())

    def set_gradient(self, product: torch.Tensor, total: torch.Tensor) -> None:
        active, classes, dimension = product.shape
        weight, bias = self.gradient[:active].split([classes * dimension, classes], dim=1)
        weight.copy_(product.view(active, -1))
        bias.copy_(total)

    def folded(self, parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        classes = parameters.shape[1] // (self.dimension + 1)
        weight, bias = parameters.split([classes * self.dimension, classes], dim=1)
        return weight.unflatten(1, (classes, self.dimension)), bias


def normalised(features: torch.Tensor) -> torch.Tensor:
    """(N, D) -> (N, D): LayerNorm without scale and shift."""
    return torch.nn.functional.layer_norm(features, features.shape[-1:], eps=_LAYER_NORM_EPS)


def folded(parameters: torch.Tensor, dimension: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (H, C, D) and offset (H, C) of heads (H, P) over normalised features."""
    weight, bias, scale, shift = split_parameters(parameters, dimension)
    return weight * scale[:, None, :], bias + (weight * shift[:, None, :]).sum(dim=2)


@contextlib.contextmanager
def threads_worth(multiplications: int) -> Iterator[None]:
    """One CPU thread inside, where a step is small; by its size alone, so that bits repeat."""
    threads = torch.get_num_threads()
    if multiplications < _SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def split_parameters(
    rows: torch.Tensor, dimension: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Views of rows (H, P): weight (H, C, D), bias (H, C), LayerNorm scale and shift (H, D)."""
    classes = (rows.shape[1] - 2 * dimension) // (dimension + 1)
    weight, bias, scale, shift = rows.split(
        [classes * dimension, classes, dimension, dimension], dim=1
    )
    return weight.unflatten(1, (classes, dimension)), bias, scale, shift


def initial_parameters(key: HeadKey, dimension: int, classes: int) -> NDArray[np.float32]:
    """A head's row before training, drawn as torch.nn.Linear and LayerNorm begin.

    Weight and bias uniform in +-1/sqrt(D), scale 1, shift 0; from the head's seed and split.
    """
    bound = 1 / np.sqrt(dimension)
    drawn = np.random.default_rng([key.seed, key.split, 0]).uniform(
        -bound, bound, classes * (dimension + 1)
    )
    rest = [np.ones(dimension), np.zeros(dimension)]
    return np.concatenate([drawn, *rest]).astype(np.float32)
