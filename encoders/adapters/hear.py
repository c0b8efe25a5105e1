"""`hear:MODULE`: a package of HEAR's interface (Turian et al. 2022, arXiv 2203.03022).

A module has `load_model(path)`, `get_scene_embeddings(audio, model)` and
`get_timestamp_embeddings(audio, model)`; the model has `sample_rate`, `scene_embedding_size` and
`timestamp_embedding_size`. https://hearbenchmark.com/hear-api.html
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from earmark.encoders.encoder import AudioEncoder, EncoderError, Frames
from earmark.encoders.hints import no_such_output
from earmark.encoders.home import Home, inside, settle
from earmark.encoders.hub import said
from earmark.encoders.plugin_file import module_from_file

PREFIX = "hear:"
_FUNCTIONS = ("load_model", "get_scene_embeddings", "get_timestamp_embeddings")
_SIZES = ("sample_rate", "scene_embedding_size", "timestamp_embedding_size")
# Seconds of noise by whose timestamps frames are told, and that are tried for the shortest clip.
_TRIED_S = 2
_LEAST_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_SHARE = 1e-6  # of the distance of two timestamps, to which times are compared


class HearScenes(AudioEncoder):
    """A model of HEAR's interface by its scene embeddings: one vector a clip.

    Clips of exactly equal length share a batch.
    """

    def __init__(self, name: str, model: torch.nn.Module, module: ModuleType, facts: Any) -> None:
        super().__init__()
        self.name = name
        self.model = model
        # functions, not the module, which could not be copied for a control
        self.scenes: Callable[..., Any] = module.get_scene_embeddings
        self.timed: Callable[..., Any] = module.get_timestamp_embeddings
        self.sizes = {key: _size(name, model, key) for key in _SIZES}
        self.sample_rate = self.sizes["sample_rate"]
        self.embedding_dim = self.sizes["scene_embedding_size"]
        self.frame_rate = None
        self.config = facts
        self.libraries = _distributions(module)  # type: ignore[misc]
        self.min_seconds = self._least()

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        self._check_equal(waveforms, lengths)
        return Frames(self._scene(waveforms)[:, None], torch.ones_like(lengths))

    def _check_equal(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> None:
        if bool((lengths != waveforms.shape[1]).any()):
            raise EncoderError(
                f"encoder {self.name!r}: HEAR's interface knows no lengths; give it clips of equal "
                "length only"
            )

    def _scene(self, waveforms: torch.Tensor) -> torch.Tensor:
        """(B, T) -> (B, scene_embedding_size)."""
        found = self.scenes(waveforms, self.model)
        if not isinstance(found, torch.Tensor) or found.ndim != 2:
            raise EncoderError(
                f"encoder {self.name!r}: get_scene_embeddings() returned "
                f"{_kind(found)}; expected a tensor (n_sounds, scene_embedding_size)"
            )
        return found.to(waveforms.device)

    def _embedded(self, waveforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, T) -> embeddings (B, F, D), and when each is, (F,) float64 in ms."""
        found = self.timed(waveforms, self.model)
        pair = isinstance(found, tuple | list) and len(found) == 2
        values: Any
        times: Any
        values, times = found if pair else (found, None)
        tensors = isinstance(values, torch.Tensor) and isinstance(times, torch.Tensor)
        if not tensors or values.ndim != 3 or times.shape != values.shape[:2]:
            raise EncoderError(
                f"encoder {self.name!r}: get_timestamp_embeddings() returned {_kind(values)} and "
                f"{_kind(times)}; expected tensors (n_sounds, n_timestamps, "
                "timestamp_embedding_size) and (n_sounds, n_timestamps)"
            )
        if values.shape[1] == 0:
            seconds = waveforms.shape[1] / self.sample_rate
            raise ValueError(f"get_timestamp_embeddings() gives none for {seconds:g} s")
        return values.to(waveforms.device), times[0].detach().double().cpu()

    def _noise(self, seconds: float) -> torch.Tensor:
        samples = max(1, round(seconds * self.sample_rate))
        return 0.1 * torch.randn(1, samples, generator=torch.Generator().manual_seed(0))

    def _least(self) -> float | None:
        """The shortest clip that it takes, in seconds; None where it takes 0.05 s."""
        for seconds in _LEAST_S:
            try:
                with torch.no_grad():
                    values, _ = self._embedded(self._noise(seconds))
                    self._scene(self._noise(seconds))
            except EncoderError:
                raise
            except Exception as error:  # a model may raise anything for so few samples
                if seconds == _LEAST_S[-1]:
                    raise EncoderError(
                        f"encoder {self.name!r}: {type(error).__name__} for {seconds:g} s of "
                        f"noise: {said(error)}"
                    ) from error
                continue
            if bool(values.isfinite().all()):
                return None if seconds == _LEAST_S[0] else seconds
        raise EncoderError(f"encoder {self.name!r}: its embeddings of 2 s of noise are not finite")

    def hop(self) -> float | None:
        """Milliseconds from one timestamp to the next; None where there is one alone."""
        with torch.no_grad():
            _, times = self._embedded(self._noise(_TRIED_S))
        if len(times) < 2:
            return None
        hop = float(times[-1] - times[0]) / (len(times) - 1)
        if not hop > 0 or bool((times.diff() <= 0).any()):
            raise EncoderError(
                f"encoder {self.name!r}: its timestamps do not ascend: {times[:3].tolist()}, ... "
                "(they are in milliseconds)"
            )
        if _TRIED_S * 1000 / hop < len(times) / 2 or times[-1] < _TRIED_S * 100:
            raise EncoderError(
                f"encoder {self.name!r}: its last timestamp for {_TRIED_S} s is "
                f"{float(times[-1]):g}; they are in milliseconds"
            )
        return hop


class HearFrames(HearScenes):
    """The same by its timestamp embeddings, with its scene embeddings as the vectors of clips.

    A frame's embedding is the one whose timestamp is nearest to the frame's centre, of two the
    earlier.

    hop: milliseconds from one timestamp to the next.
    """

    def __init__(
        self, name: str, model: torch.nn.Module, module: ModuleType, facts: Any, hop: float
    ) -> None:
        super().__init__(name, model, module, facts)
        self.frame_rate = 1000 / hop
        self.embedding_dim = self.sizes["timestamp_embedding_size"]
        self.scene_dim = self.sizes["scene_embedding_size"]
        self.distance = hop

    def encode(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> Frames:
        self._check_equal(waveforms, lengths)
        values, times = self._embedded(waveforms)
        milliseconds = waveforms.shape[1] / self.sample_rate * 1000
        count = max(1, round(milliseconds / self.distance))
        centres = (torch.arange(count, dtype=torch.float64) + 0.5) * self.distance
        nearest = _nearest(times, centres).to(values.device)
        return Frames(values[:, nearest], torch.full_like(lengths, count))

    def encode_scene(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self._scene(waveforms)


def load(
    asked: str, outputs: tuple[str, ...], *, weights: Path | None = None
) -> list[AudioEncoder]:
    """The encoder `hear:ASKED`.

    asked: MODULE, or path/to/file.py. outputs: its own alone. weights: what `load_model` is given;
    None: nothing. Raises EncoderError, one line.
    """
    name = f"{PREFIX}{asked}"
    module, home = _module(name, asked)
    if weights is not None and not weights.exists():
        raise EncoderError(f"encoder {name!r}: weights {weights} do not exist")
    shown = f"{PREFIX}{Path(asked).stem}" if asked.endswith(".py") else name
    facts = {
        "interface": "hear",
        "module": module.__name__ if not asked.endswith(".py") else Path(asked).name,
        "source": _digest(getattr(module, "__file__", None)),
        "weights": _digest(weights),
    }
    home.reseed()  # what a model draws at random is the same each time
    with inside(home):
        model = module.load_model("" if weights is None else str(weights))
        if not isinstance(model, torch.nn.Module):
            raise EncoderError(
                f"encoder {name!r}: load_model() returned {_kind(model)}; only models of torch "
                "(torch.nn.Module) can be measured"
            )
        encoder = HearScenes(shown, model.eval(), module, facts)
        if (hop := encoder.hop()) is not None:
            encoder = HearFrames(shown, model, module, facts, hop)
    home.reseed()
    settle(encoder, home)
    return [encoder]


def _module(name: str, asked: str) -> tuple[ModuleType, Home]:
    """The module asked for, and where its code lives. Raises EncoderError."""
    if asked.endswith(".py"):
        module, home = module_from_file(Path(asked))
    else:
        if wrong := no_such_output(name, asked):
            raise EncoderError(wrong)
        home = Home()
        try:
            with inside(home):
                module = importlib.import_module(asked)
        except Exception as error:
            raise EncoderError(f"encoder {name!r}: {_why(asked, error)}") from error
    missing = [one for one in _FUNCTIONS if not callable(getattr(module, one, None))]
    if missing:
        parts = [one.name for one in pkgutil.iter_modules(getattr(module, "__path__", ()))]
        hint = f"; did you mean a module of it: {', '.join(parts[:8])}" if parts else ""
        raise EncoderError(
            f"encoder {name!r}: {asked} has no {', '.join(missing)}, which HEAR's interface asks "
            f"for{hint}"
        )
    return module, home


def _why(asked: str, error: Exception) -> str:
    """Why a module cannot be imported, and what to do."""
    if not asked:
        return f"no module named; ask for {PREFIX}MODULE or {PREFIX}path/to/file.py"
    if not isinstance(error, ImportError) or error.name is None:
        return f"{asked} cannot be imported: {type(error).__name__}: {said(error)}"
    if asked == error.name or asked.startswith(f"{error.name}."):
        beside = Path(*asked.split(".")).with_suffix(".py")
        other = f"{PREFIX}{beside}" if beside.is_file() else f"{PREFIX}path/to/file.py"
        return f"there is no module {asked}; install its package, or ask for {other}"
    return f"{asked} needs the module {error.name}, which is not installed"


def _size(name: str, model: torch.nn.Module, key: str) -> int:
    value = getattr(model, key, None)
    whole = int(value) if isinstance(value, int | float) and value == value // 1 else 0
    if whole < 1 or isinstance(value, bool):
        raise EncoderError(
            f"encoder {name!r}: its model's {key} must be a whole number above 0, not {value!r} "
            "(HEAR's interface)"
        )
    return whole


def _nearest(times: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Which of ascending times is nearest to each of those wanted; of two the earlier."""
    after = torch.searchsorted(times, wanted).clamp(max=len(times) - 1)
    before = (after - 1).clamp(min=0)
    slack = _SHARE * float(times[-1] - times[0]) / max(1, len(times) - 1)
    closer = (times[after] - wanted).abs() < (times[before] - wanted).abs() - slack
    return torch.where(closer, after, before)


def _distributions(module: ModuleType) -> tuple[str, ...]:
    """The installed packages that a module is of."""
    top = module.__name__.partition(".")[0]
    return tuple(sorted(set(importlib.metadata.packages_distributions().get(top, ()))))


def _digest(path: str | Path | None) -> str | None:
    """SHA-256 of a file, or of the files of a folder."""
    if path is None:
        return None
    path, digest = Path(path), hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _kind(value: Any) -> str:
    """`Tensor (2, 3)`: what a value is, in a message."""
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}{f' {tuple(shape)}' if shape is not None else ''}"
