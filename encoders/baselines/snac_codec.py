"""SNAC (Siuzdak et al. 2024, arXiv 2410.14411), through its own package."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.baselines.checkpoint import Checkpoint, load_checkpoint, shown_name
from earmark.encoders.baselines.codec import CodecPass, codec_encoders
from earmark.encoders.encoder import AudioEncoder

_SIZES = {
    "sampling_rate": 24_000, "encoder_dim": 48, "encoder_rates": [2, 4, 8, 8],
    "decoder_dim": 1024, "codebook_size": 4096, "codebook_dim": 8, "vq_strides": [4, 2, 1],
}  # fmt: skip
CHECKPOINT = Checkpoint("snac", "hubertsiuzdak/snac_24khz", published=_SIZES)


class SnacPass(CodecPass):
    """A codec whose codebooks run at several rates: its audio comes in blocks of several frames.

    Its decoder adds noise, which is drawn anew from one seed for every clip: a clip sounds the
    same alone, in any batch and in every run.
    """

    def __init__(self, model: Any, facts: dict[str, Any]) -> None:
        super().__init__(
            sample_rate=model.sampling_rate,
            hop=int(model.hop_length),
            embedding_dim=model.latent_dim,
            facts=facts,
            block=math.lcm(*model.vq_strides, model.attn_window_size or 1),
        )
        self.model = model

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.encoder(audio[:, None])
        return found

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.quantizer(latents)[0]
        return found

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        device = latents.device
        clips = []
        for clip in latents.split(1):
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.manual_seed(0)
                clips.append(self.model.decoder(clip)[:, 0])
        return torch.cat(clips)


def load(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """SNAC at 24 kHz, all 3 codebooks (0.98 kbit/s)."""
    shared = load_checkpoint(CHECKPOINT, _load, weights, package="snac")
    name = shown_name(CHECKPOINT, shared.facts["model"])
    return codec_encoders(shared, name, outputs, ("snac",))


def _load(source: str, **options: Any) -> SnacPass:
    from snac import SNAC

    facts = json.loads(_file(source, "config.json", **options).read_bytes())
    model = SNAC(**facts)
    model.load_state_dict(_weights(source, **options))
    return SnacPass(model, facts)


def _weights(source: str, **options: Any) -> Any:
    """Weights by name. The published file is a `.bin`: of it, only tensors are read."""
    from huggingface_hub.errors import EntryNotFoundError
    from safetensors.torch import load_file

    try:
        return load_file(_file(source, "model.safetensors", **options))
    except (EntryNotFoundError, FileNotFoundError):
        path = _file(source, "pytorch_model.bin", **options)
        return torch.load(path, map_location="cpu", weights_only=True)


def _file(source: str, name: str, **options: Any) -> Path:
    """A file of a local folder, or of a repository on the hub. Raises OSError."""
    folder = Path(source)
    if folder.is_dir():
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{source} has no {name}")
        return folder / name
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(source, name, **options))
