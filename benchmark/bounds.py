"""Bounds of the numbers that a caller chooses. Each check raises ValueError with one line."""

from __future__ import annotations

import math
import re
from typing import Any


def check_positive_int(name: str, value: Any) -> None:
    """A whole number above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number above 0, not {value!r}")


def check_count(name: str, value: Any) -> None:
    """A whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} must be a whole number, 0 or more, not {value!r}")


def check_positive(name: str, value: Any) -> None:
    """A finite number above 0."""
    if not _is_number(value) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, not {value!r}")


def check_fraction(name: str, value: Any) -> None:
    """A number from 0 to 1."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a share from 0 to 1, not {value!r}")


def check_device(value: Any) -> None:
    """`auto`, or a device as torch names it; whether it is there is asked later."""
    if not isinstance(value, str) or not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]{1,4})?", value):
        raise ValueError(f"device must be auto, cpu, cuda, cuda:N or mps, not {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
