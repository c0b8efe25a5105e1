"""What an exception becomes in a result: one line, and a traceback where nobody expected it."""

from __future__ import annotations

import traceback
from typing import NamedTuple

from earmark.benchmark.shards.dataset import DataError
from earmark.benchmark.shards.shard import ShardError
from earmark.encoders import EncoderError


class Described(NamedTuple):
    """reason: one line. facts: what the result's `run` holds of it, `traceback` or nothing."""

    reason: str
    facts: dict[str, str]


def described(error: Exception) -> Described:
    """The failure that an exception stands for.

    Errors in data, shards and encoders say what, where and how to fix it; those of the system say
    what could not be read or written; of all others the traceback is kept.
    """
    words = " ".join(str(error).split())
    if isinstance(error, DataError | ShardError | EncoderError):
        return Described(str(error), {})
    if isinstance(error, OSError):
        return Described(f"cannot read or write: {words}", {})
    trace = "".join(traceback.format_exception(error))
    return Described(f"unexpected {type(error).__name__}: {words}", {"traceback": trace})
