"""JSON of results: no NaN, no key twice, whatever the depth."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.benchmark.io.strict_json import parse, without_nan

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(LEAVES, lambda x: st.lists(x) | st.dictionaries(st.text(), x))


@given(VALUES)
def test_what_is_written_without_nan_is_read_by_any_parser(value: Any) -> None:
    text = json.dumps(without_nan(value), allow_nan=False)
    assert parse(text) == json.loads(text) == expected(value)


def expected(value: Any) -> Any:
    if isinstance(value, list):
        return [expected(inner) for inner in value]
    if isinstance(value, dict):
        return {key: expected(inner) for key, inner in value.items()}
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if finite else None


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"x": 0, "a": 2, "a": 3}}]'])
def test_a_key_that_is_there_twice_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="the key 'a' twice in one object"):
        parse(text)


def test_one_key_in_two_objects_is_fine() -> None:
    assert parse('{"a": {"a": 1}, "b": [{"a": 2}]}') == {"a": {"a": 1}, "b": [{"a": 2}]}
