"""The linear probe as an estimator of scikit-learn's kind: arrays in, names out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from logistic_regression import by_scikit_learn, clouds
from scipy.special import logsumexp
from sklearn.metrics import average_precision_score
from sklearn.utils.estimator_checks import check_estimator

from earmark import LinearProbe


def test_estimator_is_one_of_scikit_learns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it skips
        assert check_estimator(LinearProbe(strengths=(1.0, 0.1))) is not None


def test_estimator_on_arrays() -> None:
    x, y = clouds(500)
    names = np.array(["cat", "dog", "fox", "owl"])[y]
    speakers = np.arange(500) // 5
    probe = LinearProbe().fit(x[:300], names[:300], sources=speakers[:300])
    scaler, other = by_scikit_learn(x[:300], names[:300], probe.fit_.strength)
    wanted = other.predict(scaler.transform(x[300:]))
    assert (probe.predict(x[300:]) == wanted).mean() > 0.995
    right = (wanted == names[300:]).mean()
    assert probe.score(x[300:], names[300:]) == pytest.approx(right, abs=0.01)
    assert probe.predict_proba(x[300:]).sum(axis=1) == pytest.approx(1)
    assert logsumexp(probe.decision_function(x[300:]), axis=1) == pytest.approx(0, abs=1e-5)
    mine = LinearProbe().fit(x[:200], names[:200], validation=(x[200:300], names[200:300]))
    assert not mine.fit_.refitted
    several = np.eye(4, dtype=int)[y]
    multi = LinearProbe().fit(x[:300], several[:300])
    assert multi.predict(x[300:]).shape == (200, 4)
    assert multi.score(x[300:], several[300:]) == pytest.approx(
        average_precision_score(several[300:], multi.decision_function(x[300:]))
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"X": np.full((40, 10), np.nan)}, "NaN"),
        ({"X": np.full((40, 10), np.inf)}, "infinity"),
        ({"y": np.arange(39)}, "inconsistent numbers of samples"),
        ({"y": np.linspace(0, 1, 40)}, "Unknown label type"),
        ({"sources": [1, 2]}, "sources must be one an item"),
        ({"validation": (np.zeros((3, 10)), [0, 1])}, "validation has 3 embeddings"),
        ({"strengths": (1.0, 10.0)}, "from strong to weak"),
        ({"strengths": (1.0, 0.0)}, "above 0"),
        ({"validation_share": 1.5}, "between 0 and 1"),
    ],
)
def test_bad_input_is_one_line(changes: dict[str, Any], words: str) -> None:
    x, y = clouds(40)
    settings = {k: changes.pop(k) for k in ("strengths", "validation_share") if k in changes}
    with pytest.raises(ValueError, match=words):
        LinearProbe(**settings).fit(**({"X": x, "y": y} | changes))
