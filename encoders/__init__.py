"""What is measured: the plugin class, the registry, and one file or folder per family."""

from encoders.encoder import AudioEncoder, Codec, EncoderError, Frames
from encoders.registry import (
    encoder_names,
    find_encoder,
    group_names,
    load_encoder,
    load_encoders,
    ready_encoder,
    register_encoder,
    with_layer,
)
from encoders.shared import OutputEncoder, SharedPass

__all__ = [
    "AudioEncoder", "Codec", "EncoderError", "Frames", "OutputEncoder", "SharedPass",
    "encoder_names", "find_encoder", "group_names", "load_encoder", "load_encoders",
    "ready_encoder", "register_encoder", "with_layer",
]  # fmt: skip
