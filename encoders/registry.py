"""Encoders by name: built in, registered, from entry points, or from a file.

Lazy: a name maps to `module:attribute`, which is imported only when the encoder is loaded, so
that listing encoders imports no model library.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from earmark.encoders import catalogue
from earmark.encoders.arguments import FilesRead, check_arguments
from earmark.encoders.catalogue import encoder_names
from earmark.encoders.contract import check_contract
from earmark.encoders.control import permute_weights
from earmark.encoders.encoder import AudioEncoder, EncoderError, note_code
from earmark.encoders.family import ALL_LAYERS, FAMILIES, full_name
from earmark.encoders.hints import nearest
from earmark.encoders.home import Home, inside, settle
from earmark.encoders.made import Made, note_made, rename
from earmark.encoders.outputs import outputs_of
from earmark.encoders.plugin_file import module_from_file
from earmark.encoders.schemes import Member, example_of, member_of
from earmark.encoders.shared import OutputEncoder
from earmark.encoders.spec import Asked, EncoderSpec, parse_spec, parsed
from earmark.encoders.sweep import titled
from earmark.encoders.xares import XaresEncoder, is_xares_encoder, only_encoder_class

# Of packages' encoders by their names.
_homes: dict[str, Home] = {}
_told: set[str] = set()  # names of which it was said that others have them too

Factory = TypeVar("Factory", bound=Callable[..., Any])


def register_encoder(name: str) -> Callable[[Factory], Factory]:
    """Class decorator: make an encoder known as `name` in this process.

    What is decorated must be callable without arguments and return an AudioEncoder. Raises
    EncoderError where the name is taken by another class.
    """

    def register(factory: Factory) -> Factory:
        known = catalogue.REGISTERED.get(name)
        taken = name in catalogue.BUILTIN or member_of(name) is not None
        if "(" in name:
            raise EncoderError(f"an encoder's name must have no bracket, unlike {name!r}")
        if taken or (known is not None and _identity(known) != _identity(factory)):
            raise EncoderError(f"an encoder named {name!r} exists already; choose another name")
        catalogue.REGISTERED[name] = factory
        return factory

    return register


def is_registered(name: str) -> bool:
    """Whether a name is known because a program registered it, and so to no command."""
    return catalogue.is_registered(spec_of(name).plain)


def spec_of(name: str) -> EncoderSpec:
    """What a name asks for; a name with a colon that is known as it is stands for itself.

    Raises EncoderError for arguments that cannot be read.
    """
    whole = parsed(name)
    if catalogue.is_named(whole.base):
        return EncoderSpec(whole.base, draw=whole.draw)
    return parse_spec(name)


def names_of(names: Sequence[str], encoders: Sequence[AudioEncoder]) -> list[str]:
    """By which name each of the encoders can be asked for that were loaded together by `names`."""
    if len(names) == len(encoders):
        return list(names)
    # only names of all layers stand for several encoders
    base, draw = parsed(names[0])
    member = member_of(base)
    family = spec_of(names[0]).without_output if member is None else member.head
    if member is None:
        outputs = [one.output if isinstance(one, OutputEncoder) else "" for one in encoders]
        return [Asked(full_name(family, output), draw).name for output in outputs]
    return [
        Asked(full_name(family, one.output), draw).name
        if isinstance(one, OutputEncoder)
        else one.name
        for one in encoders
    ]


def load_encoder(name: str, *, weights: str | Path | None = None) -> AudioEncoder:
    """Load an encoder by name, or as `path/to/file.py:ClassName`; ready to encode.

    name: may have arguments of its class, `mine.py:Mine(ckpt=runs/10k.pt, layer=6)`.
    weights: folder with a local copy of the model, for encoders that have one.
    Raises EncoderError for an unknown name or argument (with the nearest known one), for a file or
    class that cannot be loaded, and for a class that does not fill in the contract.
    """
    made = load_encoders([name], weights=weights)
    if len(made) != 1:
        raise EncoderError(f"encoder {name!r} names {len(made)} encoders; use load_encoders()")
    return made[0]


def load_encoders(
    names: Sequence[str],
    *,
    weights: str | Path | None = None,
    layer: int | str | None = None,
) -> list[AudioEncoder]:
    """Load encoders, in the order asked for; each once.

    Those of one family (`encodec`, `encodec:quantized`) are loaded together: their weights are
    held once, and they share one `SharedPass`.

    weights: folder with a local copy of the model; names must be of one family then.
    layer: number of a hidden layer to take instead of the output, 0 being what goes into the
        first; `all` gives every layer as an encoder of its own. Needs names that have layers.
    `NAME:permuted` is the encoder NAME with permuted weights, see `permute_weights`.
    Raises EncoderError as `load_encoder` does.
    """
    groups = group_names([with_layer(name, layer) for name in names], weights)
    return [encoder for group in groups for encoder in _load_group(group, weights)]


def group_names(names: Sequence[str], weights: str | Path | None = None) -> list[list[str]]:
    """Names that are loaded together, in the order of the first of each group.

    Raises EncoderError where one name is unknown, or where weights do not go with all of them.
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        find_encoder(name)
        spec = spec_of(name)
        member, draw = member_of(spec.plain), spec.draw
        alone = member is None or member.family.by_name
        # a control has weights of its own
        if member is None:
            together = Asked(spec.without_output, draw).name
        else:
            together = name if alone else Asked(member.head, draw).name
        groups.setdefault(together, []).append(name)
        if weights is not None and (member is None or not member.takes_weights):
            raise EncoderError(f"encoder {name!r} has no weights to take from {weights}")
    if weights is not None and len(groups) > 1:
        raise EncoderError(
            f"weights {weights}: asked for with {', '.join(groups)}; one folder holds the weights "
            "of one model, so ask for one at a time"
        )
    return list(groups.values())


def with_layer(name: str, layer: int | str | None) -> str:
    """The name of a hidden layer of an encoder: `hubert-large`, 12 -> `hubert-large:layer-12`."""
    if layer is None:
        return name
    spec = spec_of(name)
    member, draw = member_of(spec.plain), spec.draw
    factory = find_encoder(name)
    if spec.output or not (_gives_outputs(factory) if member is None else _has_layers(member)):
        layered = ", ".join(key for key, family in FAMILIES.items() if family.layers)
        raise EncoderError(
            f"encoder {name!r} has no layers to choose from; {layered} have, and classes with "
            "layer_count and encode_outputs()"
        )
    if not (str(layer).isdecimal() or layer == "all"):
        raise EncoderError(f"layer {layer!r}: must be a whole number from 0, or `all`")
    head = spec.without_output if member is None else spec.plain
    full = full_name(head, ALL_LAYERS if layer == "all" else f"layer-{int(layer)}")
    return Asked(full, draw).name


def _has_layers(member: Member) -> bool:
    return not member.output and member.family.layers


def _gives_outputs(factory: Callable[..., Any]) -> bool:
    """Whether what makes an encoder may make one of several outputs: of a function nobody knows."""
    made: Any = factory.func if isinstance(factory, partial) else factory
    if not isinstance(made, type):
        return True
    own = getattr(made, "encode_outputs", None)
    return issubclass(made, AudioEncoder) and own is not AudioEncoder.encode_outputs


def _load_group(names: list[str], weights: str | Path | None) -> list[AudioEncoder]:
    """Encoders whose names `group_names` put together."""
    specs = [spec_of(name) for name in names]
    made = _load_together(specs, weights)
    if specs[0].draw:
        permute_weights(made, specs[0].draw)
    return made


def _load_together(specs: list[EncoderSpec], weights: str | Path | None) -> list[AudioEncoder]:
    for spec in specs:
        _say_others(spec)
    members = [member_of(spec.plain) for spec in specs]
    if members[0] is not None:
        outputs = tuple(one.output for one in members if one is not None)
        folder = None if weights is None else Path(weights)
        load = partial(members[0].family.make, members[0].head, outputs, folder)
        made = _made(specs[0].plain, load, Home())
        return [ready_encoder(encoder).requires_grad_(False) for encoder in made]
    spec = specs[0]  # of the others, base and arguments are the same
    factory, home = _found(spec)
    with inside(home):  # where its code is when it opens them
        files = FilesRead(spec.arguments)
    one = _made(spec.text, partial(factory, **spec.arguments), home)
    with inside(home):
        files.check_unchanged(spec.text)
    if not isinstance(one, AudioEncoder) and is_xares_encoder(one):
        one = XaresEncoder(one)
    if isinstance(one, AudioEncoder):
        settle(one, home)
    ready = ready_encoder(one, spec.base).requires_grad_(False)
    if spec.arguments:
        note_made(ready, Made(spec.arguments, files.contents))
        rename(ready, f"{ready.name}({titled(spec.arguments)})")
    made = outputs_of(ready, [one.output for one in specs])
    return [ready_encoder(one).requires_grad_(False) for one in made]


def _say_others(spec: EncoderSpec) -> None:
    """Say once where others have an encoder of this name too."""
    name = spec.plain
    said = "" if spec.is_file else encoder_names().get(name, "")
    if "; not that of " in said and name not in _told:
        _told.add(name)
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            sys.stderr.write(f"encoder {name!r}: {said}\n")


def _made(name: str, factory: Callable[[], Any], home: Home) -> Any:
    """What a factory makes. Raises EncoderError, naming the encoder."""
    # what an encoder draws at random without a seed of its own is the same in every run
    home.reseed()
    try:
        with inside(home):
            return factory()
    except EncoderError:
        raise
    except Exception as error:
        raise EncoderError(
            f"encoder {name!r}: {type(error).__name__} while it was made: {_line(error)}"
        ) from error
    finally:
        home.reseed()


def ready_encoder(encoder: AudioEncoder, asked: str | None = None) -> AudioEncoder:
    """Check that an encoder fills in the contract; put it in eval mode."""
    check_contract(encoder, asked or str(getattr(encoder, "name", type(encoder).__name__)))
    note_code(encoder)
    return encoder.eval()


def find_encoder(name: str) -> Callable[[], Any]:
    """What makes the encoder of this name, without making it. Raises EncoderError."""
    spec = spec_of(name)
    factory = _found(spec)[0]
    return partial(factory, **spec.arguments) if spec.arguments else factory


def _found(spec: EncoderSpec) -> tuple[Callable[..., Any], Home]:
    """What makes an encoder, given its arguments, and where that is to be done.

    Of a control that of the encoder whose weights are to be permuted. Raises EncoderError.
    """
    if member_of(spec.plain) is not None:
        factory = _named(spec.plain)
        if spec.arguments:
            raise EncoderError(f"encoder {spec.plain!r} takes no arguments, unlike {spec.text!r}")
        return factory, _homes.setdefault(spec.plain, Home())
    if spec.is_file:
        factory, home = _in_file(spec.base)
    else:
        base = spec.base if spec.output and catalogue.is_named(spec.base) else spec.plain
        factory, home = _named(base), _homes.setdefault(base, Home())
    if spec.output and not _gives_outputs(factory):
        raise EncoderError(
            f"encoder {spec.base!r} has no output {spec.output!r}: its class has no "
            "encode_outputs() (encoders/README.md has an example)"
        )
    check_arguments(factory, spec.arguments, spec.plain)
    return factory, home


def _in_file(name: str) -> tuple[Callable[..., Any], Home]:
    """What `file.py:Class`, or `file.py` of one encoder, names. Raises EncoderError."""
    path, _, attribute = name.rpartition(":")
    if path.endswith(".py"):
        module, home = module_from_file(Path(path))
        return _attribute(module, attribute, path), home
    module, home = module_from_file(Path(name))
    return only_encoder_class(module, name), home


def _named(name: str) -> Callable[..., Any]:
    """What makes an encoder that has a name. Raises EncoderError."""
    member = member_of(name)
    if member is not None:
        if name.endswith(":"):
            hint = example_of(name) or nearest(name)
            raise EncoderError(f"encoder {name!r}: nothing follows the colon; {hint}")
        if member.family.knows(member.output):
            return partial(load_encoder, name)
        raise EncoderError(
            f"encoder {member.head!r} has no output {member.output!r}; {nearest(name)}"
        )
    if name in catalogue.BUILTIN:
        module, _, attribute = catalogue.BUILTIN[name].partition(":")
        return _attribute(importlib.import_module(module), attribute, module)
    if name in catalogue.REGISTERED:
        return catalogue.REGISTERED[name]
    for point in catalogue.entry_points():
        if point.name == name:
            try:
                with inside(_homes.setdefault(name, Home())):
                    found: Callable[..., Any] = point.load()
            except Exception as error:
                raise EncoderError(
                    f"encoder {name!r}: its package {catalogue.package_of(point)} cannot be "
                    f"imported: {_line(error)}"
                ) from error
            return found
    raise EncoderError(f"unknown encoder {name!r}; {nearest(name)}")


def _attribute(module: ModuleType, attribute: str, where: str) -> Callable[..., Any]:
    found: Callable[..., Any] | None = getattr(module, attribute, None)
    if not callable(found):
        classes = [
            key for key, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__
        ]  # fmt: skip
        raise EncoderError(
            f"{where} has no class {attribute!r}; it defines {', '.join(classes) or 'no class'}"
        )
    return found


def _identity(factory: Any) -> tuple[str, str]:
    return (getattr(factory, "__module__", ""), getattr(factory, "__qualname__", repr(factory)))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
