"""The frozen language model that spells transcripts under `xares-0.1.3`: found, hashed, loaded.

From a folder, from the Hugging Face cache, or from the hub. Weights are read from safetensors
only, and no code of a repository is run.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import torch

from earmark.benchmark.shards.dataset import DataError
from earmark.benchmark.shards.shard import shard_digest
from earmark.encoders.hub import out_of_reach, quiet, said, with_root

_FILES = ["*.json", "*.safetensors", "*.txt"]
# what stands between the audio and the text in X-ARES: a token that Qwen2.5 has for images
SEPARATOR = "<|vision_end|>"


@dataclass(frozen=True)
class LanguageModel:
    """network: a causal model of transformers, frozen, float32; tokenizer: its own."""

    network: Any
    tokenizer: Any

    @property
    def width(self) -> int:
        """Of its token embeddings."""
        return int(self.network.config.hidden_size)

    @property
    def inner_width(self) -> int:
        """Of its feed-forward layers."""
        return int(self.network.config.intermediate_size)

    def token_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of each text, nothing added."""
        found: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return found

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Token numbers (B, T) -> (B, T, width)."""
        embedded: torch.Tensor = self.network.get_input_embeddings()(tokens)
        return embedded


def model_folder(name: str) -> Path:
    """Folder with a model's files: `name` itself, or the hub's repository of that name.

    Raises DataError where it cannot be had.
    """
    if importlib.util.find_spec("transformers") is None:
        raise DataError(
            "this protocol spells transcripts by a language model, for which the package "
            "transformers is needed: pip install -e '.[baselines]'"
        )
    if Path(name).is_dir():
        return Path(name)
    try:
        return Path(
            huggingface_hub.snapshot_download(name, allow_patterns=_FILES, local_files_only=True)
        )
    except (OSError, ValueError):  # what the hub's library raises for what is not in its cache
        pass
    reason = out_of_reach(name, "config.json")
    if reason is None:
        try:
            return Path(huggingface_hub.snapshot_download(name, allow_patterns=_FILES))
        except Exception as error:  # noqa: BLE001 - the hub's library raises many kinds
            reason = with_root(error)
    raise DataError(
        f"this protocol spells transcripts by the language model {name}, which is no folder, not "
        f"in the Hugging Face cache, and cannot be fetched ({reason}); where there is a network, "
        f"`hf download {name}`, and give the folder by --language-model DIR"
    )


def model_digest(name: str, cache: Path) -> str:
    """SHA-256 (hex) over a model's files. cache: where files' digests are remembered."""
    folder = model_folder(name)
    files = sorted(path for pattern in _FILES for path in folder.glob(pattern))
    lines = [f"{path.name} {shard_digest(path, cache)}" for path in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def load_language_model(name: str, device: str) -> LanguageModel:
    """Load a model and its tokenizer, frozen. Raises DataError."""
    folder = model_folder(name)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with quiet():
            network = AutoModelForCausalLM.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, attn_implementation="sdpa",
                local_files_only=True, trust_remote_code=False,
            )  # fmt: skip
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except Exception as error:  # a damaged copy raises of every kind
        raise DataError(
            f"the language model cannot be loaded from {folder} ({said(error)}); fetch it again"
        ) from error
    known = tokenizer.convert_tokens_to_ids(SEPARATOR)
    if known is None or known == tokenizer.unk_token_id or tokenizer.eos_token_id is None:
        raise DataError(
            f"the tokenizer in {folder} lacks {SEPARATOR} or an end-of-text token; use "
            "Qwen/Qwen2.5-0.5B or one of its kind"
        )
    network.requires_grad_(False)
    module: torch.nn.Module = network
    return LanguageModel(module.to(device).eval(), tokenizer)
