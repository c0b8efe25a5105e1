"""What a killed training goes on from: one file, written whole."""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from earmark.encoders.dasheng.training.config import TrainingError
from earmark.encoders.dasheng.training.processes import Processes
from earmark.encoders.dasheng.training.stages import Stage

# what reading and restoring raise for bytes that are no state
_DAMAGED = (
    OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError,
    pickle.UnpicklingError,
)  # fmt: skip


@dataclass(frozen=True)
class State:
    """Weights and optimizers after so many steps."""

    step: int
    networks: dict[str, Any]
    optimizers: dict[str, Any]

    def restore(self, stage: Stage, path: Path) -> int:
        """Give a stage what it had; returns the steps it has taken.

        path: where this was read. Raises TrainingError where it lacks a part of the stage.
        """
        try:
            for name, network in stage.networks.items():
                network.load_state_dict(self.networks[name])
            for name, optimizer in stage.optimizers.items():
                optimizer.load_state_dict(self.optimizers[name])
        except _DAMAGED as error:
            raise _unreadable(path, error) from error
        return self.step


def read_state(path: Path, identity: dict[str, str], group: Processes) -> State | None:
    """The state at `path`; None where there is none.

    Only tensors and plain values are read. Raises TrainingError for a damaged file, and where the
    training was another one: of another config, audio or semantic encoder.
    """
    if not path.is_file():
        return None
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(kept, dict):
            raise TypeError(f"it holds a {type(kept).__name__}")
        state = State(int(kept["step"]), dict(kept["networks"]), dict(kept["optimizers"]))
        known = dict(kept["identity"])
        if kept["sha256"] != _digest(kept):
            raise ValueError("its content is not what was written")
    except _DAMAGED as error:
        raise _unreadable(path, error) from error
    other = [name for name, value in identity.items() if known.get(name) != value]
    if other:
        raise TrainingError(
            f"{path} is the state of a training with another {' and '.join(other)}; choose another "
            "--out, or begin anew with --fresh"
        )
    return state


def write_state(path: Path, identity: dict[str, str], step: int, stage: Stage) -> None:
    """Written under another name and renamed, so that a kill leaves the state before."""
    temporary = path.with_name(f".{path.name}.tmp")
    content: dict[str, Any] = {
        "identity": identity,
        "step": step,
        "networks": {name: network.state_dict() for name, network in stage.networks.items()},
        "optimizers": {name: one.state_dict() for name, one in stage.optimizers.items()},
    }
    content["sha256"] = _digest(content)
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _digest(content: dict[str, Any]) -> str:
    """SHA-256 (hex) of all but the digest: torch reads tensors with wrong bits and says nothing."""
    digest = hashlib.sha256()

    def take(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(f"{value.dtype} {tuple(value.shape)};".encode())
            digest.update(flat.view(torch.uint8).numpy().data)
        elif isinstance(value, dict):
            digest.update(f"{{{len(value)}".encode())
            for key, inner in value.items():
                digest.update(f"{key!r}:".encode())
                take(inner)
        elif isinstance(value, list | tuple):
            digest.update(f"[{len(value)}".encode())
            for inner in value:
                take(inner)
        else:
            digest.update(f"{value!r};".encode())

    take({name: value for name, value in content.items() if name != "sha256"})
    return digest.hexdigest()


def _unreadable(path: Path, error: Exception) -> TrainingError:
    said = " ".join(str(error).split())[:120] or type(error).__name__
    return TrainingError(f"{path} cannot be read: {said}; begin anew with --fresh")
