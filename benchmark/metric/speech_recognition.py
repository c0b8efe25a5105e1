"""Word and character edits of a transcript, counted by jiwer (Levenshtein distance)."""

from __future__ import annotations

from collections.abc import Callable

import jiwer
import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.result.schema import Predictions


def word_edits(reference: str, hypothesis: str) -> tuple[int, int]:
    """Count the words that are wrong.

    Args:
        reference: what was said; one word at least.
        hypothesis: what was recognised.

    Returns:
        Words inserted, deleted and replaced, and words of the reference; their ratio is the WER.

    Example:
        >>> word_edits("a dog barks", "a frog barks twice")
        (2, 3)
    """
    found = jiwer.process_words(reference, hypothesis)
    errors = found.substitutions + found.deletions + found.insertions
    return errors, found.hits + found.substitutions + found.deletions


def character_edits(reference: str, hypothesis: str) -> tuple[int, int]:
    """As `word_edits`, of characters; spaces count.

    Example:
        >>> character_edits("a dog", "a fog")
        (1, 5)
    """
    found = jiwer.process_characters(reference, hypothesis)
    errors = found.substitutions + found.deletions + found.insertions
    return errors, found.hits + found.substitutions + found.deletions


def edit_counts(
    predictions: Predictions,
    _: str = "linear",
    __: int | None = None,
    *,
    edits: Callable[[str, str], tuple[int, int]] = word_edits,
) -> NDArray[np.float64]:
    """`word_edits`, or others, of each item's transcript by each seed, in lower case: (N, S, 2)."""
    texts = zip(predictions.labels.tolist(), predictions.linear.tolist(), strict=True)
    return np.array(
        [[edits(wanted.lower(), text.lower()) for text in found] for wanted, found in texts],
        np.float64,
    )


def share_right(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """max(0, 1 - WER) of summed errors and words: (..., 2) -> (...), shares in 0..1."""
    return np.maximum(0.0, 1 - sums[..., 0] / sums[..., 1])
