"""What acoustic injection leaves on the disk: its own weights, and which encoder they go with.

A folder with `injected.json` (sizes, the encoder's name, digest of its weights) and
`model.safetensors`. The frozen encoder's weights are not copied: they may be large, or not ours to
pass on. So that another checkpoint under the same name is not taken for it, its output on a fixed
signal is kept and compared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from earmark.encoders.dasheng.training.config import LATENTS
from earmark.encoders.encoder import AudioEncoder, EncoderError
from earmark.encoders.home import home_of, inside, settle
from earmark.encoders.injection.geometry import Geometry
from earmark.encoders.injection.network import InjectedCodec, InjectedEncoder
from earmark.encoders.injection.parts import Parts

INJECTED_FILE, WEIGHTS_FILE = "injected.json", "model.safetensors"
FORMAT = 1
_PROBE = "probe"  # the frozen encoder's frames of `_signal`
_AGREES = 1e-3  # relative, of other machines and numbers of threads; another checkpoint is far off


@dataclass(frozen=True)
class Injected:
    """What `injected.json` says.

    semantic: the encoder's name, as `--encoder` takes it. weights: digest of its weights. latent:
    what the decoder was trained on, `unified`, `semantic` or `acoustic`. geometry: the sizes.
    """

    semantic: str
    weights: str
    latent: str
    geometry: Geometry


def save(
    folder: Path,
    parts: Parts,
    encoder: AudioEncoder,
    semantic: str,
    latent: str,
    export: str = "fp32",
) -> Path:
    """Write what was trained on an encoder; returns the folder.

    semantic: the encoder's name. latent: what the decoder was trained on. export: number format of
    its weights, `fp16` or `fp32`; scales and the encoder's frames of the fixed signal are float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "format": FORMAT, "semantic": semantic, "weights": weights_digest(encoder),
        "latent": latent, "geometry": parts.geometry.facts(),
    }  # fmt: skip
    kept = {name: one.detach().cpu().contiguous() for name, one in parts.state_dict().items()}
    half = export == "fp16"
    tensors = {name: one.half() if half and "." in name else one for name, one in kept.items()}
    tensors[_PROBE] = probe_of(encoder)
    safetensors.torch.save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    (folder / INJECTED_FILE).write_text(text, encoding="utf-8")
    return folder


def read_injected(folder: Path) -> Injected:
    """What a folder says of itself. Raises EncoderError where it is none of these."""
    path = folder / INJECTED_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError(f"it must hold a JSON object of format {FORMAT}")
        sizes = dict(values["geometry"])
        sizes["frame_rate"] = float(sizes["frame_rate"])
        found = Injected(
            str(values["semantic"]), str(values["weights"]), str(values["latent"]),
            Geometry(**sizes),
        )  # fmt: skip
        if found.latent not in LATENTS:
            raise ValueError(f"latent is {found.latent!r}; one of {', '.join(LATENTS)}")
    except FileNotFoundError as error:
        raise EncoderError(
            f"injected encoder {folder}: there is no {INJECTED_FILE}; give the folder that "
            "`train --config injection.yaml --semantic ENCODER --out DIR` wrote"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EncoderError(f"{path} cannot be read: {_line(error)}; train it again") from error
    return found


def load(place: str, outputs: Sequence[str], *, weights: Path | None = None) -> list[AudioEncoder]:
    """The injected encoder of a folder, one for each output; the frozen one is loaded by its name.

    weights: none, as the folder holds them. Raises EncoderError where it cannot be read, and where
    the encoder found is not the one that it was trained on.
    """
    from earmark.encoders.registry import load_encoder

    folder, name = Path(place), f"injected:{Path(place).name}"
    facts = read_injected(folder)
    encoder = load_encoder(facts.semantic)
    kept = _tensors(folder / WEIGHTS_FILE)
    _check_encoder(encoder, facts, kept.pop(_PROBE, None), folder)
    parts = Parts(facts.geometry)
    try:
        parts.load_state_dict(kept)
    except RuntimeError as error:
        raise EncoderError(
            f"{folder / WEIGHTS_FILE} does not fit {INJECTED_FILE}: {_line(error)}; train it again"
        ) from error
    network = InjectedEncoder(encoder, parts)
    plain: Any = dataclasses.asdict(facts)
    made: list[AudioEncoder] = [InjectedCodec(network, one, name, plain) for one in outputs]
    for one in made:
        settle(one, home_of(encoder))
    return made


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except Exception as error:  # safetensors raises kinds of its own
        raise EncoderError(f"{path} cannot be read: {_line(error)}; train it again") from error


def _check_encoder(
    encoder: AudioEncoder, facts: Injected, probe: torch.Tensor | None, folder: Path
) -> None:
    """Raise EncoderError where this is another encoder than it was."""
    sizes = facts.geometry
    now = (encoder.sample_rate, encoder.frame_rate, encoder.embedding_dim)
    then = (sizes.sample_rate, sizes.frame_rate, sizes.embed_dim)
    what = None
    if now != then:
        what = f"{now[0]} Hz, {now[1]} frames a second, dimension {now[2]} in place of {then}"
    elif weights_digest(encoder) != facts.weights:
        what = "other weights"
    else:
        found = probe_of(encoder)
        if probe is None or probe.shape != found.shape:
            what = "frames of another number"
        else:
            scale = probe.float().norm().clamp(min=1e-6)
            off = float((probe.float() - found).norm() / scale)
            if not off <= _AGREES:
                what = f"another output on the fixed signal ({off:.2g} off)"
    if what is not None:
        raise EncoderError(
            f"injected encoder {folder} was trained on another {facts.semantic!r} than is found "
            f"now: {what}; give the encoder that it was trained on, or train it again"
        )


def weights_digest(encoder: AudioEncoder) -> str:
    """SHA-256 (hex) of an encoder's parameters and buffers, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        data = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {data.dtype} {tuple(data.shape)}\n".encode())
        digest.update(data.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def probe_of(encoder: AudioEncoder) -> torch.Tensor:
    """(F, D) float32: an encoder's frames of two seconds of noise that is always the same.

    On the CPU, wherever the encoder is: a GPU may compute in half precision.
    """
    shortest = encoder.fixed_seconds or max(2.0, encoder.min_seconds or 0.0)
    seconds = min(shortest, encoder.fixed_seconds or encoder.max_seconds or math.inf)
    count = round(seconds * encoder.sample_rate)
    drawn = np.random.RandomState(0).standard_normal(count).astype(np.float32)
    device = next((one.device for one in encoder.state_dict().values()), torch.device("cpu"))
    noise = torch.from_numpy(0.1 * drawn)[None]
    encoder.to("cpu")
    try:
        with torch.inference_mode(), inside(home_of(encoder)):
            frames = encoder.encode(noise, torch.tensor([count]))
    finally:
        encoder.to(device)
    return frames.values[0, : int(frames.lengths[0])].float().contiguous()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
