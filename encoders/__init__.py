"""What is measured: the plugin class, the registry, and one file or folder per family."""

if __name__ != "earmark.encoders":
    raise ImportError(
        "Earmark's import name is `earmark`: write `from earmark import AudioEncoder, Frames`, ..."
    )

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earmark.encoders.catalogue import encoder_names
    from earmark.encoders.encoder import (
        AudioEncoder,
        Codec,
        EncoderError,
        Frames,
        clip_dim,
        has_weights,
        is_built_in,
        outline,
    )
    from earmark.encoders.home import draw_anew
    from earmark.encoders.lent import left_as_found
    from earmark.encoders.outputs import encode_each, pass_of, scene_at_home
    from earmark.encoders.registry import (
        find_encoder,
        group_names,
        is_registered,
        load_encoder,
        load_encoders,
        names_of,
        ready_encoder,
        register_encoder,
        with_layer,
    )
    from earmark.encoders.shared import OutputEncoder, SharedPass, decode_at_home
    from earmark.encoders.unseen import unseen_weights

__all__ = [
    "AudioEncoder", "Codec", "EncoderError", "Frames", "OutputEncoder", "SharedPass", "clip_dim",
    "decode_at_home", "draw_anew", "encode_each", "encoder_names", "find_encoder", "group_names",
    "has_weights", "is_built_in", "is_registered", "left_as_found", "load_encoder",
    "load_encoders", "names_of", "outline", "pass_of", "ready_encoder", "register_encoder",
    "scene_at_home", "unseen_weights", "with_layer",
]  # fmt: skip

_HOME = {
    "catalogue": ("encoder_names",),
    "encoder": (
        "AudioEncoder", "Codec", "EncoderError", "Frames", "clip_dim", "has_weights",
        "is_built_in", "outline",
    ),
    "home": ("draw_anew",),
    "lent": ("left_as_found",),
    "outputs": ("encode_each", "pass_of", "scene_at_home"),
    "registry": (
        "find_encoder", "group_names", "is_registered", "load_encoder", "load_encoders", "names_of",
        "ready_encoder", "register_encoder", "with_layer",
    ),
    "shared": ("OutputEncoder", "SharedPass", "decode_at_home"),
    "unseen": ("unseen_weights",),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    # on first use: `list encoders` need not wait for torch
    import importlib

    for module, names in _HOME.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
