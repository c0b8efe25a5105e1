"""Models of transformers that have a pass of their own in `earmark.encoders.baselines`.

The same network by `hf:ID` and by its built-in name gives the same numbers.
"""

from __future__ import annotations

from typing import Any

from earmark.encoders.baselines.ast import AstPass
from earmark.encoders.baselines.checkpoint import UnfitError, forget_place, plain_config
from earmark.encoders.baselines.clap import ClapPass
from earmark.encoders.baselines.codecs import DacPass, EncodecPass, MimiPass, XcodecPass
from earmark.encoders.baselines.speech import SpeechPass
from earmark.encoders.baselines.w2v_bert import W2vBertPass
from earmark.encoders.baselines.whisper import WhisperPass
from earmark.encoders.shared import SharedPass

# Transformers over convolutions of the samples. Those that compute the same frames in a batch of
# unequal lengths, by a mask, where their feature encoder has layer norm.
SPEECH = frozenset({
    "wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat", "data2vec-audio",
    "wav2vec2-conformer",
})  # fmt: skip
MASKED = SPEECH - {"data2vec-audio", "wav2vec2-conformer"}
CODECS: dict[str, type[Any]] = {
    "encodec": EncodecPass, "dac": DacPass, "mimi": MimiPass, "xcodec": XcodecPass,
}  # fmt: skip
_KALDI_RATE = 16_000


def known_pass(kind: str, model: Any, extractor: Any) -> SharedPass | None:
    """The pass of a model of this type; None where there is none for its settings."""
    forget_place(model)
    if kind in SPEECH and not getattr(model.config, "add_adapter", False):
        _check_class(extractor, "Wav2Vec2FeatureExtractor")
        shared = SpeechPass(model, extractor)
        shared.honours_lengths = shared.honours_lengths and kind in MASKED
        return shared
    if kind in CODECS:
        made: SharedPass = CODECS[kind](model)
        return made
    if kind == "whisper":
        _check_class(extractor, "WhisperFeatureExtractor")
        return WhisperPass(model.get_encoder(), extractor)
    if kind == "audio-spectrogram-transformer" and _is_plain_ast(model, extractor):
        return AstPass(model, extractor)
    if kind == "wav2vec2-bert" and not model.config.add_adapter:
        _check_class(extractor, "SeamlessM4TFeatureExtractor")
        if extractor.sampling_rate == _KALDI_RATE:
            return W2vBertPass(model, extractor)
    if kind == "clap":
        return _clap(model, extractor)
    return None


def _check_class(extractor: Any, wanted: str) -> None:
    if type(extractor).__name__ != wanted:
        raise UnfitError(
            f"its feature extractor is a {type(extractor).__name__}, of another kind of model; "
            f"save its {wanted} beside it"
        )


def _is_plain_ast(model: Any, extractor: Any) -> bool:
    """Whether its spectrogram is Kaldi's at 16 kHz, normalised, and its patches are square."""
    _check_class(extractor, "ASTFeatureExtractor")
    square = isinstance(model.config.patch_size, int)
    if extractor.sampling_rate == _KALDI_RATE and extractor.do_normalize and square:
        return True
    raise UnfitError(
        f"its spectrogram at {extractor.sampling_rate} Hz, do_normalize {extractor.do_normalize}, "
        f"patches of {model.config.patch_size}: known are 16 000 Hz, normalised, square patches"
    )


def _clap(model: Any, extractor: Any) -> SharedPass:
    """The audio half of CLAP, with its projection."""
    import transformers

    _check_class(extractor, "ClapFeatureExtractor")
    config = model.config
    if config.audio_config.enable_fusion or extractor.truncation == "fusion":
        raise UnfitError(
            "it fuses windows that are drawn at random: no two runs would agree; give one without "
            "feature fusion (enable_fusion, truncation)"
        )
    if extractor.padding != "repeatpad":
        raise UnfitError(f"its padding is {extractor.padding!r}; only 'repeatpad' is known")
    audio: Any = transformers.ClapAudioModelWithProjection(config.audio_config)
    audio.audio_model, audio.audio_projection = model.audio_model, model.audio_projection
    return ClapPass(audio.eval(), extractor, plain_config(config))
