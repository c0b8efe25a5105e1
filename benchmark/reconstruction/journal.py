"""What has been measured already: one file of lines, a line a clip, safe from a kill.

A journal is kept for one codec, device, set of metrics and their settings. A clip's lines are found
again by its bytes, so that whatever changes is measured anew; a killed run loses the clips in hand.
Each line begins with a digest of itself and of the journal's key. Damaged lines are dropped, which
is said, and their clips measured again.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from earmark.benchmark.io.files import write_atomically
from earmark.benchmark.io.progress import log
from earmark.benchmark.io.sealed import clear_folder, locked, say_bad

FORMAT = 2
_DIGITS = 32  # of the digest, as hex


class Journal:
    """Lines under `root`, by key and by clip.

    facts: everything but the clip that decides what is measured (plain JSON values).
    """

    def __init__(self, root: Path, facts: dict[str, Any], *, fresh: bool = False) -> None:
        text = json.dumps({"format": FORMAT, **facts}, sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()
        self.path = root / self.key[:2] / f"{self.key}.jsonl"
        self._known: dict[str, dict[int, dict[str, Any]]] = {}
        if os.path.lexists(self.path):
            with locked(self.path):
                if self.path.is_dir():
                    say_bad(self.path, "is a folder")
                    clear_folder(self.path)
                elif fresh:
                    self.path.unlink(missing_ok=True)
                else:
                    self._read()

    def _read(self) -> None:
        lines = self.path.read_bytes().splitlines(keepends=True)
        whole = [line for line in lines if self._take(line)]
        lost = len(lines) - len(whole)
        if lost:
            write_atomically(self.path, b"".join(whole))
            clips = "its clip is" if lost == 1 else "their clips are"
            log(f"{self.path}: {lost} of {len(lines)} lines damaged; {clips} measured again")

    def _take(self, line: bytes) -> bool:
        """Know what a line says; whether it is one that was written here, and whole."""
        content = line[_DIGITS + 1 : -1]
        if line != self._line(content):
            return False
        entry = json.loads(content)
        self._known.setdefault(entry["clip"], {})[entry["crop"]] = entry
        return True

    def _line(self, content: bytes) -> bytes:
        digest = hashlib.sha256(self.key.encode() + content).hexdigest()[:_DIGITS]
        return digest.encode() + b" " + content + b"\n"

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
        line = self._line(json.dumps(entry).encode())
        with locked(self.path), self.path.open("ab") as file:
            # in one piece, so that a kill cuts the last line at most
            os.write(file.fileno(), line)
        self._known.setdefault(clip, {})[crop] = entry
        return entry
