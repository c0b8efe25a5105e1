"""Folders that are meant where none is named."""

from __future__ import annotations

import os
from pathlib import Path


def default_data() -> str:
    """Where shards are looked for: $EARMARK_DATA, else `data`."""
    return os.environ.get("EARMARK_DATA") or "data"


def default_cache() -> Path:
    """Where embeddings and synthetic audio are kept: $EARMARK_CACHE, else ~/.cache/earmark."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("EARMARK_CACHE") or Path(base) / "earmark")


def zenodo_address() -> str:
    """Where the tasks' records are: $EARMARK_ZENODO (a mirror), else https://zenodo.org."""
    return os.environ.get("EARMARK_ZENODO") or "https://zenodo.org"
