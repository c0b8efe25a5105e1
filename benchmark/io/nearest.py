"""What to say of a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], otherwise: str, cutoff: float = 0.6) -> str:
    """`did you mean 'logmel'?` where one of the known names is near, else the words given.

    Example:
        >>> nearest("logmle", ["logmel", "mfcc"], "see the list")
        "did you mean 'logmel'?"
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean {close[0]!r}?" if close else otherwise
