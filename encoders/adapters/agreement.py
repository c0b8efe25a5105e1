"""Whether a model and the feature extractor beside it are of one kind.

A wrapper that fed audio of 48 kHz to a model of 44.1 kHz gave wrong scores that looked right
(MTEB, pull request 5404).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from earmark.encoders.baselines.checkpoint import UnfitError

_RATES = ("sampling_rate", "sample_rate", "audio_sample_rate")
_BANDS = ("num_mel_bins", "n_mels", "input_feat_per_channel")
# Parts of a configuration that tell of audio.
_PARTS = ("audio_config", "audio_encoder_config", "speech_config", "encoder_config")


def check_agreement(config: Mapping[str, Any], extractor: Any) -> None:
    """Refuse a model whose config.json contradicts its preprocessor_config.json.

    config: as it is in the file. extractor: an audio feature extractor of transformers.
    Raises UnfitError: sampling rate, mel bands, channels, length of the input.
    """
    rate = getattr(extractor, "sampling_rate", None)
    if not isinstance(rate, int) or isinstance(rate, bool) or rate < 1:
        raise UnfitError(
            f"its preprocessor_config.json says no sampling_rate in Hz (but {rate!r}); add it"
        )
    for key, value in _found(config, _RATES):
        _compare(key, value, "sampling_rate", rate, " Hz")
    name, bands = _bands(extractor)
    if bands:
        for key, value in _found(config, _BANDS):
            _compare(key, value, name, bands, " mel bands")
        width = bands * int(getattr(extractor, "stride", 1) or 1)
        for key, value in _found(config, ("feature_projection_input_dim",)):
            _compare(key, value, f"{name} x stride", width, " values a frame")
    elif isinstance(channels := config.get("audio_channels"), int):
        _compare("audio_channels", channels, "feature_size", extractor.feature_size, " channels")
    _check_lengths(config, extractor)


def _check_lengths(config: Mapping[str, Any], extractor: Any) -> None:
    """How long the input is, where model and extractor fix it."""
    places, frames = config.get("max_source_positions"), getattr(extractor, "nb_max_frames", None)
    if isinstance(places, int) and isinstance(frames, int):
        # two convolutions, the second of stride 2
        _compare("max_source_positions", places, "chunk_length", frames // 2, " places")
    if config.get("model_type") == "audio-spectrogram-transformer":
        _compare(
            "max_length", config.get("max_length", 1024), "max_length",
            getattr(extractor, "max_length", None), " spectrogram frames",
        )  # fmt: skip


def _bands(extractor: Any) -> tuple[str, int]:
    """By what an extractor says its number of mel bands, and the number; 0: it makes none."""
    for name in ("num_mel_bins", "feature_size"):
        value = getattr(extractor, name, None)
        if isinstance(value, int) and value > 2:  # 1 and 2 are channels
            return name, value
    return "", 0


def _found(config: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Each of the keys that a configuration, or a part of it for audio, has a number for."""
    for part in ("", *_PARTS):
        facts = config.get(part) if part else config
        if not isinstance(facts, Mapping):
            continue
        for key in keys:
            if isinstance(value := facts.get(key), int | float) and not isinstance(value, bool):
                yield (f"{part}.{key}" if part else key), value


def _compare(ours: str, value: Any, theirs: str, wanted: Any, unit: str) -> None:
    if value != wanted:
        raise UnfitError(
            f"its config.json says {value}{unit} ({ours}), its preprocessor_config.json "
            f"{wanted} ({theirs}): one of the two is of another model, so correct it"
        )
