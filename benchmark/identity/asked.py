"""Encoders as they are asked for: by name or as objects, in groups that are loaded together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from earmark.benchmark.result import provenance
from earmark.encoders import (
    AudioEncoder,
    EncoderError,
    group_names,
    load_encoders,
    names_of,
    ready_encoder,
    with_layer,
)

Group = list[str] | list[AudioEncoder]


def grouped(
    chosen: Sequence[str | AudioEncoder],
    weights: str | Path | None = None,
    layer: int | str | None = None,
) -> list[Group]:
    """What is loaded together, in the order asked for; an encoder that is loaded stands alone.

    Raises EncoderError for unknown names, and for weights or a layer of what is loaded already.
    """
    loaded = [one for one in chosen if isinstance(one, AudioEncoder)]
    if loaded and not (weights is None and layer is None):
        raise EncoderError(
            f"encoder {loaded[0].name!r} is loaded already: weights and layer go with names only"
        )
    names = [with_layer(one, layer) for one in chosen if isinstance(one, str)]
    by_name = {group[0]: group for group in group_names(names, weights)}
    groups: list[Group] = []
    for one in dict.fromkeys(chosen):
        if isinstance(one, AudioEncoder):
            groups.append([one])
        elif with_layer(one, layer) in by_name:
            groups.append(by_name[with_layer(one, layer)])
    return groups


def load_group(group: Group, weights: str | Path | None = None) -> dict[str, AudioEncoder]:
    """Encoders of a group by the name that each was asked for, or `provenance.OBJECT`.

    Raises EncoderError.
    """
    first = group[0]
    if isinstance(first, AudioEncoder):
        return {provenance.OBJECT: ready_encoder(first)}
    names = [str(name) for name in group]
    encoders = load_encoders(names, weights=weights)
    return dict(zip(names_of(names, encoders), encoders, strict=True))


def lent(group: Group) -> AudioEncoder | None:
    """The caller's own encoder of a group, to be given back as it was."""
    first = group[0]
    return first if isinstance(first, AudioEncoder) else None
