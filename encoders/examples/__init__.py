"""Encoder files that run a repository's own code: examples, for users who allow it.

None of them was ever run on its released weights by those who wrote it: they were checked against
the interface that the repository documents, with a stand-in for the model.
"""

from __future__ import annotations

from pathlib import Path

ALLOW = "EARMARK_RUN_THEIR_CODE"  # environment variable that lets them run, at 1
# File and class -> what it is; for `list encoders`.
EXAMPLES = {
    "spear.py:Spear": "SPEAR XLarge: 16000 Hz, about 50/s, 1280",
    "semanticodec.py:SemantiCodecTokens": "SemantiCodec: 16000 Hz, 6.25/s, 1536",
    "xy_tokenizer.py:XYTokenizer": "XY-Tokenizer: 16000 Hz, 12.5/s, 3072",
}
FOLDER = Path(__file__).resolve().parent
