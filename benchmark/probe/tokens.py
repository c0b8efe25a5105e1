"""Tokens of captions: a vocabulary of words, or BERT's. What lies in a cache decides nothing."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import huggingface_hub

from earmark.benchmark.shards.annotations import words_of
from earmark.benchmark.shards.dataset import DataError
from earmark.encoders.hub import out_of_reach, with_root

BERT = "google-bert/bert-base-uncased"
_BERT_FILE = "tokenizer.json"


class Tokens(NamedTuple):
    """kind: which tokens these are, for the result. lists: of each caption, none empty.

    vocabulary: how many different ones there can be.
    """

    kind: str
    lists: list[list[int]]
    vocabulary: int


def tokenise(captions: Sequence[str], training: Sequence[bool], wanted: str = "words") -> Tokens:
    """Token numbers of captions. training: which of them may shape a vocabulary of words.

    wanted: `words`; or `bert`, with the tokens that begin and end a text. Raises DataError where
    BERT's are wanted and not to be had.
    """
    if wanted == "bert":
        return _bert(captions, _fetched_bert())
    learned = (text for text, use in zip(captions, training, strict=True) if use)
    words = sorted({word for text in learned for word in words_of(text)})
    numbers = {word: number for number, word in enumerate(words, start=1)}
    # 0 is every word that no training caption has
    lists = [[numbers.get(word, 0) for word in words_of(text)] for text in captions]
    return Tokens("words of the training captions", lists, len(words) + 1)


def bert_file() -> Path | None:
    """BERT's tokenizer in the Hugging Face cache, if it is there and can be read; no download."""
    if importlib.util.find_spec("tokenizers") is None:
        return None
    found = huggingface_hub.try_to_load_from_cache(BERT, _BERT_FILE)
    return Path(found) if isinstance(found, str) else None


def _fetched_bert() -> Path:
    """BERT's tokenizer, fetched where it is not in the cache. Raises DataError."""
    if importlib.util.find_spec("tokenizers") is None:
        raise DataError(
            "this protocol takes BERT's tokens of captions, for which the package tokenizers is "
            "needed: pip install -e '.[baselines]'"
        )
    file = bert_file()
    if file is not None:
        return file
    reason = out_of_reach(BERT, _BERT_FILE)
    if reason is None:
        try:
            return Path(huggingface_hub.hf_hub_download(BERT, _BERT_FILE))
        except Exception as error:  # noqa: BLE001 - the hub's library raises many kinds
            reason = with_root(error)
    raise DataError(
        f"this protocol takes BERT's tokens of captions, and {_BERT_FILE} of {BERT} is not in the "
        f"Hugging Face cache and cannot be fetched ({reason}); where there is a network, `hf "
        f"download {BERT} {_BERT_FILE}`, then copy the cache here"
    )


def tokens_kind(wanted: str = "words") -> str:
    """What `tokenise` would use, told apart by content; part of what decides a score.

    Raises DataError, as `tokenise` does.
    """
    if wanted != "bert":
        return "words"
    return hashlib.sha256(_fetched_bert().read_bytes()).hexdigest()


def _bert(captions: Sequence[str], file: Path) -> Tokens:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoded = tokenizer.encode_batch(list(captions), add_special_tokens=True)
    kind = f"BERT ({BERT}) with those that begin and end a text"
    return Tokens(kind, [one.ids for one in encoded], tokenizer.get_vocab_size())
