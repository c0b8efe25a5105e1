"""Logistic regression with an L2 penalty, to convergence, along a path of strengths.

    J(W, b) = mean over items of the loss + s / 2 * |W|^2,    b is free

The loss of one label is the cross-entropy of the softmax, of several the sum over the classes of
the binary one. Strengths s go from strong to weak; each is begun where a straight line through the
last two solutions leads.

The solver is L-BFGS (Liu and Nocedal 1989, Mathematical Programming 45) about the inverse of

    M = 1/n sum_i v_i x_i x_i' + s I,    v_i: mean over the classes of p (1 - p) of item i

in place of a multiple of the identity: the Hessian, but that all classes share one weighting.
Against the fixed bound of Boehning (1992, Annals of the Institute of Statistical Mathematics 44)
that takes a quarter of the passes over the data, and where the penalty is weak a tenth: 883
against 3278 for 15 strengths of one fold of spoken digits with `logmel`.

Products are float32, or float64 where the problem is small or float32 no longer gets nearer; what
is summed over items, and all of L-BFGS, is float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

STRENGTHS: tuple[float, ...] = tuple(float(10.0 ** (power / 2)) for power in range(2, -13, -1))
"""10, 10^0.5, ... 10^-6."""

_MEMORY = 10  # pairs that L-BFGS keeps
TOLERANCE = 1e-7  # of the objective, relative: what a step is expected to gain, and what it gained
NEARLY = 1e-5  # likewise, where it is enough to know which strength is the best
_PASSES = 2000  # for one strength
_ARMIJO = 1e-4
_NOISE = 1e-9  # of the objective, relative: what a step may lose by rounding
_LOGITS = {"cpu": 1 << 23, "cuda": 1 << 27}  # at once; bounds memory
_SMALL = 1 << 22  # items x features x classes, up to which float64 costs no more than float32
_ROWS_A_FEATURE, _LEAST_ROWS = 8, 4096  # items from which M is taken
_RANK = 1e-12  # variance beside the largest, below which a direction is none


@dataclass(frozen=True)
class Solution:
    """The minimum at one strength.

    weight: (C, D) of standardised features; bias: (C,); float64. passes: over the data.
    gradient_norm: of J where it ended. converged: whether it ended because nothing was to be
    gained.
    """

    strength: float
    weight: torch.Tensor
    bias: torch.Tensor
    objective: float
    passes: int
    gradient_norm: float
    converged: bool


class Problem:
    """What is minimised: standardised features (N, D) float32 and labels.

    labels: (N,) class indices 0..C-1, or (N, C) bool. Every class must occur, and where there are
    several labels not at every item: else there is no minimum (see `probe.linear`).
    """

    def __init__(self, features: torch.Tensor, labels: torch.Tensor, classes: int) -> None:
        self.several = labels.ndim == 2
        self.classes, self.count, self.dimension = classes, len(features), features.shape[1]
        self.rotation: torch.Tensor | None = None
        if self.count <= self.dimension:
            features, self.rotation = _rotated(features)
        self.labels = labels
        self.rank = features.shape[1]
        small = self.count * self.rank * classes <= _SMALL
        self.features = features.to(torch.float64 if small else torch.float32)
        self.product_type = self.features.dtype
        logits = _LOGITS[self.features.device.type]
        self.block = max(1, logits // max(classes, self.rank if small else 1))

    def start(self) -> torch.Tensor:
        """Parameters (C, R + 1), the bias last: no weights, and each class as often as it is."""
        if self.several:
            share = self.labels.double().mean(dim=0)
            bias = torch.log(share) - torch.log1p(-share)
        else:
            counts = torch.bincount(self.labels, minlength=self.classes)
            bias = torch.log(counts.double() / self.count)
        first = torch.zeros(self.classes, self.rank + 1, dtype=torch.float64, device=bias.device)
        first[:, -1] = bias
        return first

    def lost(self, parameters: torch.Tensor) -> tuple[float, torch.Tensor]:
        """Mean loss and its gradient (C, R + 1), without the penalty."""
        weight = parameters[:, :-1].to(self.product_type)
        bias = parameters[:, -1].to(self.product_type)
        gradient = torch.zeros_like(parameters)
        product = torch.zeros_like(weight)
        total = torch.zeros((), dtype=torch.float64, device=parameters.device)
        for first in range(0, self.count, self.block):
            rows = slice(first, first + self.block)
            features = self.features[rows].to(self.product_type)
            logits = torch.addmm(bias, features, weight.T)
            each, slope = self._loss(logits, self.labels[rows])
            total += each
            product.addmm_(slope.T, features)
            gradient[:, -1] += slope.double().sum(dim=0)
        gradient[:, :-1] = product
        return float(total) / self.count, gradient.div_(self.count)

    def _loss(
        self, logits: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the items' losses, and its gradient by the logits, which are overwritten."""
        if self.several:
            wanted = labels.to(logits.dtype)
            softplus = torch.nn.functional.softplus(logits) - logits * wanted
            return softplus.double().sum(), torch.sigmoid_(logits).sub_(wanted)
        own = labels[:, None]
        highest = torch.logsumexp(logits, dim=1, keepdim=True)
        each = (highest - logits.gather(1, own)).double().sum()
        slope = logits.sub_(highest).exp_()
        return each, slope.scatter_add_(1, own, torch.full_like(highest, -1.0))

    def curvature(self, parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """M without its penalty (R, R), and the bias' own curvature (C,), at some parameters.

        Of many items every so-manyeth counts: it only shapes the steps.
        """
        most = max(_LEAST_ROWS, _ROWS_A_FEATURE * self.rank)
        features = self.features[:: -(-self.count // most)].to(self.product_type)
        weight = parameters.to(self.product_type)
        logits = torch.addmm(weight[:, -1], features, weight[:, :-1].T)
        share = torch.sigmoid(logits) if self.several else torch.softmax(logits, dim=1)
        spread = share * (1 - share)
        matrix = (features * spread.mean(dim=1, keepdim=True)).T @ features
        return matrix.double() / len(features), spread.double().mean(dim=0)

    def parameters(self, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Parameters (C, R + 1) of weights and biases for the features that were given."""
        own = weight if self.rotation is None else weight @ self.rotation
        return torch.cat([own.double(), bias.double()[:, None]], dim=1)

    def solution(self, strength: float, point: _Point, passes: int, converged: bool) -> Solution:
        """A solution in terms of the features that were given."""
        weight = point.parameters[:, :-1]
        if self.rotation is not None:
            weight = weight @ self.rotation.T
        return Solution(
            strength, weight, point.parameters[:, -1], point.objective, passes,
            float(point.gradient.norm()), converged,
        )  # fmt: skip


@dataclass(frozen=True)
class _Point:
    """Where the solver stands: J and its gradient at some parameters."""

    parameters: torch.Tensor
    objective: float
    gradient: torch.Tensor

    def at(self, old: float, new: float) -> _Point:
        """The same parameters under another strength."""
        weight = self.parameters.clone()
        weight[:, -1] = 0
        objective = self.objective + (new - old) / 2 * float(weight.square().sum())
        return _Point(self.parameters, objective, self.gradient + (new - old) * weight)


class Path:
    """Solutions of one problem, strength after strength."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.passes = 0
        self.strength: float | None = None
        self.point: _Point | None = None
        self.before: tuple[float, torch.Tensor] | None = None

    def begin_at(self, weight: torch.Tensor, bias: torch.Tensor, strength: float) -> None:
        """Begin where weights (C, D) and biases (C,) are, not far from a strength's solution."""
        self.point = self._evaluate(self.problem.parameters(weight, bias), strength)
        self.strength = strength

    def solve(self, strength: float, tolerance: float = TOLERANCE) -> Solution:
        """The solution at the next strength, or at the same once more to another tolerance."""
        self.passes = 0
        began, point = self.strength, self._begin(strength)
        point, converged = self._descend(point, strength, tolerance)
        if began is not None and began != strength and self.point is not None:
            self.before = (began, self.point.parameters)
        self.strength, self.point = strength, point
        return self.problem.solution(strength, point, self.passes, converged)

    def _evaluate(self, parameters: torch.Tensor, strength: float) -> _Point:
        self.passes += 1
        loss, gradient = self.problem.lost(parameters)
        weight = parameters.clone()
        weight[:, -1] = 0
        gradient += strength * weight
        return _Point(parameters, loss + strength / 2 * float(weight.square().sum()), gradient)

    def _begin(self, strength: float) -> _Point:
        """Where the line through the last two solutions leads, if that is any better."""
        if self.point is None or self.strength is None:
            return self._evaluate(self.problem.start(), strength)
        last = self.point.at(self.strength, strength)
        if self.before is None:
            return last
        then, parameters = self.before
        ahead = np.log(strength / self.strength) / np.log(self.strength / then)
        if not 0 < ahead <= 2:  # another way along the path than before
            return last
        line = self.point.parameters + float(ahead) * (self.point.parameters - parameters)
        reached = self._evaluate(line, strength)
        return reached if reached.objective < last.objective else last

    def _descend(self, point: _Point, strength: float, tolerance: float) -> tuple[_Point, bool]:
        """From a point to the minimum; and whether it got there."""
        inverse = _Inverse(self.problem, point.parameters, strength)
        gained = np.inf
        while self.passes < _PASSES:
            step = inverse.times(point.gradient).neg_()
            slope = float((step * point.gradient).sum())
            if max(-slope / 2, gained) <= tolerance * abs(point.objective):
                return point, True
            reached = self._search(point, step, slope, strength)
            if reached is None:
                if self.problem.product_type == torch.float64:
                    return point, -slope / 2 <= 10 * tolerance * abs(point.objective)
                self.problem.product_type = torch.float64
                point = self._evaluate(point.parameters, strength)
                inverse, gained = _Inverse(self.problem, point.parameters, strength), np.inf
                continue
            gained = point.objective - reached.objective
            inverse.learn(reached.parameters - point.parameters, reached.gradient - point.gradient)
            point = reached
        return point, False

    def _search(
        self, point: _Point, step: torch.Tensor, slope: float, strength: float
    ) -> _Point | None:
        """A point along a step where J is enough lower (Armijo); None where there is none."""
        size = 1.0
        while size > 1e-6 and self.passes < _PASSES:
            reached = self._evaluate(point.parameters + size * step, strength)
            rise = reached.objective - point.objective
            if rise <= _ARMIJO * size * slope + _NOISE * abs(point.objective):
                return reached
            # the least of the parabola through what is known
            bend = rise - slope * size
            size *= float(np.clip(-slope * size / (2 * bend), 0.1, 0.5)) if bend > 0 else 0.5
        return None


class _Inverse:
    """The inverse Hessian as L-BFGS has it, about that of M."""

    def __init__(self, problem: Problem, parameters: torch.Tensor, strength: float) -> None:
        matrix, bias = problem.curvature(parameters)
        diagonal = matrix.diagonal()
        # a little is added: where nothing is uncertain any more, M is rounding alone
        diagonal += strength + 1e-9 * float(diagonal.mean())
        self.matrix = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
        self.bias = 1 / bias.clamp(min=float(bias.mean()) * 1e-3 + 1e-12)
        self.pairs: list[tuple[torch.Tensor, torch.Tensor, float]] = []
        self.scale = 1.0

    def _first(self, vector: torch.Tensor) -> torch.Tensor:
        moved = torch.empty_like(vector)
        torch.mm(vector[:, :-1], self.matrix, out=moved[:, :-1])
        torch.mul(vector[:, -1], self.bias, out=moved[:, -1])
        return moved

    def times(self, gradient: torch.Tensor) -> torch.Tensor:
        """The inverse Hessian times a gradient (C, R + 1), by the two loops of L-BFGS."""
        left = gradient.clone()
        shares = []
        for step, change, product in reversed(self.pairs):
            share = float((step * left).sum()) / product
            left -= share * change
            shares.append(share)
        found = self.scale * self._first(left)
        for (step, change, product), share in zip(self.pairs, reversed(shares), strict=True):
            found += (share - float((change * found).sum()) / product) * step
        return found

    def learn(self, step: torch.Tensor, change: torch.Tensor) -> None:
        """Take in a step and how the gradient changed along it."""
        product = float((step * change).sum())
        if product <= 1e-14 * float(step.square().sum()):
            return  # rounding: a convex function bends up
        self.pairs = [*self.pairs[1 - _MEMORY :], (step, change, product)]
        self.scale = product / float((change * self._first(change)).sum())


def _rotated(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Fewer items than features: these in as many directions as there are, and the directions.

    (N, D) -> (N, R), (D, R) with R < N: the weights lie where the items do, and the penalty does
    not see a rotation.
    """
    exact = features.double()
    _, spread, directions = torch.linalg.svd(exact, full_matrices=False)
    kept = spread.square() > _RANK * spread[0].square()
    kept[0] = True
    rotation = directions[kept].T.contiguous()
    return exact @ rotation, rotation


def as_tensor(array: NDArray[np.generic], device: str) -> torch.Tensor:
    """An array on a device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
