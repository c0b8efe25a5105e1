"""Two encoders on the same items, source by source.

Predictions -> what each item adds -> both scores without each source -> the difference, with its
interval and p-value.
"""

from benchmark.paired.best import best_cells
from benchmark.paired.cells import LeftOut, Pair, Side, pairs_of, side_of
from benchmark.paired.significance import Difference, difference_of, holm, mean_difference

__all__ = [
    "Difference", "LeftOut", "Pair", "Side", "best_cells", "difference_of", "holm",
    "mean_difference", "pairs_of", "side_of",
]  # fmt: skip
