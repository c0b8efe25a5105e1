"""Every setting is a keyword of its function, with its default: seen by help() and by editors."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import earmark
from earmark.benchmark.reconstruction.settings import ReconstructionSettings
from earmark.benchmark.settings import RunSettings

# of these the default is worked out when a run begins, so the keyword's is None
LATER = {"data", "cache", "workers", "not_fetched"}
# the protocol's own fields that may be asked for in its place
OF_PROTOCOL = {"seeds", "failed_share", "language_model"}


@pytest.mark.parametrize(
    ("function", "settings", "others"),
    [
        (
            earmark.evaluate, RunSettings,
            {"encoder", "tasks", "weights", "layer", "on_result", *OF_PROTOCOL},
        ),
        (
            earmark.reconstruct, ReconstructionSettings,
            {"encoder", "data", "weights", "on_result", "track"},
        ),
    ],
)  # fmt: skip
def test_every_field_is_a_keyword_with_its_default(
    function: Callable[..., Any], settings: type, others: set[str]
) -> None:
    keywords = inspect.signature(function).parameters
    assert all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in keywords.values())
    fields = {field.name: field for field in dataclasses.fields(settings)}
    assert set(keywords) == set(fields) | others
    for name in set(fields) - others:
        assert keywords[name].kind is inspect.Parameter.KEYWORD_ONLY
        wanted = None if name in LATER else fields[name].default
        assert keywords[name].default == wanted, name
        assert name in (function.__doc__ or "")
