"""Whether an encoder fills in the contract: the values of its attributes, before it encodes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from earmark.encoders.encoder import AudioEncoder, Codec, EncoderError
from earmark.encoders.shared import OutputEncoder
from earmark.encoders.weights import check_weights

# What `named_outputs` may say of an output that is not as its encoder has it.
OWN = (
    "embedding_dim", "frame_rate", "honours_lengths", "frame_rate_varies", "min_seconds",
    "max_seconds", "fixed_seconds",
)  # fmt: skip
_SECONDS = ("min_seconds", "max_seconds", "fixed_seconds")
_MISSING = object()
_HIGHEST_RATE = 1_000_000  # Hz: bats are recorded at half of that
_LARGEST_DIM = 1 << 24


def check_contract(encoder: Any, name: str) -> None:
    """Raise EncoderError, one line, where an attribute is missing or cannot be.

    name: how it was asked for; an encoder without a name of its own gets it.
    """
    if not isinstance(encoder, AudioEncoder):
        raise EncoderError(
            f"encoder {name!r} is a {type(encoder).__name__}; it must be a subclass of "
            "earmark.AudioEncoder"
        )
    if not getattr(encoder, "name", ""):
        encoder.name = name.rpartition(":")[2] if ".py:" in name else name
    _check_name(encoder.name, name)
    for attribute in ("sample_rate", "embedding_dim"):
        _check_whole(encoder, attribute, name)
    rate = getattr(encoder, "frame_rate", _MISSING)
    if rate is not None and not _is_number(rate):
        said = "it is not set" if rate is _MISSING else f"not {rate!r}"
        raise EncoderError(
            f"encoder {name!r}: frame_rate must be a number above 0, or None for one vector a "
            f"clip; {said}: set it on the class"
        )
    _check_sizes(encoder, name)
    bits = encoder.bits_per_second
    if bits is not None and not _is_number(bits):
        raise EncoderError(
            f"encoder {name!r}: bits_per_second must be a number above 0, or None where the output "
            f"is no code, not {bits!r}"
        )
    if isinstance(encoder, Codec) and encoder.decoded_rate is not None:
        _check_whole(encoder, "decoded_rate", name)
    _check_frames(encoder, name)
    _check_seconds(encoder, name)
    _check_outputs(encoder, name)
    check_weights(encoder, name)


def _check_name(name: Any, asked: str) -> None:
    """Results are written under it."""
    if not isinstance(name, str):
        raise EncoderError(f"encoder {asked!r}: name must be text, not {name!r}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise EncoderError(
            f"encoder {asked!r}: name holds half a character at {error.start}, {name!r}; give it "
            "a name that can be written as UTF-8"
        ) from error


def _check_sizes(encoder: AudioEncoder, name: str) -> None:
    """What would take all memory before anything is measured."""
    if encoder.sample_rate > _HIGHEST_RATE:
        raise EncoderError(
            f"encoder {name!r}: sample_rate is {encoder.sample_rate}, above {_HIGHEST_RATE}; it is "
            "in Hz"
        )
    if encoder.embedding_dim > _LARGEST_DIM:
        raise EncoderError(
            f"encoder {name!r}: embedding_dim is {encoder.embedding_dim}, above {_LARGEST_DIM}; it "
            "is the size of one frame"
        )
    if encoder.frame_rate is not None and encoder.frame_rate > encoder.sample_rate:
        raise EncoderError(
            f"encoder {name!r}: frame_rate {encoder.frame_rate:g} is above its sample_rate, "
            f"{encoder.sample_rate} Hz; it is in frames a second"
        )


def _check_frames(encoder: AudioEncoder, name: str) -> None:
    """What goes with one vector a clip, with a rate that varies and with a scene."""
    varies, one_vector = encoder.frame_rate_varies, encoder.frame_rate is None
    if not isinstance(varies, bool):
        raise EncoderError(
            f"encoder {name!r}: frame_rate_varies must be True or False, not {varies!r}"
        )
    if varies and one_vector:
        raise EncoderError(
            f"encoder {name!r}: frame_rate_varies needs a frame_rate, that of the grid onto which "
            "frames are put: set about the highest that occurs"
        )
    if isinstance(encoder, Codec) and (varies or one_vector):
        raise EncoderError(
            f"encoder {name!r}: a Codec needs a frame_rate of one value; make it an AudioEncoder, "
            "or set the rate"
        )
    has_scene = type(encoder).encode_scene is not AudioEncoder.encode_scene
    if encoder.scene_dim is None:
        if has_scene:
            raise EncoderError(
                f"encoder {name!r}: encode_scene() needs scene_dim, the size of its vectors; set "
                "it on the class"
            )
        return
    _check_whole(encoder, "scene_dim", name)
    if not has_scene or one_vector:
        raise EncoderError(
            f"encoder {name!r}: scene_dim goes with encode_scene() beside frames of encode(); of "
            "an encoder of one vector a clip set embedding_dim alone"
        )


def _check_seconds(encoder: AudioEncoder, name: str) -> None:
    """The lengths that an encoder takes."""
    known = {one: getattr(encoder, one) for one in _SECONDS if getattr(encoder, one) is not None}
    for attribute, value in known.items():
        if not _is_number(value):
            raise EncoderError(
                f"encoder {name!r}: {attribute} must be a number above 0, or None for any length, "
                f"not {value!r}"
            )
        if round(value * encoder.sample_rate) < 1:
            raise EncoderError(
                f"encoder {name!r}: {attribute} is {value:g}, less than a sample of "
                f"{encoder.sample_rate} Hz; it is in seconds"
            )
    if isinstance(encoder, Codec) and known:
        raise EncoderError(
            f"encoder {name!r}: a Codec takes clips of any length, so that it decodes them whole: "
            f"have encode() and decode() pad and cut, and leave out {', '.join(known)}"
        )
    if "fixed_seconds" in known and len(known) > 1:
        raise EncoderError(
            f"encoder {name!r}: fixed_seconds is the least and the most; leave out "
            f"{', '.join(one for one in known if one != 'fixed_seconds')}"
        )
    if known.get("min_seconds", 0) > known.get("max_seconds", math.inf):
        raise EncoderError(
            f"encoder {name!r}: min_seconds {encoder.min_seconds:g} is above max_seconds "
            f"{encoder.max_seconds:g}"
        )


def _check_outputs(encoder: AudioEncoder, name: str) -> None:
    """Layers and other outputs of one pass."""
    if isinstance(encoder, OutputEncoder):
        return
    several = type(encoder).encode_outputs is not AudioEncoder.encode_outputs
    if not several:
        return  # such attributes may be an encoder's own
    if encoder.layer_count is not None:
        _check_whole(encoder, "layer_count", name)
    named = encoder.named_outputs
    whole = not isinstance(named, str) and all(
        isinstance(one, str) and one and not set(one) & set(":(){} ") for one in named
    )
    for output, own in named.items() if whole and isinstance(named, Mapping) else ():
        strange = [key for key in own if key not in OWN] if _is_mapping(own) else []
        if strange:
            raise EncoderError(
                f"encoder {name!r}: named_outputs[{output!r}] has {', '.join(strange)}; an output "
                f"has of its own {', '.join(OWN)}"
            )
    if not whole or (isinstance(named, Mapping) and not all(map(_is_mapping, named.values()))):
        raise EncoderError(
            f"encoder {name!r}: named_outputs must be names (without colon, bracket or space), or "
            f"a mapping of names to attributes, not {named!r}"
        )


def _check_whole(encoder: AudioEncoder, attribute: str, name: str) -> None:
    value: Any = getattr(encoder, attribute, None)
    if not isinstance(value, int) or not _is_number(value):
        raise EncoderError(
            f"encoder {name!r}: {attribute} must be a whole number above 0, not {value!r}; set it "
            "on the class"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
