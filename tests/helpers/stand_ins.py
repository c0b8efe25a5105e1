"""Small stand-ins, of random weights, for what the protocol of X-ARES takes from the hub: BERT's
tokenizer and the language model Qwen2.5. Both sides of the peer check read the same."""

from __future__ import annotations

import logging
import string
from pathlib import Path

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
_REVISION = "c" * 40


def make_bert(folder: Path, *, as_cache: bool = False) -> Path:
    """A tokenizer in the manner of BERT's that knows letters: a folder for `AutoTokenizer`.

    as_cache: laid out as the Hugging Face cache keeps a repository.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = string.ascii_lowercase + string.digits
    pieces = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters), *".,'-"]
    numbers = {piece: number for number, piece in enumerate(pieces)}
    made = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    if as_cache:
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs" / "main").write_text(_REVISION)
        folder = folder / "snapshots" / _REVISION
    PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_language_model(folder: Path, seed: int = 0) -> Path:
    """A model of Qwen2's kind, two layers 64 wide, whose tokens are single characters.

    A space is written as Qwen2's byte-level tokenizer writes it: transformers takes that one for
    any folder with a model of this kind, and would leave a plain space out.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    ends = ["<|endoftext|>", "<|vision_end|>"]
    pieces = [*ends, "<unk>", *string.ascii_letters, "'", "Ġ"]
    made = Tokenizer(
        models.BPE({piece: i for i, piece in enumerate(pieces)}, [], unk_token="<unk>")
    )
    made.add_special_tokens(ends)
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=ends[0], pad_token=ends[0], unk_token="<unk>"
    ).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=len(pieces), hidden_size=64, intermediate_size=128,
                num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                max_position_embeddings=4096, bos_token_id=None, eos_token_id=0, pad_token_id=0,
            )
        )  # fmt: skip
    logging.getLogger("transformers").setLevel(logging.ERROR)
    network.save_pretrained(folder)
    return folder
