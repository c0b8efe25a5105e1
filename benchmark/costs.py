"""What an encoder costs, by the names that costs are asked for."""

from __future__ import annotations

PARAMETERS, VALUES, BITS, SPEED = COSTS = ("parameters", "values", "bits", "speed")
"""Weights; values and bits of the output a second; seconds of audio embedded in a second."""
