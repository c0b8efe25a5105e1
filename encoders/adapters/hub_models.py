"""`hf:ID_OR_FOLDER`: a model of transformers by its own classes, from the hub or from a folder.

No code of a repository is run, and of weights only tensors are read.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.adapters.agreement import check_agreement
from earmark.encoders.adapters.extracted import ExtractedPass, extracted_encoders
from earmark.encoders.adapters.known import known_pass
from earmark.encoders.baselines.ast import AstGrid, AstPass
from earmark.encoders.baselines.checkpoint import (
    Checkpoint,
    UnfitError,
    check_loaded,
    load_checkpoint,
    plain_config,
    source_file,
)
from earmark.encoders.baselines.clap import ClapEncoder, ClapPass
from earmark.encoders.baselines.codec import CodecPass, codec_encoders
from earmark.encoders.baselines.layers import LayeredPass, layer_encoders
from earmark.encoders.baselines.whisper import NOT_SETTINGS
from earmark.encoders.encoder import AudioEncoder, EncoderError
from earmark.encoders.hints import no_such_output
from earmark.encoders.hub import said
from earmark.encoders.shared import SharedPass

PREFIX = "hf:"
# Parts of larger models that hear, by the names that transformers gives them.
_PARTS = ("speech_encoder", "audio_tower", "audio_encoder", "encoder")


def load(
    asked: str, outputs: tuple[str, ...], *, weights: Path | None = None
) -> list[AudioEncoder]:
    """One encoder for each output of a model, `hf:ASKED`.

    asked: FOLDER, ID or ID@REVISION.

    Raises EncoderError, one line, where it cannot be had, takes no audio, needs code of its own, or
    contradicts its feature extractor.
    """
    name = f"{PREFIX}{asked}"
    if weights is not None:
        raise EncoderError(f"encoder {name!r} names its folder itself; ask for {PREFIX}{weights}")
    if importlib.util.find_spec("transformers") is None:
        raise EncoderError(
            f"encoder {name!r} needs the package transformers: pip install 'earmark[baselines]'"
        )
    folder = Path(asked).expanduser()
    if asked and folder.is_dir():
        shared = _from_folder(name, folder)
        return _encoders(shared, f"{PREFIX}{folder.resolve().name}", name, outputs)
    return _encoders(_from_hub(name, asked), name, name, outputs)


def _from_folder(name: str, folder: Path) -> SharedPass:
    try:
        facts = json.loads((folder / "config.json").read_bytes())
        kind = str(facts.get("model_type", ""))
    except (OSError, ValueError, AttributeError) as error:
        raise EncoderError(
            f"encoder {name!r}: {folder} holds no model of transformers: its config.json cannot be "
            f"read ({said(error)}); save one there by save_pretrained()"
        ) from error
    return load_checkpoint(Checkpoint(name, "the model", None, kind), _pass, folder)


def _from_hub(name: str, asked: str) -> SharedPass:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    repo, _, revision = asked.partition("@")
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        if wrong := no_such_output(name, asked):
            raise EncoderError(wrong) from error
        raise EncoderError(
            f"encoder {name!r}: {asked!r} is neither a folder here nor an ID of the hub; give "
            f"{PREFIX}path/to/folder, or {PREFIX}OWNER/MODEL"
        ) from error
    given_by = f"name its folder, {PREFIX}DIR (there is no folder {asked} here)"
    checkpoint = Checkpoint(name, repo, revision or None, given_by=given_by)
    return load_checkpoint(checkpoint, _pass, None)


def _pass(source: str, **options: Any) -> SharedPass:
    """The model of a folder, or of a repository on the hub. Raises UnfitError, OSError."""
    facts = json.loads(source_file(source, "config.json", **options).read_bytes())
    _check_kind(facts)
    extractor = _extractor(source, facts, **options)
    check_agreement(facts, extractor)
    if getattr(extractor, "dither", 0):
        raise UnfitError(
            f"its feature extraction adds noise (dither {extractor.dither}): no two runs would "
            "agree; set dither to 0 in preprocessor_config.json"
        )
    model = _model(source, **options)
    known = known_pass(facts["model_type"], model, extractor)
    if known is not None:
        return known
    settings = {
        "model": plain_config(model.config),
        "extractor": {
            key: value for key, value in extractor.to_dict().items() if key not in NOT_SETTINGS
        },
    }
    return ExtractedPass(_hearing_part(model), extractor, settings)


def _check_kind(facts: dict[str, Any]) -> None:
    """Whether transformers knows this type of model, and takes it for one of audio."""
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES

    kind = facts.get("model_type", "")
    if kind in FEATURE_EXTRACTOR_MAPPING_NAMES:
        return
    if kind in CONFIG_MAPPING_NAMES:
        raise UnfitError(f"it is a model of type {kind!r}, which takes no audio")
    if "auto_map" in facts:
        raise UnfitError(
            f"it needs code of its own (auto_map in its config.json, type {kind!r}), which is not "
            "run here; wrap it in a class of a file"
        )
    close = difflib.get_close_matches(str(kind), FEATURE_EXTRACTOR_MAPPING_NAMES, n=1)
    hint = f"did you mean {close[0]!r}? Else " if close else ""
    raise UnfitError(
        f"transformers {transformers.__version__} knows no model of type {kind!r} (model_type in "
        f"its config.json); {hint}wrap it in a class of a file"
    )


def _extractor(source: str, facts: dict[str, Any], **options: Any) -> Any:
    """Its own feature extractor."""
    import transformers

    files = ("preprocessor_config.json", "processor_config.json")
    if Path(source).is_dir() and not any((Path(source) / file).is_file() for file in files):
        raise UnfitError(
            f"it has no {files[0]}, which says what audio it takes; save its feature extractor "
            "beside it by save_pretrained()"
        )
    try:
        found = transformers.AutoFeatureExtractor.from_pretrained(
            source, trust_remote_code=False, **options
        )
    except ValueError as error:
        raise UnfitError(f"its feature extractor cannot be loaded: {said(error)}") from error
    names = getattr(found, "model_input_names", None) or [""]
    if not hasattr(found, "sampling_rate") or not names[0].startswith("input_"):
        raise UnfitError(
            f"its {type(found).__name__} is no feature extractor of audio; save the one of its "
            f"model type {facts['model_type']!r} beside it"
        )
    return found


def _model(source: str, **options: Any) -> Any:
    """The model in float32, whole."""
    import transformers

    loaded: Any = transformers.AutoModel.from_pretrained(
        source, trust_remote_code=False, weights_only=True, dtype=torch.float32,
        output_loading_info=True, **options,
    )  # fmt: skip
    model, info = loaded
    # what a checkpoint holds besides is heads, for pre-training and for recognition
    check_loaded(
        info | {"unexpected_keys": []}, f"a {type(model).__name__}", unused=("masked_spec_embed",)
    )
    for key, parameter in model.named_parameters():
        if key.endswith("masked_spec_embed"):
            # stands for masked frames in training; no frame is masked here
            torch.nn.init.zeros_(parameter)
    return model.eval()


def _hearing_part(model: Any) -> Any:
    """The part of a model that takes audio: its encoder, where it has one as a model."""
    import transformers

    for name in _PARTS:
        part = getattr(model, name, None)
        if isinstance(part, transformers.PreTrainedModel):
            return part
    return model


def _encoders(
    shared: SharedPass, shown: str, asked: str, outputs: Sequence[str]
) -> list[AudioEncoder]:
    """An encoder for each output. Raises EncoderError for one that the model does not have."""
    known: tuple[str, ...]
    if isinstance(shared, CodecPass):
        known, layered = ("", "quantized"), False
    elif isinstance(shared, ClapPass):
        known, layered = ("", "frames", "grid"), False
    else:
        known, layered = (("", "grid") if isinstance(shared, AstPass) else ("",)), True
    for output in outputs:
        if output not in known and not (layered and output.startswith("layer-")):
            has = [f"{asked}:{one}" for one in known if one] or ["none but its own"]
            layers = " and layers (layer-0, ..., layer-all)" if layered else ", and no layers"
            raise EncoderError(
                f"encoder {asked!r} has no output {output!r}; its outputs: {', '.join(has)}{layers}"
            )
    if isinstance(shared, CodecPass):
        return codec_encoders(shared, shown, outputs, ("transformers",))
    if isinstance(shared, ClapPass):
        return [ClapEncoder(shared, shown, output) for output in dict.fromkeys(outputs)]
    if isinstance(shared, ExtractedPass):
        return extracted_encoders(shared, shown, outputs)
    assert isinstance(shared, LayeredPass)
    made: list[AudioEncoder] = []
    for output in dict.fromkeys(outputs):
        if output == "grid" and isinstance(shared, AstPass):
            made.append(AstGrid(shared, shown))
        else:
            made += layer_encoders(shared, shown, [output])
    return list({one.name: one for one in made}.values())
