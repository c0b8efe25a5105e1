"""What is measured: the plugin class, the registry, and one file or folder per family."""

from encoders.encoder import AudioEncoder, Codec, EncoderError, Frames
from encoders.lent import left_as_found
from encoders.registry import (
    encoder_names,
    find_encoder,
    load_encoder,
    ready_encoder,
    register_encoder,
)
from encoders.shared import OutputEncoder, SharedPass, encode_each

__all__ = [
    "AudioEncoder", "Codec", "EncoderError", "Frames", "OutputEncoder", "SharedPass", "encode_each",
    "encoder_names", "find_encoder", "left_as_found", "load_encoder", "ready_encoder",
    "register_encoder",
]  # fmt: skip
