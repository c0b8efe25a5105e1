"""Bounds of the numbers that a caller chooses: what passes, and the one line for what does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from earmark.benchmark.bounds import (
    check_count,
    check_fraction,
    check_positive,
    check_positive_int,
)

NO_NUMBERS = (True, False, "1", None, [1], 1j)


@pytest.mark.parametrize(
    ("check", "good", "bad", "said"),
    [
        (check_positive_int, (1, 10**30), (0, -1, 1.0, 0.5), "a whole number above 0"),
        (check_count, (0, 1), (-1, 0.0, 2.0), "a whole number, 0 or more"),
        (
            check_positive, (1, 1e-300, 10**30), (0, 0.0, -1, math.inf, -math.inf, math.nan),
            "a number above 0",
        ),
        (check_fraction, (0, 0.0, 0.5, 1), (-1e-300, 1.1, 2, math.nan), "a share from 0 to 1"),
    ],
)  # fmt: skip
def test_bounds(
    check: Callable[[str, Any], None], good: tuple[Any, ...], bad: tuple[Any, ...], said: str
) -> None:
    for value in good:
        check("limit", value)
    for value in (*bad, *NO_NUMBERS):
        with pytest.raises(ValueError, match=r"^limit must be ") as caught:
            check("limit", value)
        assert str(caught.value) == f"limit must be {said}, not {value!r}"
