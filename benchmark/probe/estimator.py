"""`LinearProbe`: the linear probe of the benchmark on arrays, as scikit-learn's estimators go."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from earmark.benchmark.metric import mean_average_precision
from earmark.benchmark.probe.linear import fit_linear
from earmark.benchmark.probe.logistic import STRENGTHS, as_tensor


class LinearProbe(ClassifierMixin, BaseEstimator):
    """Logistic regression on standardised embeddings, its strength chosen on held out items.

    What `benchmark` scores embeddings with, for embeddings of your own: multinomial for one label
    an item, one a class for several. Deterministic; converged (`fit_.converged`). Source: protocol
    `strict`, see `earmark.benchmark.probe.linear` and `earmark.benchmark.probe.logistic`.

    Args:
        strengths: L2 penalties to choose from, from strong to weak, as factors of |W|^2 / 2 beside
            the mean loss; by default 10, 10^0.5, ... 10^-6, and up to four more at an end. In
            scikit-learn's terms C = 1 / (N x strength) for N items.
        validation_share: of the items, above 0 and below 1, held out for the choice where `fit` is
            given no validation part; then the fit is repeated on all of them.
        device: `cpu` or `cuda`.

    Attributes:
        classes_: (C,) the labels, sorted.
        fit_: strength, validation losses, convergence (`LinearFit`).
        several_: whether an item may have several labels.
        n_features_in_: D.

    Example:
        >>> from earmark import LinearProbe
        >>> probe = LinearProbe().fit(train_embeddings, train_labels, sources=train_speakers)
        >>> probe.score(test_embeddings, test_labels)
    """

    def __init__(
        self,
        strengths: tuple[float, ...] = STRENGTHS,
        validation_share: float = 0.1,
        device: str = "cpu",
    ) -> None:
        self.strengths = strengths
        self.validation_share = validation_share
        self.device = device

    def fit(
        self,
        X: ArrayLike,  # noqa: N803 - scikit-learn's name
        y: ArrayLike,
        *,
        sources: ArrayLike | None = None,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> LinearProbe:
        """Fit to embeddings and labels.

        Args:
            X: (N, D) embeddings.
            y: (N,) labels of any kind, or (N, C) of 0 and 1.
            sources: (N,) which recording or speaker an item is from: whole sources are held out.
            validation: embeddings and labels of a validation part of your own: the fit is to X
                alone.

        Returns:
            The probe itself.

        Raises:
            ValueError: NaN or infinite values, lengths that do not agree, labels that are no
                classes, a strength that is not above 0. One line.
        """
        strengths = self._checked_strengths()
        rows, given = validate_data(self, X, y, multi_output=True, dtype=np.float32)
        given = column_or_1d(given, warn=True) if given.shape[1:] == (1,) else given
        kind = type_of_target(given, input_name="y", raise_unknown=True)
        self.several_ = kind == "multilabel-indicator"
        if not self.several_ and kind not in ("binary", "multiclass"):
            raise ValueError(
                f"Unknown label type: {kind!r}; labels must be classes, (N,), or (N, C) of 0 and 1"
            )
        labels: NDArray[Any]
        if self.several_:
            self.classes_ = np.arange(given.shape[1])
            labels = np.asarray(given, np.bool_)
        else:
            self.classes_, labels = np.unique(given, return_inverse=True)
        count, every = len(rows), np.arange(len(rows))
        train, valid = every, np.zeros(0, np.int64)
        if validation is not None:
            more, wanted = self._validation(validation)
            rows, labels = np.concatenate([rows, more]), np.concatenate([labels, wanted])
            valid = np.arange(count, len(rows))
        else:
            held = self._held_out(count, sources)
            train, valid = every[~held], every[held]
        self.model_, self.fit_ = fit_linear(
            rows, labels, train=train, valid=valid, every=None if validation is not None else every,
            classes=len(self.classes_), device=self.device, strengths=strengths,
        )  # fmt: skip
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """What decides between labels.

        Args:
            X: (M, D) embeddings.

        Returns:
            (M, C) log-probabilities; of two classes (M,) the log-odds of the second; of several
            labels (M, C) logits.
        """
        scores = self._scores(X)
        if len(self.classes_) == 2 and not self.several_:
            odds: NDArray[np.float64] = scores[:, 1] - scores[:, 0]
            return odds
        return scores

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """How likely each label is.

        Args:
            X: (M, D) embeddings.

        Returns:
            (M, C) probabilities, which sum to 1; of several labels each by itself.
        """
        scores = self._scores(X)
        if self.several_:
            each: NDArray[np.float64] = expit(scores)
            return each
        shares: NDArray[np.float64] = np.exp(scores)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """The likeliest label.

        Args:
            X: (M, D) embeddings.

        Returns:
            (M,) labels; of several labels (M, C), 1 where likelier than not.
        """
        scores = self._scores(X)
        if self.several_:
            return (scores > 0).astype(np.int64)
        found: NDArray[Any] = self.classes_[scores.argmax(axis=1)]
        return found

    def score(
        self,
        X: ArrayLike,  # noqa: N803
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Accuracy; of several labels mAP over the classes that have a positive item.

        Args:
            X: (M, D) embeddings.
            y: (M,) labels, or (M, C) of 0 and 1.
            sample_weight: (M,) weights; of one label only.

        Returns:
            A share in 0..1.
        """
        if self.several_:
            return mean_average_precision(np.asarray(y, np.bool_), self._scores(X))
        return float(super().score(X, y, sample_weight))

    def _scores(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float32)
        model = self.model_
        standard = model.standard.of(as_tensor(rows, str(model.weight.device)))
        # in float64: a row alone has the scores that it has among others, on every processor
        features, weight, bias = (
            one.cpu().double() for one in (standard, model.weight, model.bias)
        )
        found = torch.addmm(bias, features, weight.T)
        if not model.several:
            found = torch.log_softmax(found, dim=1)
        every = model.constant.cpu().double().expand(len(rows), -1).clone()
        every[:, model.learned.cpu()] = found
        scores: NDArray[np.float64] = every.numpy()
        return scores

    def _checked_strengths(self) -> tuple[float, ...]:
        strengths = tuple(float(strength) for strength in self.strengths)
        falling = all(a > b for a, b in itertools.pairwise(strengths))
        if not strengths or not falling or not 0 < strengths[-1] < strengths[0] + 1 < np.inf:
            raise ValueError(
                f"strengths must be finite numbers above 0 from strong to weak, not {strengths!r}"
            )
        if not 0 < self.validation_share < 1:
            raise ValueError(
                f"validation_share must be between 0 and 1, not {self.validation_share!r}"
            )
        return strengths

    def _validation(self, validation: tuple[ArrayLike, ArrayLike]) -> tuple[Any, Any]:
        """Embeddings and labels of a validation part, without items of classes unknown to y."""
        more = validate_data(self, validation[0], reset=False, dtype=np.float32)
        wanted = np.asarray(validation[1])
        if len(wanted) != len(more) or (self.several_ and wanted.shape[1:] != self.classes_.shape):
            raise ValueError(
                f"validation has {len(more)} embeddings and labels of shape {wanted.shape}"
            )
        if self.several_:
            return more, wanted.astype(np.bool_)
        known = np.isin(wanted, self.classes_)
        return more[known], np.searchsorted(self.classes_, wanted[known])

    def _held_out(self, count: int, sources: ArrayLike | None) -> NDArray[np.bool_]:
        """Which items choose the strength: whole sources, in the order of their names' SHA-256."""
        own = np.arange(count) if sources is None else np.asarray(sources)
        if own.shape != (count,):
            raise ValueError(f"sources must be one an item, ({count},), not {own.shape}")
        names, numbers, sizes = np.unique(own, return_inverse=True, return_counts=True)
        ranks = [hashlib.sha256(f"validation {name}".encode()).digest() for name in names]
        held = np.zeros(len(names), np.bool_)
        for place in sorted(range(len(names)), key=ranks.__getitem__):
            enough = sizes[held].sum() >= self.validation_share * count
            if enough or held.sum() == len(names) - 1:
                break
            if sizes[held].sum() + sizes[place] <= 2 * max(1, self.validation_share * count):
                held[place] = True
        chosen: NDArray[np.bool_] = held[numbers]
        return chosen
