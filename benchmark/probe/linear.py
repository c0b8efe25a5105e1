"""The linear probe of clips: one strength of logistic regression, chosen on validation items.

Features are standardised by the items that are trained on. The strength with the least mean loss on
the validation items is taken; of equal ones the stronger. Measured on spoken digits and ESC-10 with
five encoders, that is within 0.001 and 0.012 of the best strength by test, where the accuracy of
the same items is within 0.005 and 0.025: a few dozen right or wrong answers are a coarse step
function, the loss is smooth. DINOv2 goes through strengths likewise (its eval/log_regression.py: 45
of them, by accuracy on a tenth).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.probe.heads import threads_worth
from earmark.benchmark.probe.logistic import (
    NEARLY,
    STRENGTHS,
    TOLERANCE,
    Path,
    Problem,
    Solution,
    as_tensor,
)
from earmark.benchmark.probe.standard import Standard
from earmark.benchmark.result.linear_fit import LinearFit

Labels = NDArray[np.int64] | NDArray[np.bool_]

BEYOND = 4  # strengths that are added at an end of the grid, where the best one is there
WITHOUT_VALIDATION = 1e-2  # the strength where no validation item is of a class that was trained on
_PATIENCE = 3  # strengths in a row ...
_RISEN = 1.1  # ... with so many times the least validation loss end a path
_RATIO = float(np.sqrt(10))
_FIRST = 1e-4  # to which a fit is brought that begins from another
_LOGITS = 1 << 24  # at once when predicting; bounds memory


@dataclass(frozen=True)
class LinearModel:
    """Logistic regression on standardised features. classes: C in all.

    weight, bias: (L, D), (L,) of the L classes that could be learned, whose numbers are `learned`.
    constant: (C,) what the others get: -inf where one of many has no training item; the logit of
    its share (n + 1/2) / (N + 1) where one of several labels has no item, or every one.
    """

    standard: Standard
    weight: torch.Tensor
    bias: torch.Tensor
    learned: torch.Tensor
    constant: torch.Tensor
    several: bool

    def scores(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """(M, D) -> (M, C) log-probabilities; of several labels logits."""
        made = np.empty((len(embeddings), len(self.constant)), np.float32)
        step = max(1, _LOGITS // max(made.shape[1], embeddings.shape[1]))
        for first in range(0, len(embeddings), step):
            rows = as_tensor(embeddings[first : first + step], str(self.weight.device))
            found = torch.addmm(self.bias, self.standard.of(rows), self.weight.T)
            if not self.several:
                found = torch.log_softmax(found, dim=1)
            every = self.constant.expand(len(rows), -1).clone()
            every[:, self.learned] = found
            made[first : first + step] = every.cpu().numpy()
        return made


def fit_linear(
    embeddings: NDArray[np.float32],
    labels: Labels,
    *,
    train: NDArray[np.int64],
    valid: NDArray[np.int64],
    every: NDArray[np.int64] | None,
    classes: int,
    clips: NDArray[np.int64] | None = None,
    device: str = "cpu",
    strengths: tuple[float, ...] = STRENGTHS,
    quick: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[LinearModel, LinearFit]:
    """Fit a probe to training items and choose its strength on validation items.

    embeddings: (N, D). labels: (N,) class numbers, or (N, C) bool. train, valid: indices of items.
    every: of those to fit again with the strength that was chosen; None: the fit to `train` is
    what is returned. clips: (N,) the number of each item's clip; the validation loss is of clips,
    whose items count together (see `clip_means`). on_progress(done, total) is called after each.
    quick: strengths are tried nearly to the least objective; the chosen one is then solved as far
    as ever, and the fit to `every` begins from it. What is returned is within the same bound, at
    half the passes or less, but not the same bits.
    """
    total = len(strengths) + (every is not None)

    def report(done: int) -> None:
        if on_progress is not None:
            on_progress(min(done, total), total)

    with threads_worth(len(train) * embeddings.shape[1] * classes):
        part = _Part.of(embeddings, labels, train, classes, device)
        chosen: Solution | None = None
        fit = LinearFit(WITHOUT_VALIDATION)
        if part.can_learn:
            loss = _validation_loss(part, embeddings, labels, valid, clips)
            chosen, fit = _choose(part.problem(), loss, strengths, report, quick)
        if every is not None:
            before, part = part, _Part.of(embeddings, labels, every, classes, device)
            fit = replace(fit, refitted=True)
            if part.can_learn:
                begin = part.seen_from(before, chosen) if quick else None
                chosen, fit = _refitted(part.problem(), fit, strengths, begin)
        report(total)
        return part.model(chosen), fit


def clip_means(scores: NDArray[Any], clips: NDArray[np.int64]) -> NDArray[Any]:
    """Mean of each clip's items, which lie together: (M, C) and (M,) -> (clips, C)."""
    starts = first_of_clips(clips)
    if len(starts) == len(clips):
        return scores
    sizes = np.diff(np.append(starts, len(clips)))
    sums = np.add.reduceat(scores.astype(np.float64), starts, axis=0)
    means: NDArray[Any] = (sums / sizes[:, None]).astype(scores.dtype)
    return means


def first_of_clips(clips: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of the first item of each clip, whose items lie together."""
    return np.flatnonzero(np.append(True, clips[1:] != clips[:-1]))


@dataclass(frozen=True)
class _Part:
    """Training items as a problem, with what is not in it."""

    standard: Standard
    learned: NDArray[np.int64]
    constant: NDArray[np.float64]
    several: bool
    features: torch.Tensor
    targets: torch.Tensor
    device: str

    @classmethod
    def of(
        cls,
        embeddings: NDArray[np.float32],
        labels: Labels,
        rows: NDArray[np.int64],
        classes: int,
        device: str,
    ) -> _Part:
        own, several = labels[rows], labels.ndim == 2
        counts = own.sum(axis=0) if several else np.bincount(own, minlength=classes)
        learned = np.flatnonzero((counts > 0) & (counts < len(rows) if several else True))
        share = (counts + 0.5) / (len(rows) + 1)
        constant = np.log(share / (1 - share)) if several else np.full(classes, -np.inf)
        trained = embeddings[rows]
        standard = Standard.over([trained], device)
        features = standard.of(as_tensor(trained, device))
        if several:
            targets = as_tensor(own[:, learned], device)
        else:
            place = np.zeros(classes, np.int64)
            place[learned] = np.arange(len(learned))
            targets = as_tensor(place[own], device)
        return cls(standard, learned, constant, several, features, targets, device)

    def problem(self) -> Problem:
        return Problem(self.features, self.targets, len(self.learned))

    @property
    def can_learn(self) -> bool:
        """Whether there are classes to be told apart."""
        return len(self.learned) >= (1 if self.several else 2)

    def seen_from(
        self, other: _Part, solution: Solution | None
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Weights and biases of another part's solution for the features as this one has them.

        None where there is no solution, or other classes can be learned.
        """
        if solution is None or not np.array_equal(self.learned, other.learned):
            return None
        ours, theirs = self.standard.factor.double(), other.standard.factor.double()
        weight = solution.weight * torch.where(ours > 0, theirs / ours, 0.0)
        apart = (self.standard.mean - other.standard.mean).double() * theirs
        return weight, solution.bias + solution.weight @ apart

    def model(self, solution: Solution | None) -> LinearModel:
        """solution: None where there was nothing to be told apart."""
        nothing = torch.zeros(len(self.learned), self.features.shape[1], device=self.device)
        weight, bias = (nothing, nothing[:, 0]) if solution is None else (
            solution.weight.float(), solution.bias.float()
        )  # fmt: skip
        return LinearModel(
            self.standard, weight, bias,
            as_tensor(self.learned, self.device),
            as_tensor(self.constant.astype(np.float32), self.device), self.several,
        )  # fmt: skip


def _validation_loss(
    part: _Part,
    embeddings: NDArray[np.float32],
    labels: Labels,
    valid: NDArray[np.int64],
    clips: NDArray[np.int64] | None,
) -> Callable[[Solution], float] | None:
    """Mean loss of validation clips at a solution; None where none has a learned class."""
    if not part.several:
        valid = valid[np.isin(labels[valid], part.learned)]
    if len(valid) == 0:
        return None
    own_clips = np.arange(len(valid)) if clips is None else clips[valid]
    rows = embeddings[valid]
    wanted = labels[valid][first_of_clips(own_clips)]

    def loss(solution: Solution) -> float:
        scores = clip_means(part.model(solution).scores(rows), own_clips)
        if not part.several:
            return float(-scores[np.arange(len(wanted)), wanted].astype(np.float64).mean())
        logits = scores[:, part.learned].astype(np.float64)
        each = np.logaddexp(0, logits) - logits * wanted[:, part.learned]
        return float(each.sum(axis=1).mean())

    return loss


def _choose(
    problem: Problem,
    loss: Callable[[Solution], float] | None,
    strengths: tuple[float, ...],
    report: Callable[[int], None],
    quick: bool,
) -> tuple[Solution, LinearFit]:
    """The solution with the least validation loss, and how it was found."""
    if loss is None:
        solution = Path(problem).solve(WITHOUT_VALIDATION)
        return solution, LinearFit(
            WITHOUT_VALIDATION, passes=solution.passes, gradient_norm=solution.gradient_norm,
            converged=solution.converged,
        )  # fmt: skip
    search = _Search(loss, report, NEARLY if quick else TOLERANCE)
    weaker = (strengths[-1] / _RATIO**more for more in range(1, BEYOND + 1))
    stronger = (strengths[0] * _RATIO**more for more in range(1, BEYOND + 1))
    path = Path(problem)
    search.along(path, strengths)
    if search.best_strength == strengths[-1]:
        search.along(path, weaker, while_best=True)
    elif search.best_strength == strengths[0]:
        search.along(Path(problem), stronger, while_best=True)
    if quick:
        search.finish(Path(problem))
    tried = sorted(search.losses, reverse=True)
    assert search.best is not None
    fit = LinearFit(
        strength=search.best_strength,
        strengths=tried,
        validation_loss=[search.losses[strength] for strength in tried],
        passes=search.passes,
        gradient_norm=search.best.gradient_norm,
        converged=search.converged,
        at_end=len(tried) > 1 and search.best_strength in (tried[0], tried[-1]),
    )
    return search.best, fit


class _Search:
    """Goes along a path of strengths and keeps the best solution."""

    def __init__(
        self,
        loss: Callable[[Solution], float],
        report: Callable[[int], None],
        tolerance: float,
    ) -> None:
        self.loss, self.report, self.tolerance = loss, report, tolerance
        self.losses: dict[float, float] = {}
        self.best: Solution | None = None
        self.best_strength = np.nan
        self.passes, self.converged = 0, True

    def along(self, path: Path, strengths: Iterable[float], while_best: bool = False) -> None:
        """Try strengths until the loss has risen, or `while_best` until one is not the best."""
        risen = 0
        for strength in strengths:
            solution = path.solve(strength, self.tolerance)
            self.passes += solution.passes
            self.converged &= solution.converged
            found = self.losses[strength] = self.loss(solution)
            self.report(len(self.losses))
            if self.best is None or self._better(found, strength):
                self.best, self.best_strength = solution, strength
                risen = 0
            elif while_best:
                return
            risen = risen + 1 if found > _RISEN * self.losses[self.best_strength] else 0
            if risen == _PATIENCE:
                return

    def finish(self, path: Path) -> None:
        """Solve the best strength to the end, from where it was found."""
        assert self.best is not None
        path.begin_at(self.best.weight, self.best.bias, self.best_strength)
        self.best = path.solve(self.best_strength)
        self.passes += self.best.passes
        self.converged &= self.best.converged
        self.losses[self.best_strength] = self.loss(self.best)

    def _better(self, found: float, strength: float) -> bool:
        least = self.losses[self.best_strength]
        return found < least or (found == least and strength > self.best_strength)


def _refitted(
    problem: Problem,
    fit: LinearFit,
    strengths: tuple[float, ...],
    begin: tuple[torch.Tensor, torch.Tensor] | None,
) -> tuple[Solution, LinearFit]:
    """The solution at a fit's strength for other items. begin: weights and biases near it."""
    path, passes = Path(problem), fit.passes
    steps = [(strength, TOLERANCE) for strength in _way_to(fit.strength, strengths)]
    if begin is not None:
        path.begin_at(*begin, fit.strength)
        # what shapes the steps is taken anew near the solution
        steps = [(fit.strength, _FIRST), (fit.strength, TOLERANCE)]
    for strength, tolerance in steps:
        solution = path.solve(strength, tolerance)
        passes += solution.passes
    converged = fit.converged and solution.converged
    return solution, replace(
        fit, passes=passes, gradient_norm=solution.gradient_norm, converged=converged
    )


def _way_to(strength: float, strengths: tuple[float, ...]) -> list[float]:
    """Every second strength above one, and it: begun at a weak one, the solver takes thousands of
    passes where this way takes a hundred."""
    return [*(above for above in strengths[::2] if above > strength), strength]
