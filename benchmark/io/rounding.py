"""How numbers are rounded wherever they are shown: terminal, Markdown, LaTeX, page, `check`.

As by hand, in decimal, a tie to the even digit: 0.1315 is 0.132, 0.1325 too. A binary number is
seldom the decimal that is meant: the mean of two seeds may be 0.13149999999999998 where their
share is 0.1315. So the tenth decimal is where the number is first taken to be exact: sums are off
by a millionth of that.

The page does the same in `templates/elements.js`.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal

EXACT = 10  # decimals
_ANY_SIZE = Context(prec=400, rounding=ROUND_HALF_EVEN)


def rounded(value: float, digits: int = 3, *, sign: bool = False) -> str:
    """A number with so many decimals, at most EXACT; `nan` and `inf` as Python writes them.

    sign: with `+` too. What comes out as nought has no sign.
    """
    value = float(value)
    if not math.isfinite(value):
        return f"{value:+f}" if sign else f"{value:f}"
    exact = Decimal(f"{value:.{EXACT}f}")
    number = exact.quantize(Decimal(1).scaleb(-digits), context=_ANY_SIZE)
    if not number:
        return f"{abs(number):f}"
    return f"{number:+f}" if sign else f"{number:f}"
