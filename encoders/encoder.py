"""The plugin class: what an encoder is to Earmark."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import torch

from earmark.encoders.code import code_digest, has_no_file
from earmark.encoders.home import home_of, inside
from earmark.encoders.made import made_with

# Packages whose code is not the encoder's own; their versions are facts of their own.
_FOREIGN = frozenset({"torch", "torchaudio", "builtins", "abc", "typing"})
# Where a module loaded from a path keeps the SHA-256 of the source it was made from.
SOURCE_DIGEST = "_earmark_source_sha256"
# The same for other classes, from when they were first seen: a file that is edited later is not
# what runs in this process.
_seen: WeakKeyDictionary[type, str] = WeakKeyDictionary()


# Attributes that came later: facts of a fingerprint where they are set, so that those of encoders
# that know nothing of them stay.
_SINCE = (
    "frame_rate_varies", "scene_dim", "min_seconds", "max_seconds", "fixed_seconds",
    "decoded_rate",
)  # fmt: skip


class EncoderError(ValueError):
    """An encoder that cannot be loaded or breaks its contract. One line: what, where, mend."""


@dataclass(frozen=True)
class Frames:
    """An encoder's output for a batch.

    values: (B, F, D) floating point; what lies beyond a clip's own frames is never read.
    lengths: (B,) integers, each clip's own number of frames, 1 <= lengths <= F.
    """

    values: torch.Tensor
    lengths: torch.Tensor


def is_own_code(cls: type) -> bool:
    """Whether a class is the encoder's own code, not torch's, Python's or ours."""
    return cls.__module__ != __name__ and cls.__module__.split(".")[0] not in _FOREIGN


def _source_digest(cls: type) -> str:
    """SHA-256 of the file that defines a class; of what was imported, where that was noted.

    Of a class that no file holds, as one of a notebook's cell, that of its code.
    """
    noted = getattr(sys.modules.get(cls.__module__), SOURCE_DIGEST, None) or _seen.get(cls)
    if noted is not None:
        return str(noted)
    try:
        if has_no_file(cls):
            _seen[cls] = code_digest(cls)
            return _seen[cls]
        _seen[cls] = hashlib.sha256(Path(inspect.getfile(cls)).read_bytes()).hexdigest()
        return _seen[cls]
    except (OSError, TypeError) as error:
        raise EncoderError(
            f"encoder class {cls.__qualname__}: its source file cannot be read, so its results "
            f"could not be told from another version's; define it in a file ({error})"
        ) from error


class AudioEncoder(torch.nn.Module):
    """Base class of everything that is measured.

    A subclass sets the four attributes below and implements `encode`; the rest has defaults.

    name: as shown in tables.
    sample_rate: in Hz, of the audio that `encode` expects.
    embedding_dim: D, the size of one frame.
    frame_rate: frames per second of its output. None: one vector a clip, `encode` returns one row
        for each; tasks that are scored by frames do not apply to it then.
    honours_lengths: True where padding beyond `lengths` does not change a clip's own frames.
        Where False (the default) every batch holds clips of exactly equal length, so that
        padding cannot leak.
    config: settings that change the output and are not in the weights; part of the fingerprint.
    libraries: distributions whose version is part of the fingerprint (those that compute).
    bits_per_second: where the output is made of codes, their bits in a second; shown as a cost.

    What follows is part of the fingerprint where it is set.

    frame_rate_varies: True where the number of frames does not follow from the length at one rate.
        The F frames of a clip of T seconds divide it evenly, frame i at (i + 0.5) T / F, and are
        put on a grid of `frame_rate` where a task is scored by frames.
    scene_dim: where `encode_scene` gives one vector a clip besides, its size; tasks of clips take
        that, those scored by frames take `encode` (HEAR's scene and timestamp embeddings).
    min_seconds, max_seconds: of audio that `encode` can take; None: any. Earmark pads what is
        shorter with zeros at its end, and cuts what is longer into windows of max_seconds, one
        after the other. fixed_seconds: both in one. `lengths` count that padding; its frames are
        dropped, and a clip's vector is the mean of its windows' by their share of its audio.
    layer_count: where `encode_outputs` gives hidden layers too, the number of the last:
        `NAME:layer-0`, what goes into the first, to `NAME:layer-12` for 12.
    named_outputs: names of its other outputs, `NAME:OUTPUT`; as a mapping, by an output's name
        (`layer-0` among them) the attributes in which it differs, {"pooled": {"frame_rate": None}}.
    """

    name: str
    sample_rate: int
    embedding_dim: int
    frame_rate: float | None
    honours_lengths: bool = False
    libraries: ClassVar[tuple[str, ...]] = ()
    bits_per_second: float | None = None
    frame_rate_varies: bool = False
    scene_dim: int | None = None
    min_seconds: float | None = None
    max_seconds: float | None = None
    fixed_seconds: float | None = None
    layer_count: int | None = None
    named_outputs: Sequence[str] | Mapping[str, Mapping[str, Any]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.config: dict[str, Any] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if is_own_code(cls):
            with contextlib.suppress(EncoderError):  # it is raised where a fingerprint is asked for
                _source_digest(cls)

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        """Encode a batch.

        waveforms: (B, T) float32 in [-1, 1], zero-padded at the end to the longest.
        lengths: (B,) int64, each clip's true number of samples, >= 1.
        """
        if type(self).encode_outputs is not AudioEncoder.encode_outputs:
            made = self.encode_outputs(waveforms, lengths, ("",))
            if "" not in made:
                raise EncoderError(
                    f"encoder {self.name!r}: encode_outputs() did not return the output '', which "
                    "is its own; return each of `outputs`"
                )
            return made[""]
        raise NotImplementedError(f"{type(self).__name__} does not implement encode()")

    def encode_scene(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """One vector a clip, (B, scene_dim) floating point; arguments as of `encode`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement encode_scene()")

    def encode_outputs(
        self, waveforms: torch.Tensor, lengths: torch.Tensor, outputs: Sequence[str]
    ) -> Mapping[str, Frames]:
        """Several outputs of one pass, in place of `encode`; arguments as of it.

        outputs: those wanted: "" the encoder's own, `layer-N`, those of `named_outputs`. Returns
        each of them; more does no harm.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement encode_outputs()")

    def compute_dtype(self, device: str) -> str:
        """What the encoder computes in on `cpu`, `cuda` or `mps`: `float32`, `bfloat16`, `float16`.

        Embeddings of different ones are never taken for each other.
        """
        return "float32"

    def fingerprint(self) -> str:
        """SHA-256 (hex) of weights, configuration and code.

        Covers every parameter and buffer, `config`, plain values, tensors and arrays that the
        encoder or a module of it keeps as attributes, the source files of the classes of both
        and their bases (as they were when it was loaded), and the versions of `libraries`. Not
        seen: code that a class imports from elsewhere (name its distribution in `libraries`, or
        put a version into `config`) and what other objects hold that are neither modules nor
        plain. A run tells such encoders apart by their output (`identity/fingerprint.py`).
        """
        with inside(home_of(self)):  # where the modules of its classes are
            code = _code_of(self)
        made = made_with(self)
        facts = {
            "class": type(self).__qualname__,
            "code": code,
            "config": _in_json(self.config, self.name) and made.without_places(self.config),
            "sample_rate": self.sample_rate,
            "embedding_dim": self.embedding_dim,
            "frame_rate": self.frame_rate,
            "honours_lengths": self.honours_lengths,
            "libraries": {library: _version(library, self.name) for library in self.libraries},
            **{name: value for name in _SINCE if (value := getattr(self, name, None))},
            **made.facts(),
        }
        text = _in_json(facts, self.name)
        digest = hashlib.sha256(text.encode())
        tensors, plain = _tensors_of(self), _plain_of(self)
        for where, values in plain.items():
            digest.update(f"{where} {json.dumps(values, sort_keys=True)}\n".encode())
        for name, tensor in sorted(tensors.items()):
            data = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {data.dtype} {tuple(data.shape)}\n".encode())
            digest.update(data.view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def _in_json(facts: Any, name: str) -> str:
    """What a fingerprint is made of, as text. Raises EncoderError."""
    try:
        return json.dumps(facts, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise EncoderError(
            f"encoder {name!r}: its config must hold plain JSON values, so that it can "
            f"be told from another configuration ({error})"
        ) from error


class Codec(AudioEncoder):
    """An encoder that can also decode; its frames have one rate, of clips of any length.

    decoded_rate: in Hz, of what `decode` returns; None: `sample_rate`. Part of the fingerprint
        where it is set.
    """

    frame_rate: float
    decoded_rate: int | None = None

    @property
    def output_rate(self) -> int:
        """Hz, of what `decode` returns."""
        return self.decoded_rate or self.sample_rate

    def decode(self, frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode a batch of latents.

        Returns waveforms (B, T) float32 at `output_rate` and lengths (B,) in samples.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement decode()")


# What torch keeps in every module; parameters, buffers and modules among it are hashed as such.
_TORCH_OWN = frozenset(vars(torch.nn.Module()))


def _tensors_of(encoder: AudioEncoder) -> dict[str, torch.Tensor]:
    """Parameters, buffers, and tensors and arrays among the attributes of modules, by name."""
    found = dict(encoder.named_parameters()) | dict(encoder.named_buffers())
    for where, module in encoder.named_modules():
        for key, value in vars(module).items():
            if key in _TORCH_OWN:
                continue
            if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
                value = torch.from_numpy(_as_torch_takes_it(value))
            if isinstance(value, torch.Tensor):
                found[f"{where}.{key} (attribute)"] = value
    return found


def _as_torch_takes_it(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array of another machine's byte order, or that is read backwards, as a plain one."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array.copy() if any(step < 0 for step in array.strides) else array


def _plain_of(encoder: AudioEncoder) -> dict[str, dict[str, Any]]:
    """Plain values among the attributes of each module, by its name."""
    made = made_with(encoder)
    found = {
        where: {
            key: made.without_places(value)
            for key, value in vars(module).items()
            if key not in _TORCH_OWN and is_plain(value)
        }
        for where, module in encoder.named_modules()
    }
    # what it is called decides nothing, nor what an encoder is called that it is an output of
    modules = dict(encoder.named_modules())
    return {where: made_with(modules[where]).attributes(own) for where, own in found.items()}


def clip_dim(encoder: AudioEncoder) -> int:
    """The size of a clip's vector: `scene_dim` where that is set, else `embedding_dim`."""
    return encoder.scene_dim or encoder.embedding_dim


def outline(encoder: AudioEncoder) -> str:
    """What a fingerprint covers, without reading it: equal again where nothing was touched."""
    tensors = {
        name: (
            str(tensor.dtype), tuple(tensor.shape),
            # torch counts changes in place, but for tensors made in inference mode
            None if tensor.is_inference() else tensor._version,
        )
        for name, tensor in _tensors_of(encoder).items()
    }  # fmt: skip
    return json.dumps([sorted(tensors.items()), _plain_of(encoder)], sort_keys=True)


def has_weights(encoder: AudioEncoder) -> bool:
    """Whether its fingerprint covers any tensor: a parameter, a buffer, an attribute."""
    return bool(_tensors_of(encoder))


def is_built_in(encoder: AudioEncoder) -> bool:
    """Whether an encoder and all of its network come with Earmark, or with torch."""
    ours = {__name__.partition(".")[0], *_FOREIGN}
    return all(type(one).__module__.partition(".")[0] in ours for one in encoder.modules())


def is_plain(value: Any) -> bool:
    """Whether a value is made of None, truth values, numbers and text alone.

    What holds itself is not, nor what is nested deeper than Python counts.
    """
    try:
        return _is_plain(value)
    except RecursionError:
        return False


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(inner) for inner in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(inner) for key, inner in value.items())
    return value is None or type(value) in (bool, int, float, str)


def note_code(encoder: AudioEncoder) -> None:
    """Remember the code that an encoder is made of, for its fingerprint, before it is edited."""
    with contextlib.suppress(EncoderError), inside(home_of(encoder)):
        _code_of(encoder)


def _code_of(encoder: AudioEncoder) -> list[str]:
    """Digests of the source files of an encoder's class, its modules' classes and their bases."""
    classes = {cls for module in encoder.modules() for cls in type(module).__mro__}
    return sorted({_source_digest(cls) for cls in classes if is_own_code(cls)})


def _version(library: str, encoder: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError as error:
        raise EncoderError(
            f"encoder {encoder!r}: its `libraries` names {library!r}, which is not installed; "
            "install it or fix the name"
        ) from error
