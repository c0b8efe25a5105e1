"""The table of label kinds: what follows from a row, and how labels read."""

from __future__ import annotations

import pytest

from earmark.tasks import LABEL_KINDS
from earmark.tasks.spec import Event


@pytest.mark.parametrize(
    ("kind", "of_clips", "timed", "one_class"),
    [
        ("class", True, False, True), ("multilabel", True, False, False),
        ("events", False, True, False), ("notes", False, True, False),
        ("captions", False, False, False), ("transcript", False, False, False),
    ],
)  # fmt: skip
def test_what_a_kind_is(kind: str, of_clips: bool, timed: bool, one_class: bool) -> None:
    row = LABEL_KINDS[kind]
    assert (row.of_clips, row.timed, row.one_class) == (of_clips, timed, one_class)


@pytest.mark.parametrize(
    ("kind", "label", "text"),
    [
        ("class", (1,), "rain"),
        ("multilabel", (0, 1), "dog; rain"),
        ("events", (Event(0.5, 2.0, 1),), "rain 0.5-2 s"),
        ("notes", (Event(0, 0.25, 0), Event(1, 1.5, 1)), "dog 0-0.25 s; rain 1-1.5 s"),
        ("captions", ("a dog", "it barks"), "a dog it barks"),
        ("transcript", ("yes",), "yes"),
    ],
)
def test_labels_as_people_read_them(kind: str, label: tuple[object, ...], text: str) -> None:
    assert LABEL_KINDS[kind].describe(label, ("dog", "rain")) == text
