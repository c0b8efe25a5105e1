"""Word and character errors: by hand, and against Levenshtein's table."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.metric import character_edits, word_edits


def levenshtein(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Row i, column j: edits from the first i of the reference to the first j of the other."""
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, start=1):
        above, row = row, [i]
        for j, found in enumerate(hypothesis, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (wanted != found)))
    return row[-1]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "words", "characters"),
    [
        ("the cat sat", "the cat sat", (0, 3), (0, 11)),
        ("the cat sat", "the bat sat", (1, 3), (1, 11)),  # one replaced
        ("the cat sat", "the sat", (1, 3), (4, 11)),  # "cat " is left out
        ("the cat sat", "the cat sat down", (1, 3), (5, 11)),  # " down" is added
        ("the cat sat", "", (3, 3), (11, 11)),
        ("a", "b c d", (3, 1), (5, 1)),  # more errors than words: one replaced, the rest added
        ("into", "in to", (2, 1), (1, 4)),  # one replaced and one added; one space
        ("in to", "into", (2, 2), (1, 5)),
        ("it's", "its", (1, 1), (1, 4)),
        ("a b c d", "b c d a", (2, 4), (4, 7)),  # "a" out in front, in behind
    ],
)
def test_edits_by_hand(
    reference: str, hypothesis: str, words: tuple[int, int], characters: tuple[int, int]
) -> None:
    assert word_edits(reference, hypothesis) == words
    assert character_edits(reference, hypothesis) == characters
    assert levenshtein(reference.split(), hypothesis.split()) == words[0]
    assert levenshtein(reference, hypothesis) == characters[0]


TEXTS = st.lists(st.text("ab'", min_size=1, max_size=3), max_size=7).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(TEXTS.filter(bool), TEXTS)
def test_edits_as_levenshtein(reference: str, hypothesis: str) -> None:
    words = reference.split()
    assert word_edits(reference, hypothesis) == (
        levenshtein(words, hypothesis.split()),
        len(words),
    )
    assert character_edits(reference, hypothesis) == (
        levenshtein(reference, hypothesis),
        len(reference),
    )


def test_blanks_alone_are_no_words() -> None:
    """What a probe may spell: nothing but spaces."""
    assert word_edits("two words", "  ") == (2, 2)
    assert character_edits("two words", "  ") == (9, 9)
