"""CLAP's text tower: captions as vectors that its audio vectors can be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.baselines.checkpoint import check_loaded, forget_place, load_checkpoint
from earmark.encoders.baselines.clap import AUDIO_PARTS, CHECKPOINT
from earmark.encoders.baselines.pieces import cut

TEXTS_AT_ONCE = 64
# Values of buffers that are numbered, not learned; not every release holds them.
_NUMBERED = ("position_ids", "token_type_ids")


class ClapText(torch.nn.Module):
    """Captions -> vectors of length 1, in the space of the encoder `clap`.

    The cosine of a caption's and a clip's vector is the CLAP score of the two.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        forget_place(model)
        config = model.config
        self.dimension = int(config.projection_dim)
        # as RoBERTa, it counts places from after the number that stands for padding
        self.longest = int(config.max_position_embeddings) - int(config.pad_token_id) - 1

    def embed(self, texts: Sequence[str]) -> torch.Tensor:
        """(N, 512) float32, in order; what of a text is beyond 512 tokens is not read."""
        device = next(self.model.parameters()).device
        found = [torch.zeros(0, self.dimension, device=device)]
        for start, stop in cut(len(texts), TEXTS_AT_ONCE) if texts else []:
            tokens = self.tokenizer(
                list(texts[start:stop]), padding=True, truncation=True, max_length=self.longest,
                return_tensors="pt",
            )  # fmt: skip
            with torch.inference_mode():
                vectors = self.model(
                    input_ids=tokens["input_ids"].to(device),
                    attention_mask=tokens["attention_mask"].to(device),
                ).text_embeds
            found.append(torch.nn.functional.normalize(vectors, dim=-1))
        return torch.cat(found)


def load_clap_text(weights: Path | None = None) -> ClapText:
    """The text tower of the checkpoint that `clap` is. Raises EncoderError.

    weights: a folder with a copy of it; None: the hub's cache, or the hub.
    """
    return load_checkpoint(CHECKPOINT, _tower, weights)


def _tower(source: str, **options: Any) -> ClapText:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(
        source, trust_remote_code=False, **options
    )
    config: Any = transformers.ClapConfig.from_pretrained(source, **options)
    loaded: Any = transformers.ClapTextModelWithProjection.from_pretrained(
        source, config=config.text_config, use_safetensors=True, dtype=torch.float32,
        output_loading_info=True, **options,
    )  # fmt: skip
    model, info = loaded
    check_loaded(info, CHECKPOINT.name, unused=_NUMBERED, heads=AUDIO_PARTS)
    return ClapText(model.eval(), tokenizer).requires_grad_(False)
