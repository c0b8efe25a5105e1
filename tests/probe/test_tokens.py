"""Tokens of captions: words learned from training captions, or BERT's from a made-up cache."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.benchmark.probe.tokens import BERT, bert_file, tokenise, tokens_kind

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dog", "bark", "##s", "##ing", "loud", "##ly",
          ",", ".", "cafe"]  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache in place of the user's."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put_bert(cache: Path, revision: str = "c" * 40) -> Path:
    """BERT's tokenizer with a small vocabulary, laid out as `huggingface_hub` does.

    As the published file it adds [CLS] and [SEP]; to see that they are not wanted here, it also
    truncates to four tokens and pads.
    """
    tokenizers = pytest.importorskip("tokenizers")
    numbers = {piece: number for number, piece in enumerate(PIECES)}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(numbers, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.enable_truncation(4)
    made.enable_padding(length=8)
    folder = cache / "models--google-bert--bert-base-uncased"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(revision)
    file: Path = folder / "snapshots" / revision / "tokenizer.json"
    file.parent.mkdir(parents=True)
    made.save(str(file))
    return file


def test_words_are_those_of_the_training_captions(cache: Path) -> None:
    captions = ["A dog barks, loudly!", "Dogs' bark; it's a DOG", "a cat (barks)", "cat & mouse"]
    found = tokenise(captions, [True, True, False, False])
    assert found.kind == "words of the training captions"
    # a 1, bark 2, barks 3, dog 4, dogs 5, its 6, loudly 7, in the order of the alphabet
    assert found.lists == [[1, 4, 3, 7], [5, 2, 6, 1, 4], [1, 0, 3], [0, 0]]
    assert found.vocabulary == 8


def test_other_captions_shape_no_number(cache: Path) -> None:
    training = ["one two", "three"]
    one = tokenise([*training, "zwei drei one"], [True, True, False])
    two = tokenise([*training, "aaa one three two aab"], [True, True, False])
    assert one.lists[:2] == two.lists[:2]
    assert one.vocabulary == two.vocabulary == 4
    assert one.lists[2] == [0, 0, 1]
    assert two.lists[2] == [0, 1, 2, 3, 0]


@given(st.lists(st.tuples(st.text("ab -'É7", min_size=1), st.booleans()), max_size=8))
def test_numbers_tell_words_apart_and_stay_in_the_vocabulary(drawn: list[tuple[str, bool]]) -> None:
    found = tokenise([text for text, _ in drawn], [use for _, use in drawn])
    words = [text.lower().replace("'", "").replace("-", " ").split() for text, _ in drawn]
    known = {w for own, (_, use) in zip(words, drawn, strict=True) if use for w in own}
    assert found.vocabulary == len(known) + 1
    meaning: dict[int, str] = {}
    for own, numbers in zip(words, found.lists, strict=True):
        assert len(own) == len(numbers)
        for word, number in zip(own, numbers, strict=True):
            assert (number == 0) == (word not in known)
            assert 0 <= number < found.vocabulary
            assert number == 0 or meaning.setdefault(number, word) == word


def test_words_are_taken_though_berts_lie_in_the_cache(cache: Path) -> None:
    """Two machines, one number: what happens to be cached decides nothing."""
    captions = ["a dog barks", "loud dogs"]
    without = tokenise(captions, [True, False])
    put_bert(cache)
    assert bert_file() is not None
    assert tokenise(captions, [True, False]) == without
    assert without.kind == "words of the training captions"
    assert tokens_kind() == "words"


def test_bert_tokens_where_they_are_asked_for(cache: Path) -> None:
    file = put_bert(cache)
    assert bert_file() == file
    captions = ["A dog barking, loudly.", "Café dogs", "zebra dog", "a a a a a a a a a a"]
    found = tokenise(captions, [True, False, False, False], "bert")
    assert found.kind == f"BERT ({BERT}) with those that begin and end a text"
    own = [[4, 5, 6, 8, 11, 9, 10, 12], [13, 5, 7], [1, 5], [4] * 10]
    assert found.lists == [[2, *numbers, 3] for numbers in own]
    assert found.vocabulary == len(PIECES)


def test_bert_tokens_do_not_depend_on_what_is_training(cache: Path) -> None:
    put_bert(cache)
    captions = ["a dog", "loud bark"]
    one, two = (tokenise(captions, use, "bert") for use in ([True, False], [False, True]))
    assert one == two


def test_kind_changes_with_the_file_that_is_used(cache: Path) -> None:
    pytest.importorskip("tokenizers")
    assert bert_file() is None
    file = put_bert(cache)
    assert tokens_kind("bert") == hashlib.sha256(file.read_bytes()).hexdigest()
    before = tokens_kind("bert")
    changed = json.loads(file.read_text())
    changed["model"]["vocab"]["cat"] = len(PIECES)
    file.write_text(json.dumps(changed))
    assert tokens_kind("bert") not in (before, "words")
    found = tokenise(["cat"], [True], "bert")
    assert found.lists == [[2, len(PIECES), 3]]
    assert found.vocabulary == len(PIECES) + 1


def test_known_to_be_absent_is_absent(cache: Path) -> None:
    """The cache may hold a note that the repository has no such file."""
    folder = cache / "models--google-bert--bert-base-uncased"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("d" * 40)
    (folder / ".no_exist" / ("d" * 40)).mkdir(parents=True)
    (folder / ".no_exist" / ("d" * 40) / "tokenizer.json").touch()
    assert bert_file() is None
    assert tokenise(["a dog"], [True]).kind == "words of the training captions"


def test_without_the_library_words_are_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_bert(cache)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert bert_file() is None
    assert tokens_kind() == "words"
    assert tokenise(["a dog"], [True]).kind == "words of the training captions"
