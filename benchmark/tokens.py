"""Tokens of captions: a vocabulary of words, or BERT's where its tokenizer is at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmark.annotations import words_of

BERT = "google-bert/bert-base-uncased"


class Tokens(NamedTuple):
    """kind: which tokens these are, for the result. lists: of each caption, none empty.

    vocabulary: how many different ones there can be.
    """

    kind: str
    lists: list[list[int]]
    vocabulary: int


def tokenise(captions: Sequence[str], training: Sequence[bool]) -> Tokens:
    """Token numbers of captions. training: which of them may shape a vocabulary of words."""
    file = bert_file()
    if file is not None:
        return _bert(captions, file)
    learned = (text for text, use in zip(captions, training, strict=True) if use)
    words = sorted({word for text in learned for word in words_of(text)})
    numbers = {word: number for number, word in enumerate(words, start=1)}
    # 0 is every word that no training caption has
    lists = [[numbers.get(word, 0) for word in words_of(text)] for text in captions]
    return Tokens("words of the training captions", lists, len(words) + 1)


def bert_file() -> Path | None:
    """BERT's tokenizer in the Hugging Face cache, if it is there and can be read; no download."""
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(BERT, "tokenizer.json")
    return Path(found) if isinstance(found, str) else None


def tokens_kind() -> str:
    """What `tokenise` would use, told apart by content; part of what decides a score."""
    file = bert_file()
    return "words" if file is None else hashlib.sha256(file.read_bytes()).hexdigest()


def _bert(captions: Sequence[str], file: Path) -> Tokens:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoded = tokenizer.encode_batch(list(captions), add_special_tokens=False)
    return Tokens(f"BERT ({BERT})", [one.ids for one in encoded], tokenizer.get_vocab_size())
