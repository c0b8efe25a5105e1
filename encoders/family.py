"""Families: built-in encoders that share weights, known by name before anything is loaded."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # listing names needs no torch
    from earmark.encoders.encoder import AudioEncoder

ALL_LAYERS = "layer-all"
_LAYER = re.compile(r"layer-(\d+|all)")


@dataclass(frozen=True)
class Family:
    """Encoders `NAME` and `NAME:OUTPUT` over one model, which is loaded once for all of them.

    load: `module:function`, imported when first needed. The function is called as
        `function(outputs, weights=folder or None)` and returns one encoder for each output (for
        `layer-all` one for each layer), all over one SharedPass and named `NAME:OUTPUT`.
    outputs: what may follow the colon; "" is the name alone.
    layers: whether `layer-0`, `layer-1`, ... and `layer-all` are outputs too.
    by_name: the function is called as `function(NAME, weights)` instead and returns one encoder.
    extra: the optional extra of this package that it needs.
    """

    load: str
    outputs: tuple[str, ...] = ("",)
    layers: bool = False
    by_name: bool = False
    extra: str | None = None

    def knows(self, output: str) -> bool:
        """Whether this may follow the colon; how many layers there are is known once loaded."""
        return output in self.outputs or (self.layers and _LAYER.fullmatch(output) is not None)

    def make(self, name: str, outputs: tuple[str, ...], weights: Path | None) -> list[AudioEncoder]:
        """Load the family called `name` once; one encoder for each output."""
        module, _, function = self.load.partition(":")
        try:
            load = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError) as error:
            from earmark.encoders.encoder import EncoderError

            raise EncoderError(
                f"encoder {name!r}: {self.load} cannot be imported: {error}"
            ) from error
        made: Any = load(name, weights) if self.by_name else load(outputs, weights=weights)
        return made if isinstance(made, list) else [made]


_PLAIN = ("",)
_CODEC = ("", "quantized")


def _baseline(load: str, outputs: tuple[str, ...] = _PLAIN) -> Family:
    """A family of `earmark.encoders.baselines`; those that are not codecs have hidden layers."""
    return Family(
        f"earmark.encoders.baselines.{load}", outputs, layers=outputs == _PLAIN, extra="baselines"
    )


def _grid(load: str) -> Family:
    """A family of patches in time and frequency: `:grid` keeps the bands of a column."""
    return Family(f"earmark.encoders.{load}", ("", "grid"), layers=True)


_DASHENG = Family("earmark.encoders.dasheng:load_dasheng_encoder", by_name=True)

FAMILIES = {
    "dasheng": Family("earmark.encoders.dasheng:load", ("", "semantic", "acoustic")),
    "dasheng-tiny": Family("earmark.encoders.dasheng:load_tiny", ("", "semantic", "acoustic")),
    "dasheng-base": _DASHENG,
    "dasheng-0.6b": _DASHENG,
    "dasheng-1.2b": _DASHENG,
    "beats": _grid("beats:load"),
    "ced-tiny": _grid("ced:load_tiny"),
    "ced-mini": _grid("ced:load_mini"),
    "ced-small": _grid("ced:load_small"),
    "ced-base": _grid("ced:load_base"),
    "midashenglm": Family("earmark.encoders.dasheng.midashenglm_encoder:load", layers=True),
    "losatok": Family("earmark.encoders.losatok.checkpoint:load", ("", "semantic", "acoustic")),
    "losatok-kl1e-3": Family(
        "earmark.encoders.losatok.checkpoint:load_kl3", ("", "semantic", "acoustic")
    ),
    "whisper-base": _baseline("whisper:load_base"),
    "whisper-large-v3": _baseline("whisper:load_large_v3"),
    "wav2vec2": _baseline("speech:load_wav2vec2"),
    "hubert-large": _baseline("speech:load_hubert_large"),
    "wavlm-large": _baseline("speech:load_wavlm_large"),
    "data2vec": _baseline("speech:load_data2vec"),
    "mert-95m": _baseline("mert:load_95m"),
    "mert-330m": _baseline("mert:load_330m"),
    "w2v-bert": _baseline("w2v_bert:load"),
    "ast": Family("earmark.encoders.baselines.ast:load", ("", "grid"), True, extra="baselines"),
    "clap": Family(
        "earmark.encoders.baselines.clap:load", ("", "frames", "grid"), extra="baselines"
    ),
    "mingtok": Family("earmark.encoders.baselines.mingtok:load", extra="baselines"),
    "resemblyzer": Family("earmark.encoders.inwheel.resemblyzer:load", ("", "utterance")),
    "musicnn": Family("earmark.encoders.inwheel.musicnn:load", ("", "msd", "mtt", "penultimate")),
    "crepe-tiny": Family("earmark.encoders.inwheel.crepe:load_tiny", ("", "pitch")),
    "crepe-full": Family("earmark.encoders.inwheel.crepe:load_full", ("", "pitch")),
    "encodec": _baseline("codecs:load_encodec", _CODEC),
    "dac": _baseline("codecs:load_dac", _CODEC),
    "mimi": _baseline("codecs:load_mimi", _CODEC),
    "xcodec": _baseline("codecs:load_xcodec", _CODEC),
    "snac": _baseline("snac_codec:load", _CODEC),
    "wavtokenizer": _baseline("single_codebook:load_wavtokenizer", _CODEC),
    "xcodec2": _baseline("single_codebook:load_xcodec2", _CODEC),
    "neucodec": _baseline("single_codebook:load_neucodec", _CODEC),
    "vibevoice": Family("earmark.encoders.baselines.latents:load_vibevoice", extra="baselines"),
    "pocket-tts": Family("earmark.encoders.baselines.latents:load_pocket_tts", extra="baselines"),
    "uniflow-vae": Family("earmark.encoders.oobleck:load_uniflow"),
    "ezaudio-vae": Family("earmark.encoders.oobleck:load_ezaudio"),
    "stable-audio-vae": Family("earmark.encoders.oobleck:load_stable_audio"),
}


_said: set[str] = set()  # names of which it was said why they are others


def name_by_sizes(name: str, found: Mapping[str, Any], published: Mapping[str, Any]) -> str:
    """`name`, or where sizes are not the published ones `name@config-` and digits of them.

    What differs is said in a line, so that no small or random model passes for the published one.
    """
    plain = {key: json.loads(json.dumps(value)) for key, value in found.items()}
    wanted = {key: json.loads(json.dumps(value)) for key, value in published.items()}
    others = {key: plain.get(key) for key in wanted if plain.get(key) != wanted[key]}
    if not others:
        return name
    digits = hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:8]
    shown = f"{name}@config-{digits}"
    if shown not in _said:
        _said.add(shown)
        listed = [f"{key} {others[key]}, not {wanted[key]}" for key in sorted(others)]
        more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            sys.stderr.write(
                f"{name}: not of the published configuration ({'; '.join(listed[:4])}{more}), so "
                f"it is shown as {shown}\n"
            )
    return shown


def full_name(family: str, output: str) -> str:
    """`family:output`, or `family` alone for the output ""."""
    return f"{family}:{output}" if output else family
