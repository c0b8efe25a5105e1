"""What has been measured already: one file of lines, a line a clip, safe from a kill.

A journal is kept for one codec, device, set of metrics and their settings. A clip's lines are found
again by its bytes, so that whatever changes is measured anew; a killed run loses the clips in hand.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

FORMAT = 1


class Journal:
    """Lines under `root`, by key and by clip.

    facts: everything but the clip that decides what is measured (plain JSON values).
    """

    def __init__(self, root: Path, facts: dict[str, Any], *, fresh: bool = False) -> None:
        text = json.dumps({"format": FORMAT, **facts}, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        self.path = root / key[:2] / f"{key}.jsonl"
        self._known: dict[str, dict[int, dict[str, Any]]] = {}
        self._whole_lines = True
        if fresh:
            self.path.unlink(missing_ok=True)
        self._read()

    def _read(self) -> None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        self._whole_lines = data.endswith(b"\n") or not data
        for line in data.splitlines():
            try:
                entry = json.loads(line)
                self._known.setdefault(entry["clip"], {})[entry["crop"]] = entry
            except (ValueError, KeyError, TypeError):
                continue  # cut off by a kill; its clip is measured again

    def of(self, clip: str) -> list[dict[str, Any]] | None:
        """A clip's entries, crop by crop; None unless all of its crops are there."""
        entries = self._known.get(clip)
        if entries is None:
            return None
        count = next(iter(entries.values())).get("crops")
        if not isinstance(count, int) or sorted(entries) != list(range(count)):
            return None
        return [entries[crop] for crop in range(count)]

    def add(self, clip: str, crop: int, crops: int, measured: dict[str, Any]) -> dict[str, Any]:
        """Write an entry down at once, and return it. measured: plain JSON values."""
        entry = {"clip": clip, "crop": crop, "crops": crops, **measured}
        line = json.dumps(entry) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            # in one piece, so that two runs at once do not cut each other's lines
            os.write(file.fileno(), (line if self._whole_lines else f"\n{line}").encode())
        self._whole_lines = True
        self._known.setdefault(clip, {})[crop] = entry
        return entry
