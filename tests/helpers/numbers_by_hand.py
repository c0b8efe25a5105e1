"""Numbers as texts, by the book."""

from __future__ import annotations

from fractions import Fraction


def by_hand(value: float, digits: int = 3) -> str:
    """Half to even of the number to ten decimals, in whole numbers."""
    tenth = round(Fraction(value) * 10**10)
    whole = round(Fraction(tenth, 10 ** (10 - digits)))
    text = str(abs(whole)).rjust(digits + 1, "0")
    text = f"{text[:-digits]}.{text[-digits:]}" if digits else text
    return f"-{text}" if whole < 0 else text
