"""`list encoders`: what can be measured by name, in groups, with what is known of it."""

from __future__ import annotations

import json
import os
from typing import Any

from rich.table import Table
from rich.text import Text

from earmark.benchmark.cli.terminal import Terminal
from earmark.encoders.card import GROUPS, NOT_VERIFIED, Card, short_count
from earmark.encoders.cards import CARDS
from earmark.encoders.catalogue import encoder_names
from earmark.encoders.examples import ALLOW, EXAMPLES, FOLDER
from earmark.encoders.family import FAMILIES
from earmark.encoders.schemes import SCHEMES

_OTHERS = "others"
_EXAMPLES = "examples"
_HEADS = ("encoder", "params", "Hz", "/s", "dim", "licence", "extra", "weights", "run")
_NUMERIC = ("params", "Hz", "/s", "dim")
_NOTES = """\
params: of the network in its published sizes; ? where only its files tell. /s: frames a second.
dim: of the name without a colon. licence: of the weights; ? not verified. weights: where they
come from, + at hand here, - not (file: give it by --weights). run: whether those who wrote it
ever ran it on its released weights; where not, it was compared with another implementation on
random weights of the same architecture. What is not built in says what it is once loaded.
Your own: --encoder path/to/file.py:ClassName. Many at once: hf:ID_OR_FOLDER (any audio model of
transformers), hear:MODULE (HEAR's interface), torchaudio:BUNDLE (with --weights)."""


def list_encoders(console: Terminal, *, with_weights: bool, as_json: bool) -> None:
    """Print every encoder that can be asked for by name.

    with_weights: only those whose weights are at hand, or that have none. What is not built in is
        left out then: only loading it would tell.
    """
    facts = [_facts(name, card) for name, card in CARDS.items()]
    if with_weights:
        facts = [one for one in facts if one["at_hand"]]
    others = {} if with_weights else _others()
    examples = {} if with_weights else _examples()
    if as_json:
        facts += [{"name": name, "group": _OTHERS, "from": of} for name, of in others.items()]
        facts += [{"name": n, "group": _EXAMPLES, "from": what} for n, what in examples.items()]
        print(json.dumps(facts, indent=1))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for head in _HEADS:
        table.add_column(
            head, justify="right" if head in _NUMERIC else "left",
            no_wrap=head not in ("encoder", "licence"),
        )  # fmt: skip
    for group in GROUPS:
        rows = [_row(one) for one in facts if one["group"] == group]
        if rows:
            table.add_row()
            table.add_row(Text(group, "bold"))
        for row in rows:
            table.add_row(*row)
    console.print(table)
    for title, rest in ((_OTHERS, others), (_EXAMPLES, examples)):
        if rest:
            console.print(Text(f"\n{title}", "bold"))
        if rest is examples and rest:
            console.print(f"(a repository's own code, with {ALLOW}=1; never run here)")
        for name, what in rest.items():
            console.print(Text(f"{name}  {what}"), soft_wrap=True)
    console.print(Text(f"\n{_NOTES}"), soft_wrap=True)
    for scheme in SCHEMES.values():
        console.print(Text(f"By its place: --encoder {scheme.example}"), soft_wrap=True)


def _others() -> dict[str, str]:
    """What is not built in, and built-in names that others have too; each with where it is from."""
    return {
        name: origin for name, origin in encoder_names().items()
        if name.partition(":")[0] not in CARDS or "; not that of " in origin
    }  # fmt: skip


def _examples() -> dict[str, str]:
    """Example files as they are asked for from here, with what each is."""
    return {os.path.relpath(FOLDER / name): what for name, what in EXAMPLES.items()}


def _facts(name: str, card: Card) -> dict[str, Any]:
    """What is known of a family or of a single encoder, as plain values."""
    family = FAMILIES.get(name)
    outputs = [output for output in family.outputs if output] if family else []
    if family and family.layers:
        outputs.append("layer-N")
    return {
        "name": name, "group": card.group, "outputs": outputs, "parameters": card.parameters,
        "sample_rate": card.sample_rate, "frame_rate": card.frame_rate,
        "dimension": card.dimension, "licence": card.licence,
        "extra": family.extra if family else None, "weights": card.weights.shown,
        "at_hand": card.weights.at_hand(), "ran": card.ran,
    }  # fmt: skip


def _row(facts: dict[str, Any]) -> tuple[str | Text, ...]:
    outputs = " ".join(f":{output}" for output in facts["outputs"])
    learned = facts["parameters"] != 0
    return (
        Text(f"{facts['name']}\n{outputs}".rstrip()), short_count(facts["parameters"]),
        str(facts["sample_rate"]), f"{facts['frame_rate']:.4g}" if facts["frame_rate"] else "clip",
        str(facts["dimension"]), _licence(facts["licence"]), facts["extra"] or "",
        f"{facts['weights']} {'+' if facts['at_hand'] else '-'}" if learned else "",
        ("yes" if facts["ran"] else "no") if learned else "",
    )  # fmt: skip


def _licence(licence: str) -> str:
    return "?" if licence == NOT_VERIFIED else licence
