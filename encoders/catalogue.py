"""Names of encoders, and where each comes from: without loading any, and without torch."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import TYPE_CHECKING

from earmark.encoders.family import FAMILIES, full_name

if TYPE_CHECKING:
    from earmark.encoders.encoder import AudioEncoder

ENTRY_POINT_GROUP = "earmark.encoders"

BUILTIN = {
    "logmel": "earmark.encoders.logmel:LogMel",
    "mfcc": "earmark.encoders.mfcc:MFCC",
    "identity": "earmark.encoders.anchors.identity:Identity",
    "mulaw": "earmark.encoders.anchors.mulaw:MuLaw",
    "griffinlim": "earmark.encoders.anchors.griffinlim:GriffinLim",
}
# What this process registered by `register_encoder`.
REGISTERED: dict[str, Callable[[], AudioEncoder]] = {}


def encoder_names() -> dict[str, str]:
    """Every encoder that can be asked for by name, with where it comes from.

    A name that is there more than once stands for what is built in, else for what was registered in
    this process, else for the first package's; the others are named in what is said of it.
    """
    names = dict.fromkeys(BUILTIN, "built in")
    for family, facts in FAMILIES.items():
        origin = f"built in, extra {facts.extra}" if facts.extra else "built in"
        names |= {full_name(family, output): origin for output in facts.outputs}
    others = [(name, "registered in this process") for name in REGISTERED]
    others += [(point.name, f"package {package_of(point)}") for point in entry_points()]
    taken: dict[str, list[str]] = {}
    for name, origin in others:
        if name in names or name.partition(":")[0] in FAMILIES:  # a family's outputs are its own
            taken.setdefault(name, []).append(origin)
        else:
            names[name] = origin
    for name, origins in taken.items():
        if name in names:
            names[name] += f"; not that of {', '.join(origins)}"
    return dict(sorted(names.items()))


def is_registered(name: str) -> bool:
    """Whether an encoder is known because a program registered it, and so to no command."""
    return name in REGISTERED and name not in BUILTIN and name.partition(":")[0] not in FAMILIES


def is_named(name: str) -> bool:
    """Whether an encoder is known by just this name; a family by its own, without an output."""
    known = name in BUILTIN or name in REGISTERED or name in FAMILIES
    return known or any(point.name == name for point in entry_points())


def entry_points() -> list[importlib.metadata.EntryPoint]:
    """The encoders that installed packages name."""
    return list(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP))


def package_of(point: importlib.metadata.EntryPoint) -> str:
    """The package that names an encoder."""
    return point.dist.name if point.dist is not None else point.value.partition(":")[0]
