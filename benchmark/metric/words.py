"""Word and character edits of a transcript, counted by jiwer (Levenshtein distance)."""

from __future__ import annotations

import jiwer


def word_edits(reference: str, hypothesis: str) -> tuple[int, int]:
    """Words inserted, deleted and replaced, and words of the reference; their ratio is the WER."""
    found = jiwer.process_words(reference, hypothesis)
    errors = found.substitutions + found.deletions + found.insertions
    return errors, found.hits + found.substitutions + found.deletions


def character_edits(reference: str, hypothesis: str) -> tuple[int, int]:
    """As `word_edits`, of characters; spaces count."""
    found = jiwer.process_characters(reference, hypothesis)
    errors = found.substitutions + found.deletions + found.insertions
    return errors, found.hits + found.substitutions + found.deletions
