"""Clouds of points, and what scikit-learn fits on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def clouds(count: int, classes: int = 4, apart: float = 0.8, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    centres = apart * np.random.default_rng(99).standard_normal((classes, 10))
    labels = rng.integers(0, classes, count)
    labels[:classes] = np.arange(classes)
    rows = centres[labels] + rng.standard_normal((count, 10))
    return rows.astype(np.float32), labels


def by_scikit_learn(x: Any, y: Any, strength: float) -> Any:
    """A fitted pipeline of the same objective."""
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(C=1 / (strength * len(x)), tol=1e-10, max_iter=5000)
    return scaler, model.fit(scaler.transform(x), y)
