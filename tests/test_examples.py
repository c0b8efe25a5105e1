"""Examples in docstrings that need no audio and no results say what comes of them."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from earmark.benchmark import readouts
from earmark.benchmark.io import markdown, nearest
from earmark.benchmark.shards import annotations
from earmark.benchmark.uncertainty import order
from earmark.tasks import spec


@pytest.mark.parametrize("module", [annotations, markdown, nearest, order, readouts, spec])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert failed == 0 < tried
