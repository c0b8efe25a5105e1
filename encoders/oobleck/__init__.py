"""Autoencoders of the Oobleck kind: those of UniFlow-Audio, EzAudio and Stable Audio Open.

Continuous latents that generators were trained on: the mean of the Gaussian, which decodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from earmark.encoders.baselines.codec import codec_encoders
from earmark.encoders.encoder import AudioEncoder, EncoderError
from earmark.encoders.family import name_by_sizes
from earmark.encoders.oobleck.checkpoint import own_state, sizes
from earmark.encoders.oobleck.network import OobleckConfig, OobleckPass
from earmark.encoders.tensors import filled, read_file, state_of, weights_file


@dataclass(frozen=True)
class OobleckModel:
    """A published one: its sizes, where it is, and its file there (the first that is found)."""

    config: OobleckConfig
    repo: str
    files: tuple[str, ...]


_DIFFUSERS = "diffusion_pytorch_model.safetensors"
MODELS = {
    "uniflow-vae": OobleckModel(
        OobleckConfig(), "wsntxxn/UniFlow-Audio-v1.1-Base on the Hugging Face hub",
        ("the file that `pretrained_ckpt` of its config.yaml names",),
    ),
    "ezaudio-vae": OobleckModel(
        OobleckConfig(), "OpenSound/EzAudio on the Hugging Face hub",
        ("1m.pt", "ckpts/vae/1m.pt", "vae/1m.pt"),
    ),
    "stable-audio-vae": OobleckModel(
        OobleckConfig((128, 128, 256, 512, 1024, 2048), (2, 4, 4, 8, 8), 64, 2, 44_100),
        "stabilityai/stable-audio-open-1.0 on the Hugging Face hub, folder vae",
        (_DIFFUSERS, f"vae/{_DIFFUSERS}"),
    ),
}  # fmt: skip


def load_uniflow(outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    """The autoencoder of UniFlow-Audio (arXiv 2509.24391): 24 kHz, 50 frames a second.

    weights: its file, or a folder with a copy of the whole repository. Raises EncoderError.
    """
    if weights is not None and (weights / "config.yaml").is_file():
        weights = _named(weights)
    return _load("uniflow-vae", outputs, weights)


def load_ezaudio(outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    """The autoencoder of EzAudio (arXiv 2409.10819): 24 kHz, 50 frames a second."""
    return _load("ezaudio-vae", outputs, weights)


def load_stable_audio(outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    """The autoencoder of Stable Audio Open (arXiv 2407.14358): 44.1 kHz, stereo, 21.5 frames/s."""
    return _load("stable-audio-vae", outputs, weights)


def _load(name: str, outputs: Sequence[str], weights: Path | None) -> list[AudioEncoder]:
    model = MODELS[name]
    path = weights_file(name, weights, model.files, model.repo)
    state = own_state(state_of(read_file(path), path, "state_dict"))
    config = sizes(state, path, model.config.sample_rate)
    network = filled(lambda: OobleckPass(config), state, str(path))
    shown = name_by_sizes(name, config.facts(), model.config.facts())
    return [one.eval() for one in codec_encoders(network, shown, outputs, ())]


def _named(folder: Path) -> Path:
    """The autoencoder's file in a copy of UniFlow-Audio's repository. Raises EncoderError."""
    path = folder / "config.yaml"
    try:
        facts: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        file = folder / str(facts["model"]["autoencoder"]["pretrained_ckpt"])
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError) as error:
        said = " ".join(str(error).split())[:200]
        raise EncoderError(
            f"encoder 'uniflow-vae': {path} does not name the autoencoder's file at "
            f"model.autoencoder.pretrained_ckpt ({said}); give the file itself"
        ) from error
    if not file.resolve().is_relative_to(folder.resolve()):
        raise EncoderError(f"encoder 'uniflow-vae': {path} names a file outside of its folder")
    return file
