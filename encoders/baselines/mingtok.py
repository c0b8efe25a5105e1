"""MingTok-Audio (arXiv 2511.05516): a continuous latent of speech, made by causal transformers.

Its repository holds code of its own, of which none is run: frames of 20 ms go through two linear
layers and a Qwen2 network, a third layer gives mean and spread of a Gaussian. Its code draws from
that; here the mean is the latent, so that a clip has one. The decoder is a linear layer, a Qwen2
network and an inverse STFT. The unified embedding of the paper, which needs a third network between
the two, is not computed here.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.baselines.checkpoint import (
    Checkpoint,
    UnfitError,
    forget_place,
    load_checkpoint,
    shown_name,
    source_file,
)
from earmark.encoders.baselines.codec import CodecPass, codec_encoders
from earmark.encoders.dasheng.config import TokenizerConfig
from earmark.encoders.dasheng.decoder import Head
from earmark.encoders.encoder import AudioEncoder
from earmark.encoders.tensors import State, filled, read_file, renamed, state_of

HOP = 320  # samples a frame, at 16 kHz: 20 ms
# Its own configuration's `model_type` is empty or a name of its own: what it holds is looked at.
CHECKPOINT = Checkpoint(
    "mingtok", "inclusionAI/MingTok-Audio", None, None,
    {"sample_rate": 16_000, "enc_kwargs.latent_dim": 64, "dec_kwargs.latent_dim": 64},
)  # fmt: skip
_NAMES = {
    "encoder.encoder.": "encoder.", "encoder.fc1.": "frames_in.", "encoder.fc2.": "mixed_in.",
    "encoder.fc3.": "gaussian.", "decoder.fc1.": "latents_in.", "decoder.decoder.": "decoder.",
    "decoder.head.out.": "head.out.", "decoder.head.istft.window": "head.window",
}  # fmt: skip
# A norm that is never called, the way to the unified embedding, and Qwen2's tables of words.
_UNUSED = (
    "encoder.norm.", "decoder.fc2.", "decoder.fc3.", "decoder.semantic_model.",
    "encoder.encoder.embed_tokens.", "decoder.decoder.embed_tokens.",
)  # fmt: skip


class MingTokPass(CodecPass):
    """16 kHz -> 50 frames a second of 64 dimensions, and back.

    Both networks are causal, and a clip longer than 30 s is encoded in pieces. Nothing is
    quantised: the latent that is decoded is the one that was encoded.

    facts: the checkpoint's configuration.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        latent = facts["enc_kwargs"]["latent_dim"]
        super().__init__(
            sample_rate=facts["sample_rate"], hop=HOP, embedding_dim=latent, facts=facts, block=1
        )
        self.encoder = _qwen2(facts["enc_kwargs"]["backbone"])
        width = self.encoder.config.hidden_size
        self.frames_in = torch.nn.Linear(HOP, width, bias=False)
        self.mixed_in = torch.nn.Linear(width, width)
        self.gaussian = torch.nn.Linear(width, 2 * latent)
        self.decoder = _qwen2(facts["dec_kwargs"]["backbone"])
        width = self.decoder.config.hidden_size
        self.latents_in = torch.nn.Linear(latent, width)
        self.head = Head(
            TokenizerConfig(decoder_embed_dim=width, istft_n_fft=4 * HOP, istft_hop=HOP)
        )

    def latents(self, audio: torch.Tensor) -> torch.Tensor:
        frames = self.mixed_in(self.frames_in(audio.unflatten(1, (-1, HOP))))
        hidden = self.encoder(inputs_embeds=frames, use_cache=False).last_hidden_state
        mean: torch.Tensor = self.gaussian(hidden)[:, :, : self.embedding_dim]
        return mean.transpose(1, 2)

    def quantise(self, latents: torch.Tensor) -> torch.Tensor:
        return latents

    def synthesise(self, latents: torch.Tensor) -> torch.Tensor:
        frames = self.latents_in(latents.transpose(1, 2))
        hidden = self.decoder(inputs_embeds=frames, use_cache=False).last_hidden_state
        own = torch.ones_like(hidden[:, None, :, 0], dtype=torch.bool)
        audio: torch.Tensor = self.head(hidden, own)
        return audio


def load(outputs: tuple[str, ...], *, weights: Path | None = None) -> list[AudioEncoder]:
    """MingTok-Audio's latent, which its decoder decodes."""
    shared = load_checkpoint(CHECKPOINT, _load, weights)
    name = shown_name(CHECKPOINT, shared.facts["model"])
    return codec_encoders(shared, name, outputs, ("transformers",))


def _load(source: str, **options: Any) -> MingTokPass:
    facts = _checked(json.loads(source_file(source, "config.json", **options).read_bytes()))
    path = _weights(source, **options)
    state = own_state(state_of(read_file(path), path))
    network = filled(lambda: MingTokPass(facts), state, str(path))
    for model in (network.encoder, network.decoder):
        # what turns positions into angles is no weight, and was made without memory
        model.rotary_emb = type(model.rotary_emb)(config=model.config)
        forget_place(model)
    return network


def _qwen2(backbone: dict[str, Any]) -> Any:
    """A Qwen2 network of frames, without its table of words."""
    import transformers
    from transformers.utils.output_capturing import maybe_install_capturing_hooks

    sizes = copy.deepcopy(backbone) | {"vocab_size": 1, "pad_token_id": None}
    model: Any = transformers.Qwen2Model(transformers.Qwen2Config.from_dict(sizes))
    model.embed_tokens = None
    # else its first use would, and change the fingerprint
    maybe_install_capturing_hooks(model)
    return model


def _checked(facts: Any) -> dict[str, Any]:
    """The settings that the network depends on. Raises UnfitError for those of another one."""
    parts = {key: facts.get(key) for key in ("enc_kwargs", "dec_kwargs")}
    for key, part in parts.items():
        if not isinstance(part, dict) or not isinstance(part.get("backbone"), dict):
            raise UnfitError(
                f"its config.json has no {key} with a backbone: it is no MingTok-Audio"
            )
    encoder, decoder = parts.values()
    found = {
        "enc_kwargs.input_dim": encoder.get("input_dim"),
        "enc_kwargs.hop_size": encoder.get("hop_size", HOP),
        "dec_kwargs.output_dim": decoder.get("output_dim"),
    }
    if other := {key: value for key, value in found.items() if value != HOP}:
        raise UnfitError(f"{', '.join(f'{k} is {v}' for k, v in other.items())}; it must be {HOP}")
    if facts.get("patch_size", -1) != -1:
        raise UnfitError(
            f"patch_size is {facts['patch_size']}: it joins frames, which MingTok-Audio does not"
        )
    if encoder.get("latent_dim") != decoder.get("latent_dim"):
        raise UnfitError("its encoder and its decoder have latents of different sizes")
    return {"sample_rate": facts.get("sample_rate", 16_000), **parts}


def _weights(source: str, **options: Any) -> Path:
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return source_file(source, "model.safetensors", **options)
    except (EntryNotFoundError, FileNotFoundError):
        return source_file(source, "pytorch_model.bin", **options)


def own_state(state: State) -> State:
    """What the network needs of a checkpoint, under its names."""
    found = {key: tensor for key, tensor in state.items() if not key.startswith(_UNUSED)}
    found.setdefault("decoder.head.istft.window", torch.hann_window(4 * HOP))
    return renamed(found, _NAMES)
