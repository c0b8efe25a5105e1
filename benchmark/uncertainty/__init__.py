"""Intervals and paired tests: scores again without each source."""
