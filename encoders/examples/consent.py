"""That a user allows other people's code to run, and which commit of it there is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from earmark.encoders.encoder import EncoderError
from earmark.encoders.examples import ALLOW


def need_consent(name: str, code: str, commit: str) -> None:
    """Raise EncoderError, one line, unless the user allows the code of a repository to run."""
    if os.environ.get(ALLOW) != "1":
        raise EncoderError(
            f"encoder {name!r} runs the code of {code} at commit {commit[:8]}, which nobody here "
            f"has checked; read it, and set {ALLOW}=1 to let it run"
        )


def checked_out(
    name: str, folder: str | Path | None, variable: str, code: str, commit: str
) -> Path:
    """A clone of a repository at a commit, whose modules can be imported from then on.

    folder: the clone; None: what the environment variable `variable` names. Raises EncoderError,
    one line, where there is none, or where it is at another commit.
    """
    place = folder or os.environ.get(variable)
    how = f"git clone {code} FOLDER && git -C FOLDER checkout {commit}"
    if not place:
        raise EncoderError(f"encoder {name!r}: {variable} names no folder; {how}")
    found = _head(place)
    if found != commit:
        there = f"is at commit {found[:8]}" if found else "is no clone"
        raise EncoderError(f"encoder {name!r}: {place} {there}; {how}")
    sys.path.insert(0, str(Path(place).resolve()))
    return Path(place).resolve()


def _head(folder: str | Path) -> str:
    """The commit of a clone; empty where it is none, or where there is no git."""
    try:
        asked = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True,
            check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ""
    return asked.stdout.strip()
