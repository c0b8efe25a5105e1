"""Encoders as they are asked for: by name or as objects, in groups that are loaded together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from earmark.benchmark.identity.chosen import Title, show_as
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
from earmark.encoders.spec import parsed

Group = list[str] | list[AudioEncoder]


class Loading(NamedTuple):
    """How names become encoders. weights: folder of their model. titles: as of `Chosen`."""

    weights: str | Path | None = None
    titles: Mapping[str, Title] = {}


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


def load_group(group: Group, loading: Loading) -> dict[str, AudioEncoder]:
    """Encoders of a group by how each was asked for, as `provenance.asked_for` puts it, or OBJECT.

    Raises EncoderError.
    """
    first = group[0]
    if isinstance(first, AudioEncoder):
        return {provenance.OBJECT: ready_encoder(first)}
    names = [str(name) for name in group]
    encoders = load_encoders(names, weights=loading.weights)
    found = dict(zip(names_of(names, encoders), encoders, strict=True))
    asked = {}
    for name in names:
        base, draw = parsed(name)
        title = loading.titles.get(base)
        own = [found[name]] if name in found else list(found.values())
        show_as(title, draw, own)
        for key in [name] if name in found else list(found):
            shown = "" if title is None else parsed(found[key].name).base
            asked[provenance.asked_for(key, loading.weights, shown)] = found[key]
    return asked


def lent(group: Group) -> AudioEncoder | None:
    """The caller's own encoder of a group, to be given back as it was."""
    first = group[0]
    return first if isinstance(first, AudioEncoder) else None
