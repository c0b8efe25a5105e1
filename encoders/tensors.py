"""Checkpoints as files of tensors: found, read without running anything in them, put into place."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from earmark.encoders.encoder import EncoderError

WHOLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"  # of one in pieces
State = dict[str, torch.Tensor]
Network = TypeVar("Network", bound=torch.nn.Module)
_UNREADABLE = (
    OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError,
    pickle.UnpicklingError,
)  # fmt: skip


def weights_file(name: str, weights: Path | None, files: Sequence[str], where: str) -> Path:
    """The file of a model's weights.

    weights: it, or a folder that holds one of `files`, the first that is there; None: it was not
    given. where: where to get it, for messages. Raises EncoderError, one line.
    """
    listed = " or ".join(files)
    if weights is None:
        raise EncoderError(
            f"encoder {name!r}: its weights are not fetched; get {listed} from {where} and give it "
            f"by --weights FILE"
        )
    if weights.is_file():
        return weights
    if not weights.is_dir():
        raise EncoderError(f"encoder {name!r}: {weights} does not exist; it must hold {listed}")
    for file in files:
        if (weights / file).is_file():
            return weights / file
    raise EncoderError(f"encoder {name!r}: no {listed} in {weights}; get it from {where}")


def read_file(path: Path) -> Any:
    """What a `.safetensors` file, or a file of torch, holds; of the latter only tensors and plain
    values are read. Raises EncoderError, one line.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                return load_file(path, device="cpu")
            except SafetensorError as error:
                raise ValueError(str(error)) from error
        mapped = zipfile.is_zipfile(path)  # torch maps only files in its present format
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except _UNREADABLE as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise EncoderError(
            f"{path} cannot be read as tensors ({said}); it is damaged or of another kind: get it "
            "again"
        ) from error


def state_of(content: Any, path: Path, *keys: str) -> State:
    """The tensors of a file by name: itself, or what it holds under one of `keys`.

    Raises EncoderError where there are none.
    """
    for key in keys:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = isinstance(content, Mapping) and all(
        isinstance(one, torch.Tensor) for one in content.values()
    )
    if not tensors or not content:
        also = f", alone or under {' or '.join(keys)}" if keys else ""
        raise EncoderError(f"{path} holds no tensors by name{also}: it is no checkpoint")
    return dict(content)


def renamed(state: Mapping[str, torch.Tensor], names: Mapping[str, str]) -> State:
    """A checkpoint's tensors under our names.

    names: beginning of a checkpoint's name -> ours for it; the first that fits is taken.
    """
    found = {}
    for key, tensor in state.items():
        fits = next((theirs for theirs in names if key.startswith(theirs)), "")
        found[names.get(fits, "") + key.removeprefix(fits)] = tensor
    return found


def filled(build: Callable[[], Network], state: Mapping[str, torch.Tensor], where: str) -> Network:
    """A network with these weights in float32, and in eval mode.

    Raises EncoderError, naming `where`, unless keys and shapes are exactly the network's.
    """
    with torch.device("meta"):  # shapes without memory: nothing is drawn that is replaced
        network = build()
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    faults = []
    if missing := [key for key in wanted if key not in state]:
        faults.append(f"missing {_listed(missing)}")
    if extra := [key for key in state if key not in wanted]:
        faults.append(f"unexpected {_listed(extra)}")
    if misshapen := [
        f"{key} {tuple(state[key].shape)} for {shape}"
        for key, shape in wanted.items()
        if key in state and tuple(state[key].shape) != shape
    ]:
        faults.append(f"misshapen {_listed(misshapen)}")
    if faults:
        raise EncoderError(f"{where} does not fit the model: {'; '.join(faults)}")
    tensors = {
        name: state[name].float() if state[name].is_floating_point() else state[name]
        for name in wanted
    }
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def count_numbered(state: Mapping[str, torch.Tensor], prefix: str) -> int:
    """How many numbered parts there are under a prefix: `blocks.0.`, `blocks.1.` -> 2."""
    return len(
        {key.removeprefix(prefix).partition(".")[0] for key in state if key.startswith(prefix)}
    )


def part_files(folder: Path, prefix: str) -> list[Path]:
    """The safetensors files of a model's folder that hold tensors of a prefix, by its index.

    Without an index that is `model.safetensors`. Raises EncoderError.
    """
    index = folder / INDEX_FILE
    if not index.is_file():
        return [folder / WHOLE_FILE]
    try:
        places = dict(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EncoderError(f"{index} cannot be read: {error}") from error
    names = {str(file) for name, file in places.items() if name.startswith(prefix)}
    if any(Path(name).name != name or name == ".." for name in names):
        raise EncoderError(f"{index} names a file outside of its folder")
    return [folder / name for name in sorted(names)]


def read_part(folder: Path, prefix: str) -> State:
    """The tensors of a prefix in a model's folder, under their names without it.

    Only files that hold some are opened. Raises EncoderError where there are none.
    """
    state: State = {}
    for file in part_files(folder, prefix):
        try:
            with safetensors.safe_open(file, framework="pt", device="cpu") as opened:
                for name in filter(lambda name: name.startswith(prefix), opened.keys()):
                    state[name.removeprefix(prefix)] = opened.get_tensor(name)
        except (OSError, safetensors.SafetensorError) as error:
            raise EncoderError(f"{file} cannot be read as safetensors: {error}") from error
    if not state:
        raise EncoderError(f"{folder} holds no tensor whose name begins with {prefix}")
    return state


def fetch_part(repo: str, prefix: str, **options: Any) -> Path:
    """The folder in the hub's cache with `config.json` and the files that hold a prefix.

    options: as of hf_hub_download. Raises OSError.
    """
    folder = Path(hf_hub_download(repo, "config.json", **options)).parent
    try:
        hf_hub_download(repo, INDEX_FILE, **options)
        files = part_files(folder, prefix)
    except EntryNotFoundError:  # not in pieces; or not in the cache, and so is the next
        files = [folder / WHOLE_FILE]
    for file in files:
        hf_hub_download(repo, file.name, **options)
    return folder


def _listed(keys: Iterable[str], most: int = 3) -> str:
    keys = list(keys)
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more
