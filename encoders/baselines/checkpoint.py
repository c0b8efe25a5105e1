"""Where the weights of a published model come from: the Hugging Face hub, or a local copy.

Weights are read from safetensors; no code of a checkpoint is ever run.
"""

from __future__ import annotations

import importlib.util
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from earmark.encoders.encoder import EncoderError
from earmark.encoders.family import name_by_sizes
from earmark.encoders.hub import out_of_reach, quiet, said, with_root

# What the libraries raise for files that are cut short, damaged, or not what their name says.
DAMAGE = (
    OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    EOFError, pickle.UnpicklingError, SafetensorError, StrictDataclassError,
)  # fmt: skip

Made = TypeVar("Made")


class UnfitError(ValueError):
    """A checkpoint that is whole, but of a kind that cannot be measured: no other copy helps."""


@dataclass(frozen=True)
class Checkpoint:
    """A published model.

    name: of the encoder, for messages. repo: on the hub. revision: its commit, or None where none
    is known to hold safetensors: then the newest is taken, and for a repository without
    safetensors the conversion that the hub keeps beside it.
    model_type: as its config.json says, or "" where that says none; None: the loader looks itself.
    published: its sizes, as its published config.json has them; `part.key` for one in a part.
    given_by: how a copy of it is given where it cannot be fetched.
    """

    name: str
    repo: str
    revision: str | None = None
    model_type: str | None = ""
    published: Mapping[str, Any] = field(default_factory=dict)
    given_by: str = "give its folder by --weights DIR"


def load_checkpoint(
    checkpoint: Checkpoint,
    load: Callable[..., Made],
    weights: Path | None,
    *,
    package: str = "transformers",
) -> Made:
    """Load a model from a local folder, from the hub's cache, or from the hub, in that order.

    load: called as `load(source, local_files_only=..., revision=...)`, revision only where it
        matters; raises OSError where a file is missing.
    Raises EncoderError, in one line, where it cannot be had.
    """
    name = checkpoint.name
    if importlib.util.find_spec(package) is None:
        raise EncoderError(
            f"encoder {name!r} needs the package {package}: pip install 'earmark[baselines]'"
        )
    if weights is not None:
        _check_folder(checkpoint, weights)
        try:
            with quiet():
                return load(str(weights), local_files_only=True)
        except DAMAGE as error:
            fix = "" if isinstance(error, UnfitError) else f"; fetch it again: {checkpoint.repo}"
            raise EncoderError(
                f"encoder {name!r}: cannot be loaded from {weights}: {said(error)}{fix}"
            ) from error
    options = {} if checkpoint.revision is None else {"revision": checkpoint.revision}
    cached = try_to_load_from_cache(checkpoint.repo, "config.json", **options)
    if isinstance(cached, str):
        try:
            with quiet():
                return load(checkpoint.repo, local_files_only=True, **options)
        except OSError:  # not all of it is there
            pass
        except DAMAGE as error:
            fix = "" if isinstance(error, UnfitError) else "; delete it and fetch it again"
            raise EncoderError(
                f"encoder {name!r}: cannot be loaded from the cache, {Path(cached).parent} "
                f"({said(error)}){fix}"
            ) from error
    reason = out_of_reach(checkpoint.repo, "config.json", checkpoint.revision)
    if reason is None:
        try:
            with quiet():
                return load(checkpoint.repo, local_files_only=False, **options)
        except DAMAGE as error:
            reason = with_root(error)
    at = "" if checkpoint.revision is None else f" at {checkpoint.revision[:8]}"
    raise EncoderError(
        f"encoder {name!r}: cannot fetch {checkpoint.repo}{at} from {constants.ENDPOINT} "
        f"({reason}); download it elsewhere and {checkpoint.given_by}"
    )


def source_file(source: str, name: str, **options: Any) -> Path:
    """A file of what `load_checkpoint` gives as `source`: a folder, or a repository on the hub.

    Raises OSError where it is not there.
    """
    folder = Path(source)
    if folder.is_dir():
        if not (folder / name).is_file():
            raise FileNotFoundError(f"there is no {name} in it")
        return folder / name
    return Path(hf_hub_download(source, name, **options))


def pretrained(checkpoint: Checkpoint, architecture: str, source: str, **options: Any) -> Any:
    """A whole model of transformers in float32, as `from_pretrained` of this class loads it.

    What stands for masked frames in the training of a speech model in it is zero, as no frame is
    masked. Raises ValueError where weights are missing or left over, OSError as it does.
    """
    import torch
    import transformers

    model, info = getattr(transformers, architecture).from_pretrained(
        source, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
    )
    check_loaded(info, checkpoint.name, unused=("masked_spec_embed",))
    for key, parameter in model.named_parameters():
        if key.endswith("masked_spec_embed"):
            torch.nn.init.zeros_(parameter)
    forget_place(model)
    return model


def check_loaded(
    info: dict[str, Any],
    name: str,
    *,
    unused: tuple[str, ...] = (),
    heads: tuple[str, ...] = (),
) -> None:
    """Refuse a model of which weights are missing, or left over.

    Missing ones would have been drawn at random; left over ones tell of another model than the
    configuration does.

    info: what `from_pretrained(output_loading_info=True)` tells. unused: ends of the names of
    weights that no output depends on. heads: beginnings of the names of weights that a checkpoint
    may hold besides, of parts for which the model without a head has no use. Raises ValueError.
    """
    ends = unused or ("\0",)
    missing = [key for key in info["missing_keys"] if not key.endswith(ends)]
    wrong = missing + [str(key) for key in info["mismatched_keys"]]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(
            f"its weights lack or misfit {', '.join(sorted(wrong)[:3])}{more}; it is no whole "
            f"checkpoint of {name}"
        )
    known = heads or ("\0",)
    extra = [
        key for key in info["unexpected_keys"] if not (key.endswith(ends) or key.startswith(known))
    ]
    if extra:
        more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
        raise ValueError(
            f"{name} by its config.json has no place for its weights {min(extra)}{more}; the two "
            "are not of one model"
        )


def shown_name(checkpoint: Checkpoint, config: Mapping[str, Any]) -> str:
    """The name under which a model of this configuration is shown.

    That of the published one, or where its sizes are others one of its own, with digits of them;
    what differs is said in a line.
    """
    return name_by_sizes(
        checkpoint.name,
        {key: _inner(config, key) for key in checkpoint.published},
        dict(checkpoint.published),
    )


def _inner(config: Any, key: str) -> Any:
    """A value of a configuration by its key, or by `part.key`."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def plain_config(config: Any) -> dict[str, Any]:
    """A model's configuration as JSON values, less what changes with the copy it came from."""
    facts: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    for key in ("transformers_version", "_name_or_path", "architectures", "dtype"):
        facts.pop(key, None)
    return facts


def forget_place(model: Any) -> None:
    """Make a model of transformers forget where its copy lay, lest its fingerprint tell."""
    for module in model.modules():
        if hasattr(module, "name_or_path"):
            module.name_or_path = ""


def _check_folder(checkpoint: Checkpoint, weights: Path) -> None:
    try:
        facts = json.loads((weights / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"encoder {checkpoint.name!r}: {weights} is not a copy of {checkpoint.repo}: its "
            f"config.json cannot be read ({said(error)}); fetch it again"
        ) from error
    if not isinstance(facts, dict):
        raise EncoderError(
            f"encoder {checkpoint.name!r}: {weights} is not a copy of {checkpoint.repo}: its "
            "config.json holds no object; fetch it again"
        )
    found = facts.get("model_type", "")
    if checkpoint.model_type is not None and found != checkpoint.model_type:
        raise EncoderError(
            f"encoder {checkpoint.name!r}: {weights} holds a model of type {found!r}, not "
            f"{checkpoint.model_type!r}; give a copy of {checkpoint.repo}"
        )
