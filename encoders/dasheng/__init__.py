"""DashengTokenizer and the Dasheng encoders, in plain torch.

`load` gives the encoders `dasheng`, `dasheng:semantic` and `dasheng:acoustic`, which share one
pass; `load_dasheng_encoder` gives `dasheng-base`, `dasheng-0.6b` or `dasheng-1.2b`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from earmark.encoders.dasheng.checkpoint import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    fill_semantic,
    random_weights,
    read_dasheng_file,
    read_safetensors,
    save_checkpoint,
    save_dasheng_file,
    tokenizer_from,
    without_weights,
)
from earmark.encoders.dasheng.config import (
    DASHENG_MODELS,
    SemanticConfig,
    TokenizerConfig,
    dasheng_config,
    read_tokenizer_config,
)
from earmark.encoders.dasheng.encoder import DashengEncoder, TokenizerCodec
from earmark.encoders.dasheng.fetch import fetch_tokenizer, refuse_zenodo
from earmark.encoders.dasheng.precision import check_precision
from earmark.encoders.dasheng.tokenizer import OUTPUTS, UNIFIED
from earmark.encoders.encoder import EncoderError
from earmark.encoders.family import name_by_sizes

TINY = "dasheng-tiny"
_RELEASED = TokenizerConfig()
TINY_FOLDER = Path(__file__).parent / "tiny"

__all__ = [
    "DASHENG_MODELS", "OUTPUTS", "DashengEncoder", "SemanticConfig", "TokenizerCodec",
    "TokenizerConfig", "load", "load_dasheng_encoder", "load_tiny", "random_weights",
    "save_checkpoint", "save_dasheng_file",
]  # fmt: skip


def load(
    outputs: Sequence[str] = (UNIFIED,),
    *,
    weights: str | Path | None = None,
    precision: str = "auto",
) -> list[TokenizerCodec]:
    """Encoders of DashengTokenizer that share one pass, in the order asked for.

    outputs: of "" (`dasheng`, the sum), "semantic" and "acoustic". weights: a folder with
    `config.json` and `model.safetensors`; None: the released checkpoint, from the cache of
    huggingface_hub or fetched. precision: of the matrix products on a GPU: `auto`, `bf16`, `fp16`
    or `fp32`; a CPU computes in float32.

    Raises EncoderError for an unknown output, for files that cannot be fetched or read, and for a
    checkpoint with a missing, unexpected or misshapen key.
    """
    _check_outputs("dasheng", outputs)
    check_precision(precision)
    folder = fetch_tokenizer() if weights is None else Path(weights)
    return _codecs("dasheng", outputs, folder, precision)


def load_tiny(
    outputs: Sequence[str] = (UNIFIED,),
    *,
    weights: str | Path | None = None,
    precision: str = "auto",
) -> list[TokenizerCodec]:
    """The same of `dasheng-tiny`, which comes with Earmark; see `tiny/README.md`, its card.

    weights: a folder with another training of it. Arguments and errors else as in `load`.
    """
    _check_outputs(TINY, outputs)
    check_precision(precision)
    return _codecs(TINY, outputs, TINY_FOLDER if weights is None else Path(weights), precision)


def _check_outputs(name: str, outputs: Sequence[str]) -> None:
    for output in outputs:
        if output not in OUTPUTS:
            raise EncoderError(
                f"encoder {name!r} has no output {output!r}; it has 'semantic' and 'acoustic'"
            )


def _codecs(
    name: str, outputs: Sequence[str], folder: Path, precision: str
) -> list[TokenizerCodec]:
    """Outputs of the checkpoint in a folder, under the model's name."""
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / file).is_file():
            raise EncoderError(
                f"encoder {name!r}: no {file} in {folder}; weights must be a folder with "
                f"{CONFIG_FILE} and {WEIGHTS_FILE}"
            )
    config = read_tokenizer_config(folder / CONFIG_FILE)
    path = folder / WEIGHTS_FILE
    tokenizer = tokenizer_from(config, read_safetensors(path), str(path), precision)
    published = read_tokenizer_config(TINY_FOLDER / CONFIG_FILE) if name == TINY else _RELEASED
    name = name_by_sizes(name, dataclasses.asdict(config), dataclasses.asdict(published))
    return [TokenizerCodec(tokenizer, output, config, name).eval() for output in outputs]


def load_dasheng_encoder(
    name: str, weights: str | Path | None = None, *, precision: str = "auto"
) -> DashengEncoder:
    """A Dasheng encoder: the semantic path alone.

    name: `dasheng-base`, `dasheng-0.6b` or `dasheng-1.2b`. weights: its `.pt` file, or a folder
    that holds it under its released name. Sizes are those in the file's `config`; what that does
    not say is as in the model of that name. precision as in `load`.

    Raises EncoderError for an unknown name, without `weights` (how to get the file), and for a
    file that cannot be read or does not fit.
    """
    if name not in DASHENG_MODELS:
        raise EncoderError(f"unknown Dasheng encoder {name!r}; known: {', '.join(DASHENG_MODELS)}")
    check_precision(precision)
    model = DASHENG_MODELS[name]
    if weights is None:
        raise refuse_zenodo(name, model.file)
    path = Path(weights)
    path = path / model.file if path.is_dir() else path
    if not path.is_file():
        raise EncoderError(f"encoder {name!r}: there is no file {path}; give {model.file}")
    state, values = read_dasheng_file(path)
    config = dasheng_config(values, model.config, str(path))
    shown = name_by_sizes(name, dataclasses.asdict(config), dataclasses.asdict(model.config))
    encoder = without_weights(lambda: DashengEncoder(shown, config, precision))
    fill_semantic(encoder.semantic, state, str(path))
    return encoder
