"""Encoders named by a place: `SCHEME:PLACE` and `SCHEME:PLACE:OUTPUT`, as `injected:out/mine`.

A scheme stands for a family at every place. What follows the last colon is an output where the
scheme knows it, else it belongs to the place.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.encoders.family import FAMILIES, Family

if TYPE_CHECKING:  # listing names needs no torch
    from earmark.encoders.encoder import AudioEncoder


@dataclass(frozen=True)
class Scheme(Family):
    """A family at a place.

    load: called as `function(PLACE, outputs, weights=folder or None)`; returns one encoder for each
        output, named `SCHEME:PLACE` and `SCHEME:PLACE:OUTPUT`, or as the model says.
    takes_weights: whether `--weights` goes with it.
    example: a name, for messages.
    """

    takes_weights: bool = False
    example: str = ""

    def make(self, name: str, outputs: tuple[str, ...], weights: Path | None) -> list[AudioEncoder]:
        """Load what `SCHEME:PLACE` names, once; one encoder for each output."""
        module, _, function = self.load.partition(":")
        made: Any = getattr(importlib.import_module(module), function)(
            name.partition(":")[2], outputs, weights=weights
        )
        return list(made)


SCHEMES: dict[str, Scheme] = {
    "injected": Scheme(
        "earmark.encoders.injection.saved:load", ("", "semantic", "acoustic"),
        example="injected:out/mine",
    ),
    "hf": Scheme(
        "earmark.encoders.adapters.hub_models:load", ("", "quantized", "grid", "frames"),
        layers=True, extra="baselines", takes_weights=True,
        example="hf:facebook/hubert-base-ls960",
    ),
    "hear": Scheme(
        "earmark.encoders.adapters.hear:load", takes_weights=True, example="hear:hearbaseline.naive"
    ),
    "torchaudio": Scheme(
        "earmark.encoders.adapters.torchaudio_models:load", layers=True, takes_weights=True,
        example="torchaudio:HUBERT_BASE",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """An output of a family: `family` is called `head`, as in `encodec` or `injected:out/mine`."""

    head: str
    family: Family
    output: str

    @property
    def takes_weights(self) -> bool:
        """Whether a folder of weights goes with it."""
        return not isinstance(self.family, Scheme) or self.family.takes_weights


def member_of(name: str) -> Member | None:
    """The family that a name is of, built in or at a place; None where it is of none.

    Whether the family knows the output is not asked.
    """
    head, _, rest = name.partition(":")
    if head in FAMILIES:
        return Member(head, FAMILIES[head], rest)
    scheme = SCHEMES.get(head)
    if scheme is None:
        return None
    place, _, output = rest.rpartition(":")
    if place and output and scheme.knows(output):
        return Member(f"{head}:{place}", scheme, output)
    return Member(name, scheme, "")


def example_of(name: str) -> str:
    """How a name of this scheme is written; "" for others."""
    scheme = SCHEMES.get(name.partition(":")[0])
    return "" if scheme is None else f"write it as {scheme.example!r}"
