"""The Hugging Face hub: whether it can be asked for a file (its own client would try for a minute).

And what the libraries around it say, brought into one line or kept off the terminal.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants, get_token
from huggingface_hub.utils import get_session

# A hub that does not answer by then is taken to be out of reach.
REACH_SECONDS = 4.0

# Why a hub cannot be asked, by its address: it is asked once in a process.
_silent_hubs: dict[str, str] = {}


def out_of_reach(repo: str, file: str, revision: str | None = None) -> str | None:
    """Why a file of a repository cannot be fetched from the hub, or None where the hub offers it.

    Asked once, with the token that a download would send, as a mirror may want one; the hub's own
    client would try again and again.
    """
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    hub = constants.ENDPOINT
    if hub in _silent_hubs:
        return _silent_hubs[hub]
    address = f"{hub}/{repo}/resolve/{revision or 'main'}/{file}"
    try:
        token = get_token()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        answer = get_session().head(
            address, headers=headers, timeout=REACH_SECONDS, follow_redirects=True
        )
    except Exception as error:  # noqa: BLE001 - whatever its client raises, it is out of reach
        _silent_hubs[hub] = f"no answer: {with_root(error)}"
        return _silent_hubs[hub]
    if answer.status_code < 400:
        return None
    reason = f"it answers {answer.status_code} {answer.reason_phrase}".rstrip()
    if answer.status_code >= 500:  # else it is about this repository
        _silent_hubs[hub] = reason
    return reason


def said(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__


def with_root(error: BaseException) -> str:
    """An error in one line, with what it began with where the error itself does not say."""
    root, seen = error, {id(error)}
    while (before := root.__cause__ or root.__context__) and id(before) not in seen:
        root = before
        seen.add(id(root))
    own, began = said(error), said(root)
    return own if began in own else f"{own}: {began}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' reports of a load, and its progress bars, off the terminal."""
    if importlib.util.find_spec("transformers") is None:
        yield
        return
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
