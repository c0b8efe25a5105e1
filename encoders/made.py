"""What an encoder was made with: its arguments, the files they name, and the name it was given.

Kept beside encoders, not in them, so that no class need know of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch


@dataclass(frozen=True)
class Made:
    """What an encoder was made with.

    arguments: of its class, by keyword. contents: SHA-256 of the files and folders among them, by
    the text that named each. own_name: the instance's own `name` before it was given another; None:
    that of its class. named: whether it was given another.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    own_name: str | None = None
    named: bool = False

    def without_places(self, value: Any) -> Any:
        """A plain value in which files are told by content in place of by path."""
        if not self.contents:
            return value
        if isinstance(value, dict):
            return {key: self.without_places(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.without_places(one) for one in value]
        if isinstance(value, str) and value in self.contents:
            return {"sha256": self.contents[value]}
        return value

    def facts(self) -> dict[str, Any]:
        """What of it belongs to the encoder's identity; empty without arguments."""
        return {"arguments": self.without_places(dict(self.arguments))} if self.arguments else {}

    def attributes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The encoder's own plain attributes, under its own name."""
        kept = dict(values)
        if self.named:
            kept.pop("name", None)
            if self.own_name is not None:
                kept["name"] = self.own_name
        return kept


_made: WeakKeyDictionary[torch.nn.Module, Made] = WeakKeyDictionary()
_UNKNOWN = Made()


def made_with(encoder: torch.nn.Module) -> Made:
    """What an encoder was made with, as far as that is known."""
    return _made.get(encoder, _UNKNOWN)


def note_made(encoder: torch.nn.Module, made: Made) -> None:
    """Remember what an encoder was made with."""
    _made[encoder] = made


def rename(encoder: torch.nn.Module, name: str) -> None:
    """Give an encoder another name, which is not part of its fingerprint."""
    made = made_with(encoder)
    if not made.named:
        own = vars(encoder).get("name")
        made = dataclasses.replace(made, own_name=own, named=True)
    note_made(encoder, made)
    encoder.name = name  # type: ignore[assignment]
