"""From heads and neighbours to scores: metric, spread over seeds, interval over sources."""

from earmark.benchmark.score.run import score_items
from earmark.benchmark.score.scored import Scored
from earmark.benchmark.score.shots import add_shots

__all__ = ["Scored", "add_shots", "score_items"]
