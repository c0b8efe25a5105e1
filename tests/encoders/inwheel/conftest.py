"""The packages with the weights, for the tests of this folder."""

from inwheel_packages import packages  # noqa: F401
