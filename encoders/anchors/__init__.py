"""Codecs that need no weights: what a learned codec's loss is to be read against."""
